"""What is shown of an evaluation."""

from __future__ import annotations

import math

import pytest

from components.evaluator import metrics, results


def make(section, *, score=0.5, lower_bound=None, absolute=None, change=math.nan):
    values = dict.fromkeys(
        (name + suffix for name in metrics.MAIN.values() for suffix in ("", "_lower", "_upper")), math.nan
    )
    values |= {"spearman_correlation": score, "spearman_correlation_lower": 0.4, "spearman_correlation_upper": 0.6}
    changes = {"change": change, "change_lower": change - 0.1, "change_upper": change + 0.1}
    return results.Result("mine", section, values, {}, changes, lower_bound, absolute, ())


def test_whole_benchmarks_and_sections_with_a_threshold_are_shown():
    made = [make(None), make("plain"), make("bound", lower_bound=0.0), make("change", absolute=0.0)]
    shown = results.Evaluation(made, has_thresholds=True).shown
    assert [result.section for result in shown] == [None, "bound", "change"]


@pytest.mark.parametrize(("score", "interval", "text"), [(0.5, (0.4, 0.6), "0.400 to 0.600"), (math.nan, None, "")])
def test_without_a_score_there_is_no_interval(score, interval, text):
    assert make(None, score=score).interval == interval
    assert results.interval_text(interval) == text


def test_without_a_change_there_is_no_interval_of_it():
    assert make(None).change_interval is None
    assert make(None, change=0.25).change_interval == pytest.approx((0.15, 0.35))
    assert results.Result("mine", None, {}, {}, {}, None, None, ()).change_interval is None
