from __future__ import annotations

import collections
import itertools

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.word2vec.test_pairs import DOCUMENTS, encode, enumerate_pairs
from word2vec import pairs
from word2vec.training import architectures, blocks


def pairs_of(batch, weighting="drawn"):
    """The pairs that blocks stand for, and what each counts."""
    window = (batch.ids.shape[1] - batch.left.shape[1]) // 2
    weights = architectures.SkipGram(window, batch.left.shape[1], weighting)(batch).pairs.numpy()
    ids, found = batch.ids.numpy(), collections.Counter()
    for s, q, k in zip(*np.nonzero(weights), strict=True):
        found[int(ids[s, window + q]), int(ids[s, k])] += float(weights[s, q, k])
    return found


@settings(max_examples=100, deadline=None)
@given(DOCUMENTS, st.integers(1, 9))
def test_blocks_hold_every_pair_once(documents, block_length):
    batch = blocks.pack(*encode(documents), window=7, block_length=block_length)
    assert pairs_of(batch) == collections.Counter(enumerate_pairs(documents))
    assert int(tf.reduce_sum(batch.left + batch.right)) == len(enumerate_pairs(documents))


def test_expected_weights_by_hand():
    """Window 2: a neighbour is within every radius, the next but one within half of them."""
    ids, _ = encode([[(1, 0), (2, 0), (3, 0)], [(4, 0)]])
    batch = blocks.pack(ids, ids.with_flat_values(tf.fill([4], tf.constant(2, tf.int64))), window=2, block_length=3)
    assert pairs_of(batch, "expected") == {
        (1, 2): 1, (2, 1): 1, (2, 3): 1, (3, 2): 1, (1, 3): 0.5, (3, 1): 0.5
    }  # fmt: skip


def test_harmonic_weights_by_hand():
    ids, _ = encode([[(1, 0), (2, 0), (3, 0), (4, 0)]])
    batch = blocks.pack(ids, ids.with_flat_values(tf.fill([4], tf.constant(3, tf.int64))), window=3, block_length=2)
    by_distance = {1: 1.0, 2: 0.5, 3: 1 / 3}
    found = pairs_of(batch, "harmonic")
    assert found.keys() == {(a, b) for a in range(1, 5) for b in range(1, 5) if a != b}
    for (a, b), weight in found.items():
        assert weight == pytest.approx(by_distance[abs(a - b)])


def test_expected_weights_are_the_mean_of_drawn_pairs():
    draw = np.random.default_rng(0)
    tokens, window, times = list(range(9)), 4, 4000
    drawn = [[(token, int(radius)) for token, radius in zip(tokens, row, strict=True)]
             for row in draw.integers(1, window + 1, (times, len(tokens)))]  # fmt: skip
    mean = pairs_of(blocks.pack(*encode(drawn), window=window, block_length=16))
    once = [[(token, window) for token in tokens]]
    expected = pairs_of(blocks.pack(*encode(once), window=window, block_length=16), "expected")
    assert mean.keys() == expected.keys()
    for pair, weight in expected.items():
        assert mean[pair] / times == pytest.approx(weight, abs=0.04)


def write(folder, documents, shards):
    for shard in range(shards):
        with tf.io.TFRecordWriter(str(folder / f"pairs-{shard:05d}-of-{shards:05d}.gz"), "GZIP") as writer:
            for document in documents[shard::shards]:
                features = {
                    stored.value_key: tf.train.Feature(
                        int64_list=tf.train.Int64List(value=[item[place] for item in document])
                    )
                    for place, stored in enumerate(pairs.features().values())
                }
                writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
    return sorted(str(path) for path in folder.glob("pairs-*"))


def random_documents(count, seed=0):
    draw = np.random.default_rng(seed)
    return [
        [
            (int(token), int(radius))
            for token, radius in zip(draw.integers(0, 99, size), draw.integers(1, 6, size), strict=True)
        ]
        for size in draw.integers(0, 60, count)
    ]


@pytest.mark.parametrize("weighting", ["drawn", "expected"])
def test_an_epoch_is_every_pair_of_the_files_once(tmp_path, weighting):
    documents = random_documents(700)
    files = write(tmp_path, documents, shards=3)
    arguments = {"window": 5, "weighting": weighting, "block_length": 16, "blocks_per_step": 7, "seed": 1}
    epochs = [list(blocks.dataset(files, epoch=epoch, **arguments)) for epoch in (0, 0, 1, 2)]
    if weighting == "expected":
        documents = [[(token, 5) for token, _ in document] for document in documents]
    expected = collections.Counter(enumerate_pairs(documents))
    for epoch in epochs:
        found = sum((pairs_of(batch.blocks) for batch in epoch), collections.Counter())
        assert found == expected
        assert all(batch.blocks.ids.shape == (7, 26) for batch in epoch)  # the last one is filled up
    first, again, *others = [np.concatenate([batch.blocks.ids for batch in epoch]) for epoch in epochs]
    np.testing.assert_array_equal(first, again)
    assert any(first.shape != other.shape or (first != other).any() for other in others)
    steps = [int(batch.step) for epoch in epochs[1:] for batch in epoch]
    assert len(set(steps)) == len(steps)  # no two steps draw the same noise


@pytest.mark.parametrize("weighting", ["expected", "drawn"])
@pytest.mark.parametrize("most_kept", [0, 2**20])
def test_chunks_are_the_documents_of_the_files_once(tmp_path, weighting, most_kept):
    documents = random_documents(700)
    files = write(tmp_path, documents, shards=3)
    chunks = blocks.DocumentChunks(files, weighting=weighting, seed=1, most_kept=most_kept)
    orders = []
    for epoch in range(3):
        found = []
        for chunk in chunks(epoch):
            for start, end in itertools.pairwise(chunk.row_splits):
                ids = chunk.ids[start:end]
                radii = np.full(len(ids), 5) if chunk.radii is None else chunk.radii[start:end]
                found.append([*zip(ids.tolist(), radii.tolist(), strict=True)])
        expected = [[(word, radius if weighting == "drawn" else 5) for word, radius in one] for one in documents]
        assert sorted(found) == sorted(expected)
        orders.append(found)
    assert orders[0] != orders[1]
    again = blocks.DocumentChunks(files, weighting=weighting, seed=1, most_kept=most_kept)
    assert [chunk.seed for chunk in again(2)] == [chunk.seed for chunk in chunks(2)]
    for one, other in zip(again(2), chunks(2), strict=True):  # kept or not, they come in the same order
        np.testing.assert_array_equal(one.ids, other.ids)
