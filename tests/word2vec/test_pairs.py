from __future__ import annotations

import math

import numpy as np
import scipy.stats
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from word2vec import pairs

DOCUMENTS = st.lists(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 7)), max_size=12), min_size=1, max_size=6)


def enumerate_pairs(documents):
    """The definition, in plain Python."""
    found = []
    for document in documents:
        for i, (target, radius) in enumerate(document):
            found.extend((target, document[j][0]) for j in range(len(document)) if 0 < abs(i - j) <= radius)
    return found


def encode(documents):
    ids = tf.ragged.constant([[token for token, _ in document] for document in documents], dtype=tf.int64)
    return ids, tf.ragged.constant([[radius for _, radius in document] for document in documents], dtype=tf.int64)


def test_expand_by_hand():
    targets, contexts = pairs.expand(*encode([[(7, 1), (8, 2), (9, 1)], [], [(7, 5)]]))
    assert list(zip(targets.numpy(), contexts.numpy(), strict=True)) == [(7, 8), (8, 7), (8, 9), (9, 8)]


@settings(max_examples=100, deadline=None)
@given(DOCUMENTS)
def test_expand_gives_the_pairs_of_the_definition(documents):
    targets, contexts = pairs.expand(*encode(documents))
    assert list(zip(targets.numpy().tolist(), contexts.numpy().tolist(), strict=True)) == enumerate_pairs(documents)


def splitmix64(state):
    """Java's SplittableRandom.mix64, written anew in Python's integers."""
    mask = 2**64 - 1
    state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 & mask
    state = (state ^ (state >> 27)) * 0x94D049BB133111EB & mask
    return state ^ (state >> 31)


def test_draws_are_splitmix64_of_text_place_and_seed():
    texts, seed, stream = [b"one", b"", b"two"], 5, 1
    draws = pairs.uniform(tf.constant(texts), tf.constant([0, 2, 2, 5], tf.int64), seed, stream).numpy()
    expected = []
    for text, length in zip(texts, (2, 0, 3), strict=True):
        fingerprint = int(tf.strings.to_hash_bucket_fast(text, 2**63 - 1))
        start = splitmix64((fingerprint + (seed * 2 + stream) * 0x9E3779B97F4A7C15) % 2**64)
        expected += [
            (splitmix64((start + place * 0x9E3779B97F4A7C15) % 2**64) >> 40) / 2**24 for place in range(1, length + 1)
        ]
    np.testing.assert_array_equal(draws, np.float32(expected))


def test_draws_are_uniform_and_do_not_follow_one_another():
    texts = tf.constant([f"text {number}" for number in range(200)])
    splits = tf.range(0, 200 * 100 + 1, 100, tf.int64)
    first = pairs.uniform(texts, splits, 1, pairs.SUBSAMPLING).numpy()
    second = pairs.uniform(texts, splits, 1, pairs.RADIUS).numpy()
    for draws in (first, second):
        assert scipy.stats.kstest(draws, "uniform").pvalue > 1e-3
    for a, b in (
        (first, second),
        (first[1:], first[:-1]),
        (first, pairs.uniform(texts, splits, 2, pairs.SUBSAMPLING).numpy()),
    ):
        assert abs(np.corrcoef(a, b)[0, 1]) < 0.03


def test_draws_do_not_depend_on_the_batch():
    alone = pairs.uniform(tf.constant(["b"]), tf.constant([0, 3], tf.int64), 1, 0)
    together = pairs.uniform(tf.constant(["a", "b"]), tf.constant([0, 2, 5], tf.int64), 1, 0)
    np.testing.assert_array_equal(alone, together[2:])


def test_radii_are_each_as_likely():
    radii = pairs.draw_radii(tf.constant(np.linspace(0, 1, 10_000, endpoint=False), tf.float32), 5).numpy()
    assert np.bincount(radii).tolist() == [0, 2000, 2000, 2000, 2000, 2000]


def test_keep_probability_by_hand():
    kept = pairs.keep_probability(tf.constant([10.0, 400.0, 0.0]), tf.constant(1000.0), 0.1).numpy()
    np.testing.assert_allclose(kept, [1.0, math.sqrt(0.25) + 0.25, 1.0], rtol=1e-6)
    assert pairs.keep_probability(tf.constant([10.0]), tf.constant(10.0), 0).numpy() == 1


def test_extents_end_at_the_document():
    left, right = pairs.extents(tf.constant([0, 3, 3, 4], tf.int64), tf.constant([5, 1, 5, 5], tf.int64))
    assert (left.numpy().tolist(), right.numpy().tolist()) == ([0, 1, 2, 0], [2, 1, 0, 0])
