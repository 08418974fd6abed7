"""TFMA metrics over the answers that the served model gives to `components.questions`.

A prediction is NaN where a word is out of vocabulary: such a question counts against the coverage, and never as wrong.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

import apache_beam as beam
import numpy as np
import scipy.stats
import tensorflow_model_analysis as tfma

from components import questions


class _QuestionMetric(tfma.metrics.Metric):
    """A metric computed from counts or lists that a Beam CombineFn gathers."""

    def __init__(self, combiner: type[beam.CombineFn], name: str):
        super().__init__(functools.partial(_computations, combiner), name=name)


def _computations(
    combiner: type[beam.CombineFn], name: str = "", model_name: str = "", output_name: str = "", **_: Any
) -> list[Any]:
    key = tfma.metrics.MetricKey(name=name, model_name=model_name, output_name=output_name)
    features = tfma.metrics.FeaturePreprocessor(feature_keys=[questions.KIND])
    return [tfma.metrics.MetricComputation(keys=[key], preprocessors=[features], combiner=combiner(key))]


class AnalogyAccuracy(_QuestionMetric):
    """The share of right answers among the analogies whose words are all known; NaN if there is none."""

    def __init__(self, name: str = "analogy_accuracy"):
        super().__init__(_AnalogyAccuracy, name)


class SpearmanCorrelation(_QuestionMetric):
    """Spearman's rank correlation of cosines and people's scores, over the known pairs; NaN for fewer than three."""

    def __init__(self, name: str = "spearman_correlation"):
        super().__init__(_SpearmanCorrelation, name)


class Coverage(_QuestionMetric):
    """The share of questions whose words are all in the vocabulary."""

    def __init__(self, name: str = "coverage"):
        super().__init__(_Coverage, name)


def _answer(inputs: Any) -> tuple[str, float, float]:
    """(kind, label, prediction) of a question; the prediction is NaN if it was not covered."""
    kind = np.asarray(inputs.features[questions.KIND]).reshape(-1)[0]
    return (
        (kind.decode() if isinstance(kind, bytes) else str(kind)),
        float(np.ravel(inputs.label)[0]),
        float(np.ravel(inputs.prediction)[0]),
    )


class _MeanFn(beam.CombineFn):
    """A mean over some questions, from (sum, count)."""

    def __init__(self, key: tfma.metrics.MetricKey):
        self._key = key

    def create_accumulator(self) -> tuple[float, int]:
        return 0.0, 0

    def merge_accumulators(self, accumulators: Iterable[tuple[float, int]]) -> tuple[float, int]:
        totals = np.sum([(0.0, 0), *accumulators], axis=0)
        return float(totals[0]), int(totals[1])

    def extract_output(self, accumulator: tuple[float, int]) -> dict[tfma.metrics.MetricKey, float]:
        total, count = accumulator
        return {self._key: total / count if count else float("nan")}


class _AnalogyAccuracy(_MeanFn):
    def add_input(self, accumulator: tuple[float, int], inputs: Any) -> tuple[float, int]:
        kind, _, prediction = _answer(inputs)
        counts = kind == questions.ANALOGY and not np.isnan(prediction)
        return (accumulator[0] + prediction, accumulator[1] + 1) if counts else accumulator


class _Coverage(_MeanFn):
    def add_input(self, accumulator: tuple[float, int], inputs: Any) -> tuple[float, int]:
        return accumulator[0] + (not np.isnan(_answer(inputs)[2])), accumulator[1] + 1


class _SpearmanCorrelation(beam.CombineFn):
    """Gathers (label, prediction); benchmarks have thousands of pairs, not millions."""

    def __init__(self, key: tfma.metrics.MetricKey):
        self._key = key

    def create_accumulator(self) -> list[tuple[float, float]]:
        return []

    def add_input(self, accumulator: list[tuple[float, float]], inputs: Any) -> list[tuple[float, float]]:
        kind, label, prediction = _answer(inputs)
        if kind == questions.SIMILARITY and not np.isnan(prediction):
            accumulator.append((label, prediction))
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[list[tuple[float, float]]]) -> list[tuple[float, float]]:
        return [pair for accumulator in accumulators for pair in accumulator]

    def extract_output(self, accumulator: list[tuple[float, float]]) -> dict[tfma.metrics.MetricKey, float]:
        labels, predictions = zip(*accumulator, strict=True) if len(accumulator) > 2 else ((), ())
        return {self._key: float(scipy.stats.spearmanr(labels, predictions).statistic) if labels else float("nan")}
