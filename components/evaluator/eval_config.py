"""The Evaluator's configuration: which metrics, on which slices, above which thresholds."""

from __future__ import annotations

from collections.abc import Mapping

from tensorflow_model_analysis.proto import config_pb2 as tfma

from components import questions

METRICS = {questions.ANALOGY: "analogy_accuracy", questions.SIMILARITY: "spearman_correlation"}
CLASSES = {"analogy_accuracy": "AnalogyAccuracy", "spearman_correlation": "SpearmanCorrelation", "coverage": "Coverage"}


def make(kinds: Mapping[str, str], thresholds: Mapping[str, float]) -> tfma.EvalConfig:
    """The configuration for benchmarks.

    Args:
        kinds: what each benchmark asks, `analogy` or `similarity`; the first is measured by its accuracy, the second by
            Spearman's correlation.
        thresholds: the least score of a benchmark at which the model is blessed.
    """
    metrics = []
    for name, class_name in CLASSES.items():
        limits = [
            _threshold(benchmark, bound) for benchmark, bound in thresholds.items() if METRICS[kinds[benchmark]] == name
        ]
        metrics.append(
            tfma.MetricConfig(class_name=class_name, module="components.evaluator.metrics", per_slice_thresholds=limits)
        )
    return tfma.EvalConfig(
        model_specs=[
            tfma.ModelSpec(
                signature_name="evaluate", prediction_key="score", label_key=questions.SCORE, model_type="tf_generic"
            )
        ],
        slicing_specs=[
            tfma.SlicingSpec(feature_keys=[questions.BENCHMARK]),
            tfma.SlicingSpec(feature_keys=[questions.BENCHMARK, questions.SECTION]),
        ],
        metrics_specs=[tfma.MetricsSpec(metrics=metrics)],
    )


def _threshold(benchmark: str, bound: float) -> tfma.PerSliceMetricThreshold:
    return tfma.PerSliceMetricThreshold(
        slicing_specs=[tfma.SlicingSpec(feature_values={questions.BENCHMARK: benchmark})],
        threshold=tfma.MetricThreshold(value_threshold=tfma.GenericValueThreshold(lower_bound={"value": bound})),
    )
