"""The Evaluator's configuration: which metrics, on which slices, above which thresholds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tensorflow_model_analysis.proto import config_pb2 as tfma

from components.evaluator import metrics
from word2vec import questions

CANDIDATE, BASELINE = "candidate", "baseline"


# The served model's signature that answers, and the one that does so with composed words too.
KNOWN_WORDS, ALL_WORDS = "evaluate", "evaluate_composed"


def make(
    thresholds: Mapping[str, Mapping[str, float | None]], *, composed_words: bool = False, **options: Any
) -> tfma.EvalConfig:
    """The configuration for benchmarks.

    Args:
        thresholds: by benchmark or `benchmark/section`. `lower_bound`: the least score at which the model is blessed;
            `absolute`: the least change of the score from the baseline (-0.01: it may fall by so much).
        composed_words: whether words are judged whose vectors are made of their n-grams.
        **options: of `metrics.AnswerScores`.
    """
    metric = tfma.MetricConfig(
        class_name=metrics.AnswerScores.__name__, module=metrics.__name__, config=json.dumps(options)
    )
    spec = tfma.MetricsSpec(metrics=[metric])
    for name, threshold in thresholds.items():
        where = _slice(name)
        if (bound := threshold.get("lower_bound")) is not None:
            limit = tfma.MetricThreshold(value_threshold=tfma.GenericValueThreshold(lower_bound={"value": bound}))
            _add(spec, metrics.SCORE, where, limit)
        if (change := threshold.get("absolute")) is not None:
            limit = tfma.MetricThreshold(
                change_threshold=tfma.GenericChangeThreshold(
                    direction=tfma.MetricDirection.HIGHER_IS_BETTER, absolute={"value": change}
                )
            )
            _add(spec, metrics.SIGNIFICANT_CHANGE, where, limit)
    return tfma.EvalConfig(
        model_specs=[_model(name, ALL_WORDS if composed_words else KNOWN_WORDS) for name in (CANDIDATE, BASELINE)],
        slicing_specs=[
            tfma.SlicingSpec(feature_keys=[questions.BENCHMARK]),
            tfma.SlicingSpec(feature_keys=[questions.BENCHMARK, questions.SECTION]),
        ],
        metrics_specs=[spec],
    )


def limits_of(config: tfma.EvalConfig) -> dict[str, dict[str, float]]:
    """The thresholds of a configuration, as `make` takes them."""
    limits: dict[str, dict[str, float]] = {}
    for spec in config.metrics_specs:
        for per_slice in spec.per_slice_thresholds.values():
            for limit in per_slice.thresholds:
                features = limit.slicing_specs[0].feature_values
                name = "/".join(features[key] for key in (questions.BENCHMARK, questions.SECTION) if key in features)
                threshold = limit.threshold  # TFMA empties those of changes when there is no baseline
                if threshold.HasField("value_threshold"):
                    limits.setdefault(name, {})["lower_bound"] = threshold.value_threshold.lower_bound.value
                if threshold.HasField("change_threshold"):
                    limits.setdefault(name, {})["absolute"] = threshold.change_threshold.absolute.value
    return limits


def _model(name: str, signature: str) -> tfma.ModelSpec:
    return tfma.ModelSpec(
        name=name,
        is_baseline=name == BASELINE,
        signature_name=signature,
        prediction_key="answers",
        label_key=questions.SCORE,
        model_type="tf_generic",
    )


def _slice(name: str) -> tfma.SlicingSpec:
    benchmark, _, section = name.partition("/")
    features = {questions.BENCHMARK: benchmark} | ({questions.SECTION: section} if section else {})
    return tfma.SlicingSpec(feature_values=features)


def _add(spec: tfma.MetricsSpec, metric: str, where: tfma.SlicingSpec, limit: tfma.MetricThreshold) -> None:
    spec.per_slice_thresholds[metric].thresholds.append(
        tfma.PerSliceMetricThreshold(slicing_specs=[where], threshold=limit)
    )
