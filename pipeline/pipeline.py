"""The pipeline: which component feeds which."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import tensorflow_data_validation as tfdv
from tfx import types
from tfx import v1 as tfx
from tfx.dsl.components.base import base_node

from components import files
from components.card.component import ModelCard
from components.corpus import window
from components.corpus.component import CorpusExampleGen, SchemaGen, StrictExampleValidator
from components.corpus.spans import Slot, Span, reading
from components.evaluator import baseline, eval_config
from components.evaluator.component import Evaluator
from components.infra_validator.component import InfraValidator
from components.pusher.component import Pusher
from components.pusher.last_pushed import LastPushed
from components.questions import examples as question_examples
from components.questions.component import QuestionExampleGen
from components.report.component import Report
from components.skipgram.component import SkipGramTransform
from components.tuner.component import Tuner
from pipeline import engines, fingerprint, layout, nodes
from pipeline.configs import Config
from pipeline.inputs import Fingerprints
from word2vec.errors import printable

# What a TF Serving that is tried gets for answering, after it has loaded the model.
_ASKING_SECONDS = 300


class Pushed(NamedTuple):
    """Versions below `pusher.destination`, or empty for none.

    Attributes:
        baseline: what a new model is compared with.
        start: from what a training starts, if it does from any.
    """

    baseline: str = ""
    start: str = ""


def create_pipeline(
    config: Config,
    *,
    fingerprints: Fingerprints,
    root: str,
    checkpoints: str,
    beam: engines.Arguments,
    spans: Sequence[Span] = (),
    others: Sequence[str] = (),
    slots: Sequence[Slot] = (),
    durations: str = "",
    notes: str = "",
    pushed: Pushed | None = None,
) -> tfx.dsl.Pipeline:
    """The whole chain, from text to a pushed model.

    Where a corpus has spans, it begins with those that `create_reading` has read.

    Args:
        config: all settings.
        fingerprints: stand for the content of the files that it reads.
        spans: those of the window whose files are there, where the corpus has spans.
        others: paths of files of which no span is known, where the corpus has spans.
        slots: where it has, but the orchestrator has no resolver that looks for what was read: the places of the
            window. Each has components of its own, and of what they read this takes the first; `kubeflow.compiler`
            joins the others.
        root: the folder or URI below which everything is kept.
        checkpoints: a folder for the trainer's checkpoints, which should outlive the run.
        beam: how Beam runs what a component has to do.
        durations: a file in which the runner keeps how long components take, for the report; empty if it does not.
        notes: a file in which the runner keeps what is noted in a run, for the report; empty if it does not.
        pushed: what stands for the last blessed model where the orchestrator has no resolver that looks for it. By
            default it has one.
    """
    chain = _Chain(config, fingerprints, beam)
    question_gen = chain.add("QuestionExampleGen", _question_gen(config, fingerprints))
    examples, transform = _add_text(chain, spans, others, slots, after=question_gen)
    trainer, tuner = _add_training(chain, transform, question_gen, checkpoints, pushed)
    evaluator, last = _add_evaluator(chain, question_gen, trainer, pushed)
    channels = {
        "examples": examples,
        "transform_graph": transform.outputs["transform_graph"],
        "model": trainer.outputs["model"],
        "evaluation": evaluator.outputs["evaluation"],
    }
    tuned = {key: tuner.outputs[key] for key in ("best_hyperparameters", "tuner_results")} if tuner else {}
    card = chain.add("ModelCard", _card(config, {**channels, **tuned}, evaluator))
    _add_pusher(
        chain,
        question_gen,
        channels["model"],
        evaluator,
        card,
        prunes=pushed is not None and config.keep.versions is not None,
    )
    chain.add(
        "Report",
        Report(
            **channels,
            baseline_model=last.outputs["model"],
            model_run=trainer.outputs["model_run"],
            model_card=card.outputs["model_card"],
            benchmarks=question_gen.outputs["examples"],
            **config.report.model_dump(),
            durations=durations,
            notes=notes,
        ),
    )
    return chain.pipeline(root)


def create_reading(
    config: Config, span: Span, *, fingerprints: Fingerprints, root: str, beam: engines.Arguments
) -> tfx.dsl.Pipeline:
    """Reads and checks a span, once: the components of the pipeline that look at each span by itself.

    Args:
        config: all settings.
        span: the span, as it is now.
        fingerprints: that of the schema counts.
        root: see `create_pipeline`.
        beam: likewise.
    """
    chain = _Chain(config, fingerprints, beam)
    _add_reading(chain, Slot(str(span.number), span.fingerprint))
    return chain.pipeline(root)


_Node = TypeVar("_Node", bound=base_node.BaseNode)


class _Chain:
    """The components in the order in which they run."""

    def __init__(self, config: Config, fingerprints: Fingerprints, beam: engines.Arguments):
        self.config, self.fingerprints = config, fingerprints
        self.nodes: list[base_node.BaseNode] = []
        self._beam = beam

    def add(self, name: str, node: _Node) -> _Node:
        """Gives a component its name and what Beam is told for it."""
        node.with_id(name)
        if options := self._beam.of(name):
            node.with_beam_pipeline_args(options)
        self.nodes.append(node)
        return node

    def pipeline(self, root: str) -> tfx.dsl.Pipeline:
        """Of all of them; `root` is the folder or URI below which everything is kept."""
        return tfx.dsl.Pipeline(
            pipeline_name=self.config.name,
            pipeline_root=os.path.join(root, layout.ARTIFACTS),
            components=self.nodes,
            enable_cache=True,
        )


def _question_gen(config: Config, fingerprints: Fingerprints) -> QuestionExampleGen:
    tuning = {"seed": config.tuner.questions_seed, "weights": sorted(config.tuner.weights)}
    return QuestionExampleGen(
        benchmarks=json.dumps(config.evaluator.benchmarks),
        thresholds=json.dumps(sorted(config.evaluator.thresholds)),
        fingerprint=fingerprints.benchmarks,
        tuning=json.dumps(tuning) if config.tuner.is_on else None,
    )


def _add_text(
    chain: _Chain,
    spans: Sequence[Span],
    others: Sequence[str],
    slots: Sequence[Slot],
    after: QuestionExampleGen,
) -> tuple[types.BaseChannel, SkipGramTransform]:
    """From text to pairs; nothing long begins before the benchmarks are known to be right."""
    checked: list[base_node.BaseNode] = []
    if slots:
        schema_gen = chain.add("SchemaGen", _schema_gen(chain))
        readings = [_add_reading(chain, slot, f"-{place}", schema_gen) for place, slot in enumerate(slots, 1)]
        examples, checked = readings[0][0].outputs["examples"], [validator for _, _, validator in readings]
    elif chain.config.corpus.has_spans:
        examples = chain.add("Window", _window(chain.config, spans, others)).outputs["examples"]
        schema_gen = chain.add("SchemaGen", _schema_gen(chain))
    else:
        example_gen, schema_gen, example_validator = _add_reading(chain, Slot("", chain.fingerprints.corpus))
        examples, checked = example_gen.outputs["examples"], [example_validator]
    transform = chain.add("Transform", _transform(chain.config, examples, schema_gen))
    transform.add_upstream_nodes([*checked, after])
    return examples, transform


def _add_reading(
    chain: _Chain, slot: Slot, suffix: str = "", schema_gen: SchemaGen | None = None
) -> tuple[CorpusExampleGen, SchemaGen, StrictExampleValidator]:
    """Reads the text, of a span or all of it, and checks it.

    Args:
        chain: to which the components are added.
        slot: which span; without a number, all of it.
        suffix: of the components' names.
        schema_gen: the one that there is already, if so.
    """
    example_gen = chain.add(
        f"ExampleGen{suffix}",
        CorpusExampleGen(_corpus_settings(chain.config), fingerprint=slot.fingerprint, span=slot.number),
    )
    statistics_gen = chain.add(
        f"StatisticsGen{suffix}",
        tfx.components.StatisticsGen(
            examples=example_gen.outputs["examples"],
            stats_options=tfdv.StatsOptions(
                use_sketch_based_topk_uniques=True, num_top_values=5, num_rank_histogram_buckets=5
            ),
        ),
    )
    schema_gen = schema_gen or chain.add("SchemaGen", _schema_gen(chain))
    example_validator = chain.add(
        f"ExampleValidator{suffix}",
        StrictExampleValidator(
            statistics=statistics_gen.outputs["statistics"], schema=schema_gen.outputs["schema"]
        ),
    )  # fmt: skip
    return example_gen, schema_gen, example_validator


def _schema_gen(chain: _Chain) -> SchemaGen:
    return SchemaGen(schema_file=files.absolute(chain.config.corpus.schema_file), fingerprint=chain.fingerprints.schema)


def _corpus_settings(config: Config) -> str:
    """What decides how a text is read."""
    return json.dumps(config.corpus.model_dump(exclude={"schema_file", "window"}))


def _window(config: Config, spans: Sequence[Span], others: Sequence[str]) -> tfx.dsl.Resolver:
    """Looks among all Examples of the run's folder."""
    newest = tfx.proto.RangeConfig(rolling_range=tfx.proto.RollingRange(num_spans=config.corpus.window))
    return tfx.dsl.Resolver(
        strategy_class=window.Window,
        config={
            "range_config": newest,
            "known": json.dumps({span.number: span.fingerprint for span in spans}),
            "reading": reading(_corpus_settings(config)),
            "is_date": spans[0].is_date,
            "left_out": _of_no_span(others),
        },
        examples=tfx.dsl.Channel(type=tfx.types.standard_artifacts.Examples),
    )


