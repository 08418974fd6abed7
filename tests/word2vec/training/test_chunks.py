from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from word2vec.training import blocks, chunks


@pytest.mark.parametrize("drawn", [False, True])
def test_chunks_are_cut_as_the_tensorflow_steps_blocks_are(drawn):
    draw = np.random.default_rng(3)
    lengths = [0, 1, 40, 2, 0, 17, 3]
    ids = draw.integers(0, 99, sum(lengths)).astype(np.int32)
    radii = draw.integers(1, 6, len(ids)).astype(np.int32) if drawn else None
    documents = blocks.Documents(ids, np.cumsum([0, *lengths]), radii, epoch=2, seed=(1, 2, 3))
    chunk = chunks.cut(documents, window=5, length=16, first=10)

    def ragged(values):
        return tf.RaggedTensor.from_row_lengths(tf.constant(values, tf.int64), lengths)

    packed = blocks.pack(ragged(ids), ragged(np.full(len(ids), 5) if radii is None else radii), 5, 16)
    windows = np.lib.stride_tricks.sliding_window_view(chunk.ids, 26)[::16]
    np.testing.assert_array_equal(windows, packed.ids)
    np.testing.assert_array_equal(chunk.left.reshape(-1, 16), packed.left)
    np.testing.assert_array_equal(chunk.right.reshape(-1, 16), packed.right)
    assert sorted(chunk.order) == list(range(4))
    assert chunk.first == 2 * blocks.STEPS_PER_EPOCH + 10
    again, other = (
        chunks.cut(documents._replace(seed=seed), 5, 16, 10).order.tolist() for seed in ((1, 2, 3), (1, 2, 4))
    )
    assert again == chunk.order.tolist() != other


def test_no_documents_are_no_blocks():
    nothing = blocks.Documents(np.zeros(0, np.int32), np.zeros(1, np.int64), None, 0, (1,))
    assert len(chunks.cut(nothing, 5, 16, 0).order) == 0
