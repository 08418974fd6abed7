from __future__ import annotations

import math
import types

import pytest
import scipy.stats

from components.evaluator import eval_config, metrics

NAN = math.nan


def inputs(kind, label, prediction):
    return types.SimpleNamespace(features={"kind": [kind.encode()]}, label=[label], prediction=[prediction])


QUESTIONS = [
    *(inputs("analogy", 1, prediction) for prediction in (1.0, 0.0, 1.0, NAN)),
    *(inputs("similarity", label, cosine) for label, cosine in ((9, 0.8), (2, 0.3), (7, 0.9), (1, 0.1), (5, NAN))),
]


def compute(combiner, asked, parts=3):
    """Runs a CombineFn as Beam would, in several accumulators."""
    combine = combiner("key")
    accumulators = []
    for part in range(parts):
        accumulator = combine.create_accumulator()
        for question in asked[part::parts]:
            accumulator = combine.add_input(accumulator, question)
        accumulators.append(accumulator)
    return combine.extract_output(combine.merge_accumulators(accumulators))["key"]


def test_accuracy_leaves_out_what_could_not_be_asked():
    assert compute(metrics._AnalogyAccuracy, QUESTIONS) == pytest.approx(2 / 3)


def test_coverage_counts_it():
    assert compute(metrics._Coverage, QUESTIONS) == pytest.approx(7 / 9)


def test_spearman():
    expected = scipy.stats.spearmanr([9, 2, 7, 1], [0.8, 0.3, 0.9, 0.1]).statistic
    assert compute(metrics._SpearmanCorrelation, QUESTIONS) == pytest.approx(expected) == pytest.approx(0.8)


@pytest.mark.parametrize("combiner", [metrics._AnalogyAccuracy, metrics._Coverage, metrics._SpearmanCorrelation])
def test_nothing_asked_is_no_number(combiner):
    assert math.isnan(compute(combiner, []))


def test_thresholds_go_to_the_metric_of_their_benchmark():
    config = eval_config.make({"pairs": "similarity", "quads": "analogy"}, {"pairs": 0.4, "quads": 0.2})
    limits = {
        metric.class_name: [
            (dict(limit.slicing_specs[0].feature_values), limit.threshold.value_threshold.lower_bound.value)
            for limit in metric.per_slice_thresholds
        ]
        for metric in config.metrics_specs[0].metrics
    }
    assert limits == {
        "AnalogyAccuracy": [({"benchmark": "quads"}, 0.2)],
        "SpearmanCorrelation": [({"benchmark": "pairs"}, 0.4)],
        "Coverage": [],
    }