def _of_no_span(paths: Sequence[str]) -> str:
    """What a person is told of them; all of them would go into ML Metadata with each run."""
    if not paths:
        return ""
    files = "1 file is" if len(paths) == 1 else f"{len(paths):,} files are"
    return f"{files} of no span, and left out; the first: {printable(paths[0])}"


def _transform(config: Config, examples: types.BaseChannel, schema_gen: SchemaGen) -> SkipGramTransform:
    return SkipGramTransform(
        examples=examples,
        schema=schema_gen.outputs["schema"],
        preprocessing_fn="components.skipgram.preprocessing.preprocessing_fn",
        custom_config={**config.skipgram.model_dump(), "shards": config.corpus.shards},
        splits_config=tfx.proto.SplitsConfig(analyze=["train"], transform=list(config.corpus.splits)),
        disable_analyzer_cache=True,
        disable_statistics=True,
    )


def _card(
    config: Config,
    channels: Mapping[str, types.BaseChannel],
    evaluator: Evaluator,
) -> ModelCard:
    groups = {"corpus", "skipgram", "trainer", "evaluator", *(["tuner"] if config.tuner.is_on else [])}
    settings = config.model_dump(include=groups)
    return ModelCard(
        **channels,
        model_blessing=evaluator.outputs["blessing"],
        name=config.name,
        settings=json.dumps(settings | {"trainer": _trainer_settings(config)}),
        code=json.dumps(fingerprint.facts()),
    )


