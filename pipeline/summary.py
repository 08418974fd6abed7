"""What a run made, read from its artifacts: the corpus, the scores against their thresholds, the verdict, the model."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Mapping

import tensorflow as tf
import tensorflow_model_analysis as tfma
import tensorflow_transform as tft

from components import questions, vocabulary
from components.benchmarks import files as benchmark_files
from components.corpus.report import CorpusReport
from components.trainer import vectors
from pipeline.configs import Config, benchmark_name
from pipeline.local import ComponentRun


@dataclasses.dataclass(frozen=True)
class BenchmarkResult:
    """A benchmark's score: accuracy or correlation, NaN if nothing could be asked; its coverage; any threshold."""

    name: str
    metric: str
    score: float
    coverage: float
    threshold: float | None

    @property
    def passed(self) -> bool | None:
        """Whether the score reaches the threshold; None where there is none."""
        return None if self.threshold is None else self.score >= self.threshold


@dataclasses.dataclass(frozen=True)
class Summary:
    """What a run made.

    Attributes:
        corpus: what ExampleGen read.
        vocabulary_size: words.
        benchmarks: the scores.
        blessed: whether the Evaluator blessed the model.
        reasons: why not, one a threshold.
        neighbours: of some words the nearest, by word.
        model: the pushed model's folder, or None.
        vectors: the folder of the vectors, as files that other tools read.
        logs: the folder of TensorBoard's logs.
    """

    corpus: CorpusReport
    vocabulary_size: int
    benchmarks: list[BenchmarkResult]
    blessed: bool
    reasons: list[str]
    neighbours: dict[str, list[str]]
    model: str | None
    vectors: str
    logs: str


def read(config: Config, runs: Mapping[str, ComponentRun]) -> Summary:
    """Reads the artifacts of a finished run."""
    words = vocabulary.read(
        tft.TFTransformOutput(_uri(runs, "Transform", "transform_graph")).vocabulary_file_by_name(vocabulary.ASSET)
    )
    scores = _benchmarks(config, _uri(runs, "Evaluator", "evaluation"))
    pushed = runs["Pusher"].outputs["pushed_model"][0]
    return Summary(
        corpus=CorpusReport.read(os.path.join(_uri(runs, "ExampleGen", "examples"), CorpusReport.FILE)),
        vocabulary_size=len(words),
        benchmarks=scores,
        blessed=runs["Evaluator"].outputs["blessing"][0].get_int_custom_property("blessed") == 1,
        reasons=_reasons(scores),
        neighbours=_neighbours(
            os.path.join(_uri(runs, "Trainer", "model"), "Format-Serving"), _well_known(config, words)
        ),
        model=pushed.get_string_custom_property("pushed_destination")
        if pushed.get_int_custom_property("pushed")
        else None,
        vectors=os.path.join(_uri(runs, "Trainer", "model"), vectors.FOLDER),
        logs=_uri(runs, "Trainer", "model_run"),
    )


def _uri(runs: Mapping[str, ComponentRun], component: str, key: str) -> str:
    return runs[component].outputs[key][0].uri


def _benchmarks(config: Config, evaluation: str) -> list[BenchmarkResult]:
    metrics = {
        dict(slice_key).get(questions.BENCHMARK): values[""][""]
        for slice_key, values in tfma.load_eval_result(evaluation).slicing_metrics
        if len(slice_key) == 1
    }
    results = []
    for path in config.evaluator.benchmarks:
        name = benchmark_name(path)
        values = {key: float(next(iter(value.values()), math.nan)) for key, value in metrics[name].items()}
        metric = max(("analogy_accuracy", "spearman_correlation"), key=lambda metric: not math.isnan(values[metric]))
        results.append(
            BenchmarkResult(
                name,
                metric.replace("_", " "),
                values[metric],
                values["coverage"],
                config.evaluator.thresholds.get(name),
            )
        )
    return results


def _reasons(scores: list[BenchmarkResult]) -> list[str]:
    if not any(score.threshold is not None for score in scores):
        return ["no threshold is set (evaluator.thresholds), and a model that nothing vouches for is not pushed"]
    return [
        f"{score.name}: {score.metric} {score.score:.3f} "
        f"is {score.threshold - score.score:.3f} below its threshold {score.threshold}"
        if not math.isnan(score.score)
        else f"{score.name}: none of its questions could be asked, for their words are not in the vocabulary"
        for score in scores
        if score.passed is False
    ]


def _well_known(config: Config, words: vocabulary.Vocabulary) -> list[str]:
    """The benchmarks' words that are most frequent in the corpus: they mean something to a reader, unlike `the`."""
    asked = {
        word.lower()
        for path in config.evaluator.benchmarks
        for question in benchmark_files.read(path, "")
        if question.kind == questions.SIMILARITY
        for word in question.words
    }
    return [word for word in words.words if word in asked][:6] or words.words[:6]


def _neighbours(model: str, words: list[str]) -> dict[str, list[str]]:
    answers = tf.saved_model.load(model).signatures["most_similar"](words=tf.constant(words), k=tf.constant(6))
    return {
        word: [neighbour.decode() for neighbour in row]
        for word, row in zip(words, answers["neighbours"].numpy(), strict=True)
    }
