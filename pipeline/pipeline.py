"""The pipeline: which component feeds which."""

from __future__ import annotations

import json
import os
from typing import Any

import tensorflow_data_validation as tfdv
from tfx import v1 as tfx

from components.benchmarks.component import BenchmarkExampleGen
from components.card.component import ModelCard
from components.corpus.component import CorpusExampleGen, SchemaGen, StrictExampleValidator
from components.evaluator import baseline, eval_config
from components.infra_validator.component import InfraValidator
from components.pusher.component import Pusher
from components.pusher.last_pushed import LastPushed
from components.report.component import Report
from components.skipgram.component import SkipGramTransform
from pipeline import engines, fingerprint
from pipeline.configs import Config
from pipeline.inputs import Fingerprints
from pipeline.run_folder import ARTIFACTS

# What a TF Serving that is tried gets for answering, after it has loaded the model.
_ASKING_SECONDS = 300


def create_pipeline(
    config: Config,
    *,
    fingerprints: Fingerprints,
    root: str,
    checkpoints: str,
    beam: engines.Arguments,
    durations: str = "",
    notes: str = "",
    pushed_version: str | None = None,
) -> tfx.dsl.Pipeline:
    """The whole chain, from text to a pushed model.

    Args:
        config: all settings.
        fingerprints: stand for the content of the files that it reads.
        root: the folder or URI below which everything is kept.
        checkpoints: a folder for the trainer's checkpoints, which should outlive the run.
        beam: how Beam runs what a component has to do.
        durations: a file in which the runner keeps how long components take, for the report; if it does.
        notes: a file in which the runner keeps what is noted in a run, for the report; if it does.
        pushed_version: the baseline, where the orchestrator has no resolver that looks for the last blessed model: a
            version below `pusher.destination`, or empty for none. By default it has one.
    """
    benchmark_gen = BenchmarkExampleGen(
        benchmarks=json.dumps(config.evaluator.benchmarks),
        thresholds=json.dumps(sorted(config.evaluator.thresholds)),
        fingerprint=fingerprints.benchmarks + fingerprint.of_code("benchmarks", "evaluator"),
    ).with_id("BenchmarkExampleGen")

    example_gen = CorpusExampleGen(
        corpus=json.dumps(config.corpus.model_dump(exclude={"schema_file"})),
        fingerprint=fingerprints.corpus,
        code=fingerprint.of_code("corpus"),
    )
    example_gen.with_id("ExampleGen").with_beam_pipeline_args(beam.text)

    statistics_gen = tfx.components.StatisticsGen(
        examples=example_gen.outputs["examples"],
        stats_options=tfdv.StatsOptions(
            use_sketch_based_topk_uniques=True, num_top_values=5, num_rank_histogram_buckets=5
        ),
    )
    statistics_gen.with_beam_pipeline_args(beam.text)

    schema_gen = SchemaGen(
        schema_file=config.corpus.schema_file,
        fingerprint=fingerprints.schema + fingerprint.of_code("corpus"),
    ).with_id("SchemaGen")

    example_validator = StrictExampleValidator(
        statistics=statistics_gen.outputs["statistics"], schema=schema_gen.outputs["schema"]
    )
    example_validator.with_id("ExampleValidator")

    transform = SkipGramTransform(
        examples=example_gen.outputs["examples"],
        schema=schema_gen.outputs["schema"],
        preprocessing_fn="components.skipgram.preprocessing.preprocessing_fn",
        custom_config={
            **config.skipgram.model_dump(),
            "shards": config.corpus.shards,
            "code": fingerprint.of_code("skipgram"),
        },
        splits_config=tfx.proto.SplitsConfig(analyze=["train"], transform=list(config.corpus.splits)),
        disable_analyzer_cache=True,
        disable_statistics=True,
    )
    transform.with_id("Transform").with_beam_pipeline_args(beam.transform)
    transform.add_upstream_node(example_validator)
    transform.add_upstream_node(benchmark_gen)

    last_blessed = _resolver("LastBlessedModel", baseline.LastBlessed)
    trainer = _trainer(config, transform, checkpoints, last_blessed if config.trainer.warm_start else None)

    if pushed_version is None:
        last_other = _resolver("Baseline", baseline.LastBlessedOther, candidate=trainer.outputs["model"])
    else:
        last_other = LastPushed(folder=config.pusher.destination, version=pushed_version).with_id("Baseline")
    evaluator = _evaluator(config, benchmark_gen, trainer, last_other)
    evaluator.with_beam_pipeline_args(beam.evaluator)

    card = ModelCard(
        examples=example_gen.outputs["examples"],
        transform_graph=transform.outputs["transform_graph"],
        model=trainer.outputs["model"],
        evaluation=evaluator.outputs["evaluation"],
        model_blessing=evaluator.outputs["blessing"],
        name=config.name,
        settings=json.dumps(
            config.model_dump(include={"corpus", "skipgram", "trainer", "evaluator"})
            | {"trainer": config.trainer.filled()}
        ),
        corpus_fingerprint=fingerprints.corpus,
        code=json.dumps(fingerprint.facts()),
    )

    report = Report(
        examples=example_gen.outputs["examples"],
        transform_graph=transform.outputs["transform_graph"],
        model=trainer.outputs["model"],
        model_run=trainer.outputs["model_run"],
        evaluation=evaluator.outputs["evaluation"],
        model_card=card.outputs["model_card"],
        benchmarks=benchmark_gen.outputs["examples"],
        **config.report.model_dump(),
        durations=durations,
        notes=notes,
        code=fingerprint.of_code("report"),
    )

    infra_validator = _infra_validator(config, benchmark_gen, trainer)
    pusher = Pusher(
        model=trainer.outputs["model"],
        model_blessing=evaluator.outputs["blessing"],
        infra_blessing=infra_validator.outputs["blessing"] if infra_validator else None,
        model_card=card.outputs["model_card"],
        push_destination=tfx.proto.PushDestination(
            filesystem=tfx.proto.PushDestination.Filesystem(
                base_directory=_absolute(config.pusher.destination) or os.path.join(root, "serving_model")
            )
        ),
    )

    return tfx.dsl.Pipeline(
        pipeline_name=config.name,
        pipeline_root=os.path.join(root, ARTIFACTS),
        components=[
            benchmark_gen,
            example_gen,
            statistics_gen,
            schema_gen,
            example_validator,
            transform,
            *([last_blessed] if config.trainer.warm_start else []),
            trainer,
            last_other,
            evaluator,
            card,
            *([infra_validator] if infra_validator else []),
            pusher,
            report,
        ],
        enable_cache=True,
    )