def _add_pusher(
    chain: _Chain,
    question_gen: QuestionExampleGen,
    model: types.BaseChannel,
    evaluator: Evaluator,
    card: ModelCard,
    *,
    prunes: bool,
) -> None:
    config = chain.config
    keep = {"custom_config": config.keep.model_dump_json(include={"versions"})} if prunes else {}
    infra_blessing = None
    if config.serving.infra_validation != "off":
        infra_validator = chain.add("InfraValidator", _infra_validator(config, question_gen, model))
        infra_blessing = infra_validator.outputs["blessing"]
    chain.add(
        "Pusher",
        Pusher(
            model=model,
            model_blessing=evaluator.outputs["blessing"],
            infra_blessing=infra_blessing,
            model_card=card.outputs["model_card"],
            push_destination=tfx.proto.PushDestination(
                filesystem=tfx.proto.PushDestination.Filesystem(base_directory=config.destination)
            ),
            **keep,
        ),
    )


def _resolver(strategy: type[tfx.dsl.experimental.ResolverStrategy], **more: Any) -> tfx.dsl.Resolver:
    """Looks among all models and their blessings."""
    return tfx.dsl.Resolver(
        strategy_class=strategy,
        model=tfx.dsl.Channel(type=tfx.types.standard_artifacts.Model),
        model_blessing=tfx.dsl.Channel(type=tfx.types.standard_artifacts.ModelBlessing),
        **more,
    )


def _add_training(
    chain: _Chain,
    transform: SkipGramTransform,
    question_gen: QuestionExampleGen,
    checkpoints: str,
    pushed: Pushed | None,
) -> tuple[tfx.components.Trainer, Tuner | None]:
    """The Trainer, and the Tuner that finds its settings, if there is one."""
    config = chain.config
    base_model = _base_model(chain, transform, pushed)
    tuner = None
    if config.tuner.is_on:
        tuner = chain.add("Tuner", _tuner(config, transform, question_gen, base_model, checkpoints))
    eval_split = "eval" if "eval" in config.corpus.splits else None
    trainer = tfx.components.Trainer(
        run_fn="components.trainer.run_fn.run_fn",
        examples=transform.outputs["transformed_examples"],
        transform_graph=transform.outputs["transform_graph"],
        base_model=base_model,
        hyperparameters=tuner.outputs["best_hyperparameters"] if tuner else None,
        train_args=tfx.proto.TrainArgs(splits=["train"]),
        eval_args=tfx.proto.EvalArgs(splits=[eval_split or "train"]),
        custom_config={**_training_config(config, checkpoints, "Trainer"), "eval_split": eval_split},
    )
    return chain.add("Trainer", trainer), tuner


