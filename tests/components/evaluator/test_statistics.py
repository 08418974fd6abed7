from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from components.evaluator import statistics
from components.evaluator.statistics import Answers, Bootstrap
from word2vec import questions

NAN = math.nan


def analogies(ranks):
    ranks = np.asarray(ranks, float)
    values = np.stack([np.full_like(ranks, NAN), ranks, ranks + 1], -1)
    return Answers(np.ones(len(ranks), bool), np.ones(len(ranks)), values)


def pairs(labels, cosines):
    cosines = np.asarray(cosines, float)
    values = np.stack([cosines, np.full_like(cosines, NAN), np.full_like(cosines, NAN)], -1)
    return Answers(np.zeros(len(cosines), bool), np.asarray(labels, float), values)


def test_accuracies():
    answers = analogies([1, 5, math.inf, 1]).of_kind(True)
    measured = [statistics.MEASURES[name](answers) for name in list(statistics.MEASURES)[:4]]
    assert measured == [0.5, 0.75, 0.0, 0.5]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(-3, 3)), min_size=3, max_size=30))
def test_correlations_are_scipys(rows):
    labels, cosines = zip(*rows, strict=True)
    for measure, reference in (
        (statistics.spearman, scipy.stats.spearmanr),
        (statistics.pearson, scipy.stats.pearsonr),
    ):
        got = measure(pairs(labels, cosines))
        if len(set(labels)) == 1 or len(set(cosines)) == 1:
            assert math.isnan(got)
        else:
            assert got == pytest.approx(reference(labels, cosines)[0], abs=1e-12)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(-3, 3), st.integers(0, 999)), min_size=3, max_size=30),
    st.sampled_from(["spearman_correlation", "pearson_correlation", "analogy_accuracy_top5"]),
)
def test_a_sample_is_measured_as_if_it_had_been_drawn(rows, name):
    """Also one in which everything is alike."""
    labels, cosines, numbers = map(np.array, zip(*rows, strict=True))
    drawn = numbers % len(rows)

    def answers(which):
        return analogies(labels[which]) if "accuracy" in name else pairs(labels[which], cosines[which])

    measure, every = statistics.MEASURES[name], np.arange(len(rows))
    got = measure(answers(every), np.array([np.bincount(drawn, minlength=len(rows)), np.ones(len(rows))]))
    assert got[0] == pytest.approx(measure(answers(drawn)), abs=1e-12, nan_ok=True)
    assert got[1] == pytest.approx(measure(answers(every)), abs=1e-12, nan_ok=True)


def test_coverage_and_what_cannot_be_measured():
    answers = pairs([1, 2, 3, 4], [0.1, NAN, 0.3, NAN])
    assert answers.coverage == 0.5
    assert answers.kind == questions.SIMILARITY
    assert math.isnan(statistics.spearman(answers.of_kind(False)))
    assert all(math.isnan(measure(answers.of_kind(True))) for measure in statistics.MEASURES.values())
    assert all(math.isnan(bound) for bound in Bootstrap(100, 1).intervals([statistics.spearman], pairs([], []))[0])


@pytest.mark.parametrize(
    ("labels", "cosines", "distinct"),
    [
        ([], [], (0, 0, 0)),
        ([1], [0.5], (1, 1, 1)),
        ([1, 2, 2, 1], [0.1, 0.2, 0.2, 0.1], (2, 2, 2)),
        ([1, 2, 3], [0.1, NAN, 0.3], (2, 2, 2)),
        ([1, 1, 1, 1], [0.1, 0.2, 0.3, 0.3], (3, 1, 3)),
    ],
)
def test_repeated_pairs_are_no_more_than_one(labels, cosines, distinct):
    answers = pairs(labels, cosines)
    assert answers.distinct == distinct
    assert len(answers.of_kind(False).judged.labels) == (4 if distinct[0] == 3 else 0)


def test_the_interval_of_a_share_is_that_of_the_binomial_distribution():
    answers = analogies([1] * 300 + [2] * 700)
    ((lower, upper),) = Bootstrap(4000, 1).intervals([statistics.MEASURES["analogy_accuracy"]], answers)
    expected = scipy.stats.binom(1000, 0.3).ppf([0.025, 0.975]) / 1000
    np.testing.assert_allclose([lower, upper], expected, atol=0.003)


def test_shares_vary_as_if_each_answer_were_drawn():
    """As other measures are: of a share it is known how often a sample has a right answer."""
    draw = np.random.default_rng(1)
    one, other = (analogies(np.where(draw.random(2000) < share, 1.0, 3.0)) for share in (0.3, 0.35))
    share, bootstrap = statistics.MEASURES["analogy_accuracy"], Bootstrap(4000, 1)

    def drawn(answers, counts):
        return share(answers, counts)

    np.testing.assert_allclose(bootstrap.intervals([share], one), bootstrap.intervals([drawn], one), atol=0.002)
    np.testing.assert_allclose(
        bootstrap.interval_of_change(share, one, other), bootstrap.interval_of_change(drawn, one, other), atol=0.003
    )


def test_the_seed_decides_the_samples():
    answers = analogies([1, 2] * 50_000)
    measures = [statistics.MEASURES["analogy_accuracy"]]
    assert Bootstrap(200, 3).intervals(measures, answers) == Bootstrap(200, 3).intervals(measures, answers)
    assert Bootstrap(200, 3).intervals(measures, answers) != Bootstrap(200, 4).intervals(measures, answers)


def test_a_change_is_measured_on_the_same_samples():
    """A model that is right on ten questions more: each alone varies by more than they differ."""
    draw = np.random.default_rng(1)
    ranks = np.where(draw.random(400) < 0.5, 1.0, math.inf)
    better = ranks.copy()
    better[np.flatnonzero(ranks > 1)[:10]] = 1
    measure, bootstrap = statistics.MEASURES["analogy_accuracy"], Bootstrap(1000, 1)
    assert bootstrap.interval_of_change(measure, analogies(ranks), analogies(ranks)) == (0, 0)
    lower, upper = bootstrap.interval_of_change(measure, analogies(better), analogies(ranks))
    assert 0 < lower < 10 / 400 < upper
    ((own_lower, own_upper),) = bootstrap.intervals([measure], analogies(ranks))
    assert own_lower < measure(analogies(better)) < own_upper


@pytest.mark.parametrize("measure", [statistics.pearson, statistics.spearman])
@pytest.mark.parametrize("same", [0.1, 1 / 3, 1e-9, 1e9])
def test_what_never_differs_has_no_correlation(measure, same):
    """The mean of equal numbers is not always that number, to the last bit."""
    labels, cosines = [same] * 7, [0.3, 0.1, 0.5, 0.2, 0.7, 0.6, 0.9]
    assert math.isnan(measure(pairs(labels, cosines)))
    assert math.isnan(measure(pairs(cosines, labels)))
