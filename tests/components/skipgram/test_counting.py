from __future__ import annotations

import collections

import apache_beam as beam
import numpy as np
import pytest
import tensorflow as tf
from apache_beam.testing import test_pipeline, util
from hypothesis import given, settings
from hypothesis import strategies as st

from components.skipgram import counting

BATCHES = st.lists(st.lists(st.tuples(st.sampled_from("abcdefgh\u00e9"), st.integers(1, 9)), max_size=12), max_size=8)


def arrays(batch):
    tokens, counts = zip(*batch, strict=True) if batch else ((), ())
    return np.array([token.encode() for token in tokens], object), np.array(counts, np.float32)


def told(batches, most_kept):
    """What a bundle tells, in parts: one per batch, and one for its end."""
    counter = counting._CountInBundle(most_kept)
    counter.start_bundle()
    parts = [list(counter.process(arrays(batch))) for batch in batches]
    return [tokens(part) for part in (*parts, [counted.value for counted in counter.finish_bundle()])]


def tokens(parts):
    """(token, count) of all tables; each token is in the part that its hash says."""
    numbers = [number for number, _ in parts]
    assert numbers == sorted(set(numbers))
    tables = [(number, counting._from_bytes(table).to_pydict()) for number, table in parts]
    for number, table in tables:
        assert {*tf.strings.to_hash_bucket_fast(table["token"], counting._PARTS).numpy()} == {number}
    return [pair for _, table in tables for pair in zip(table["token"], table["count"], strict=True)]


def total(batches):
    counts = collections.Counter()
    for batch in batches:
        for token, count in batch:
            counts[token.encode()] += count
    return counts


@settings(max_examples=50, deadline=None)
@given(batches=BATCHES, most_kept=st.integers(1, 12))
def test_a_bundle_tells_all_counts_however_little_it_keeps(batches, most_kept):
    found = collections.Counter()
    for part in told(batches, most_kept):
        assert len({token for token, _ in part}) == len(part)
        for token, count in part:
            found[token] += count
    assert found == total(batches)


def test_a_bundle_tells_each_token_once_if_it_can_keep_them():
    *early, last = told([[("a", 1), ("b", 2)], [("a", 3)], [("c", 1)] * 5], most_kept=100)
    assert early == [[], [], []]
    assert sorted(last) == [(b"a", 4.0), (b"b", 2.0), (b"c", 5.0)]


def test_a_bundle_keeps_no_more_than_it_may():
    batches = [[(chr(0x4E00 + 40 * batch + word), 1) for word in range(40)] for batch in range(8)]
    assert max(len(part) for part in told(batches, most_kept=60)) <= 2 * 60 + 40


@pytest.mark.parametrize("bundles", [1, 3])
def test_sums_over_bundles(bundles):
    batches = [[("a", 1), ("b", 2)], [("a", 2**24)], [("b", 1)]]
    with test_pipeline.TestPipeline() as pipeline:
        counts = pipeline | beam.Create([arrays(batch) for batch in batches][:bundles]) | counting.CountTokens()
        util.assert_that(counts, util.equal_to(list(total(batches[:bundles]).items())))
