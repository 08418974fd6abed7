from __future__ import annotations

import collections

import numpy as np
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from components import pairs
from components.trainer import blocks
from tests.components.test_pairs import DOCUMENTS, encode, enumerate_pairs


def pairs_of(batch):
    """The pairs that a batch of blocks stands for."""
    mask = blocks.pair_mask(batch).numpy()
    window = (batch.ids.shape[1] - batch.left.shape[1]) // 2
    ids = batch.ids.numpy()
    return [(int(ids[s, window + q]), int(ids[s, k])) for s, q, k in zip(*np.nonzero(mask), strict=True)]


@settings(max_examples=100, deadline=None)
@given(DOCUMENTS, st.integers(1, 9))
def test_blocks_hold_every_pair_once(documents, block_length):
    batch = blocks.pack(*encode(documents), window=7, block_length=block_length)
    assert collections.Counter(pairs_of(batch)) == collections.Counter(enumerate_pairs(documents))
    assert int(tf.reduce_sum(batch.left + batch.right)) == len(enumerate_pairs(documents))


def write(folder, documents, shards):
    for shard in range(shards):
        with tf.io.TFRecordWriter(str(folder / f"pairs-{shard:05d}-of-{shards:05d}.gz"), "GZIP") as writer:
            for document in documents[shard::shards]:
                features = {
                    name: tf.train.Feature(int64_list=tf.train.Int64List(value=[item[place] for item in document]))
                    for place, name in enumerate((pairs.TOKEN_IDS, pairs.RADII))
                }
                writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
    return sorted(str(path) for path in folder.glob("pairs-*"))


SPEC = {
    name: tf.io.RaggedFeature(tf.int64, value_key=name, row_splits_dtype=tf.int64)
    for name in (pairs.TOKEN_IDS, pairs.RADII)
}


def random_documents(count, seed=0):
    draw = np.random.default_rng(seed)
    return [
        [
            (int(token), int(radius))
            for token, radius in zip(draw.integers(0, 99, size), draw.integers(1, 6, size), strict=True)
        ]
        for size in draw.integers(0, 60, count)
    ]


def test_an_epoch_is_every_pair_of_the_files_once(tmp_path):
    documents = random_documents(700)
    files = write(tmp_path, documents, shards=3)
    arguments = {"feature_spec": SPEC, "window": 5, "block_length": 16, "blocks_per_step": 7, "seed": 1}
    epochs = [list(blocks.dataset(files, epoch=epoch, **arguments)) for epoch in (0, 0, 1, 2)]
    expected = collections.Counter(enumerate_pairs(documents))
    for epoch in epochs:
        assert (
            sum((collections.Counter(pairs_of(blocks.Blocks(*batch))) for batch in epoch), collections.Counter())
            == expected
        )
        assert all(batch[0].shape[0] == 7 for batch in epoch[:-1])
    first, again, *others = [np.concatenate([batch[0] for batch in epoch]) for epoch in epochs]
    np.testing.assert_array_equal(first, again)
    assert any(first.shape != other.shape or (first != other).any() for other in others)
