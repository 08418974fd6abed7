from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from word2vec.training import samplers

COUNTS = np.array([1000, 300, 100, 30, 10, 5, 5, 1])
EVERY = tf.range(len(COUNTS))


def claimed(sampler):
    return sampler.probability(EVERY).numpy().astype(np.float64)


def drawn(sampler, seed=1):
    ids = sampler.draw([200, 500], tf.constant([seed, 2], tf.int64)).numpy()
    assert ids.shape == (200, 500)
    assert ids.dtype == np.int32
    return np.bincount(ids.ravel(), minlength=len(COUNTS))


def assert_draws_as_claimed(sampler):
    probabilities = claimed(sampler)
    assert probabilities.sum() == pytest.approx(1, rel=1e-5)
    counts = drawn(sampler)
    assert scipy.stats.chisquare(counts, probabilities / probabilities.sum() * counts.sum()).pvalue > 1e-3
    np.testing.assert_allclose(sampler.expected_count(EVERY, 10), 10 * probabilities, rtol=1e-5)
    np.testing.assert_array_equal(drawn(sampler), counts)  # the same seed, the same words
    assert (drawn(sampler, seed=2) != counts).any()


@pytest.mark.parametrize("power", [0.0, 0.75, 1.0])
def test_unigram(power):
    sampler = samplers.make("unigram", COUNTS, power)
    np.testing.assert_allclose(claimed(sampler), COUNTS**power / (COUNTS**power).sum(), rtol=1e-5)
    assert_draws_as_claimed(sampler)


def test_uniform():
    sampler = samplers.make("uniform", COUNTS, 0.75)
    np.testing.assert_allclose(claimed(sampler), 1 / 8)
    assert_draws_as_claimed(sampler)


def test_log_uniform_is_that_of_tensorflow():
    sampler = samplers.make("log_uniform", COUNTS, 0.75)
    _, expected, _ = tf.random.log_uniform_candidate_sampler(
        tf.reshape(tf.cast(EVERY, tf.int64), [1, -1]), num_true=8, num_sampled=10, unique=False, range_max=8
    )
    np.testing.assert_allclose(sampler.expected_count(EVERY, 10), expected[0], rtol=1e-5)
    assert_draws_as_claimed(sampler)


def test_adaptive_starts_as_unigram_and_follows_the_loss():
    sampler = samplers.make("adaptive", COUNTS, 0.75)
    start = COUNTS**0.75 / (COUNTS**0.75).sum()
    np.testing.assert_allclose(claimed(sampler), start, rtol=1e-5)
    assert_draws_as_claimed(sampler)
    # Word 2 costs three times what it did at the start, word 0 nothing; the others as before.
    losses = np.full(8, np.log(2))
    losses[[0, 2]] = 0, 3 * np.log(2)
    for _ in range(300):
        sampler.observe(tf.concat([EVERY, EVERY], 0), tf.constant(np.tile(losses, 2), tf.float32))
    sampler.refresh()
    np.testing.assert_allclose(claimed(sampler), start * losses / (start * losses).sum(), atol=1e-5)
    assert_draws_as_claimed(sampler)


def test_adaptive_rebuilds_only_once_as_many_were_drawn_as_there_are_words():
    sampler = samplers.make("adaptive", COUNTS, 0.75)
    before = claimed(sampler)
    sampler.observe(tf.constant([2, 2, 2]), tf.constant([9.0, 9.0, 9.0]))
    sampler.refresh()
    np.testing.assert_array_equal(claimed(sampler), before)
    sampler.observe(tf.fill([5], 2), tf.fill([5], 9.0))
    sampler.refresh()
    assert claimed(sampler)[2] > before[2]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=50))
def test_an_alias_table_holds_the_distribution(weights):
    probabilities = np.array(weights) / np.sum(weights)
    kept, alias = samplers.alias_table(probabilities)
    n = len(weights)
    held = np.bincount(alias, weights=1 - kept.astype(np.float64), minlength=n) + kept
    np.testing.assert_allclose(held / n, probabilities, atol=1e-6)
    assert ((kept >= 0) & (kept <= 1)).all()