def _absolute(path: str | None) -> str | None:
    """Of a local folder; other paths as they are."""
    return path if path is None or "://" in path else os.path.abspath(os.path.expanduser(path))


def _resolver(name: str, strategy: type[tfx.dsl.experimental.ResolverStrategy], **more: Any) -> tfx.dsl.Resolver:
    """Looks among all models and their blessings."""
    return tfx.dsl.Resolver(
        strategy_class=strategy,
        model=tfx.dsl.Channel(type=tfx.types.standard_artifacts.Model),
        model_blessing=tfx.dsl.Channel(type=tfx.types.standard_artifacts.ModelBlessing),
        **more,
    ).with_id(name)


def _trainer(
    config: Config, transform: SkipGramTransform, checkpoints: str, last_blessed: tfx.dsl.Resolver | None
) -> tfx.components.Trainer:
    eval_split = "eval" if "eval" in config.corpus.splits else None
    return tfx.components.Trainer(
        run_fn="components.trainer.run_fn.run_fn",
        examples=transform.outputs["transformed_examples"],
        transform_graph=transform.outputs["transform_graph"],
        base_model=last_blessed.outputs["model"] if last_blessed else None,
        train_args=tfx.proto.TrainArgs(splits=["train"]),
        eval_args=tfx.proto.EvalArgs(splits=[eval_split or "train"]),
        custom_config={
            "trainer": config.trainer.filled(),
            "skipgram": config.skipgram.model_dump(),
            "eval_split": eval_split,
            "checkpoints": checkpoints,
            "code": fingerprint.of_code("trainer"),
        },
    )


def _evaluator(
    config: Config,
    benchmark_gen: BenchmarkExampleGen,
    trainer: tfx.components.Trainer,
    last_blessed: tfx.dsl.Resolver | LastPushed,
) -> tfx.components.Evaluator:
    settings = config.evaluator
    return tfx.components.Evaluator(
        examples=benchmark_gen.outputs["examples"],
        model=trainer.outputs["model"],
        baseline_model=last_blessed.outputs["model"],
        eval_config=eval_config.make(
            {name: threshold.model_dump() for name, threshold in settings.thresholds.items()},
            min_coverage=settings.min_coverage,
            when_uncovered=settings.when_uncovered,
            samples=settings.bootstrap_samples,
            seed=settings.seed,
        ),
    )


def _infra_validator(
    config: Config, benchmark_gen: BenchmarkExampleGen, trainer: tfx.components.Trainer
) -> InfraValidator | None:
    settings, proto = config.serving, tfx.proto
    if settings.infra_validation == "off":
        return None
    platforms = {
        "docker": {"local_docker": proto.LocalDockerConfig()},
        "kubernetes": {
            "kubernetes": proto.KubernetesConfig(active_deadline_seconds=settings.loading_seconds + _ASKING_SECONDS)
        },
    }
    return InfraValidator(
        model=trainer.outputs["model"],
        examples=benchmark_gen.outputs["examples"],
        serving_spec=proto.ServingSpec(
            tensorflow_serving=proto.TensorFlowServing(image_name=settings.image, tags=settings.tags),
            **platforms[settings.infra_validation],
        ),
        validation_spec=proto.ValidationSpec(max_loading_time_seconds=settings.loading_seconds),
        request_spec=proto.RequestSpec(
            tensorflow_serving=proto.TensorFlowServingRequestSpec(signature_names=["evaluate"]), num_examples=10
        ),
    )