def _training_config(config: Config, checkpoints: str, component: str) -> dict[str, Any]:
    """What a component that trains has to know."""
    return {
        "trainer": _trainer_settings(config),
        "skipgram": config.skipgram.model_dump(),
        "checkpoints": checkpoints,
        "code": nodes.code_of(component),  # whose checkpoints are not taken up by another
    }


def _trainer_settings(config: Config) -> dict[str, Any]:
    """With the learning rates where none are set, unless a Tuner may choose the optimizer that they follow from."""
    return config.trainer.model_dump() if config.tuner.is_on else config.trainer.filled()


def _tuner(
    config: Config,
    transform: SkipGramTransform,
    question_gen: QuestionExampleGen,
    base_model: types.BaseChannel | None,
    checkpoints: str,
) -> Tuner:
    return Tuner(
        examples=transform.outputs["transformed_examples"],
        transform_graph=transform.outputs["transform_graph"],
        questions=question_gen.outputs["examples"],
        base_model=base_model,
        custom_config={
            **_training_config(config, checkpoints, "Tuner"),
            "tuner": config.tuner.model_dump(),
            "min_coverage": config.evaluator.min_coverage,
            "composed_words": config.evaluator.composed_words,
        },
    )


def _base_model(chain: _Chain, transform: SkipGramTransform, pushed: Pushed | None) -> types.BaseChannel | None:
    """The last blessed model, if a training looks at it."""
    config, earlier = chain.config, None
    if config.trainer.needs_earlier_model and pushed:
        earlier = LastPushed(folder=config.destination, version=pushed.start)
    elif config.trainer.needs_earlier_model:
        text = {baseline.TEXT: transform.outputs["transform_graph"]} if config.corpus.has_spans else {}
        earlier = _resolver(baseline.LastBlessed, **text)
    return chain.add("LastBlessedModel", earlier).outputs["model"] if earlier else None


def _add_evaluator(
    chain: _Chain, question_gen: QuestionExampleGen, trainer: tfx.components.Trainer, pushed: Pushed | None
) -> tuple[Evaluator, base_node.BaseNode]:
    """Holds the model against the thresholds, and against the last one that was blessed, which it also returns."""
    if pushed is None:
        last: Any = _resolver(baseline.LastBlessedOther, candidate=trainer.outputs["model"])
    else:
        last = LastPushed(folder=chain.config.destination, version=pushed.baseline)
    settings, last = chain.config.evaluator, chain.add("Baseline", last)
    evaluator = chain.add(
        "Evaluator",
        Evaluator(
            examples=question_gen.outputs["examples"],
            model=trainer.outputs["model"],
            baseline_model=last.outputs["model"],
            eval_config=eval_config.make(
                {name: threshold.model_dump() for name, threshold in settings.thresholds.items()},
                composed_words=settings.composed_words,
                min_coverage=settings.min_coverage,
                when_uncovered=settings.when_uncovered,
                samples=settings.bootstrap_samples,
                seed=settings.seed,
            ),
            min_stability=settings.min_stability,
            splits=[question_examples.SPLIT] if chain.config.tuner.is_on else None,
        ),
    )
    return evaluator, last


def _infra_validator(config: Config, question_gen: QuestionExampleGen, model: types.BaseChannel) -> InfraValidator:
    settings, proto = config.serving, tfx.proto
    platforms = {
        "docker": {"local_docker": proto.LocalDockerConfig()},
        "kubernetes": {
            "kubernetes": proto.KubernetesConfig(active_deadline_seconds=settings.loading_seconds + _ASKING_SECONDS)
        },
    }
    return InfraValidator(
        model=model,
        examples=question_gen.outputs["examples"],
        serving_spec=proto.ServingSpec(
            tensorflow_serving=proto.TensorFlowServing(image_name=settings.image, tags=settings.tags),
            **platforms[settings.infra_validation],
        ),
        validation_spec=proto.ValidationSpec(max_loading_time_seconds=settings.loading_seconds),
        request_spec=proto.RequestSpec(
            tensorflow_serving=proto.TensorFlowServingRequestSpec(signature_names=["evaluate"]), num_examples=10
        ),
    )
