"""The trainer's input: Transform's run-length encoded pairs, packed into blocks.

The tokens of many documents stand behind each other in one stream, which is cut every L positions. A block's queries
are its L positions; its keys are those and `window` more on either side. How far each query's context reaches, never
over its document's ends, says which of the scores are pairs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from components import pairs

DOCUMENTS_PER_CHUNK = 256


class Blocks(NamedTuple):
    """S blocks of L queries.

    Attributes:
        ids: int32 [S, L + 2 * window], the keys; the queries are those without the `window` at either end.
        left: int32 [S, L], how many keys on its left each query is paired with; 0 where the stream is padded.
        right: int32 [S, L], likewise on its right.
    """

    ids: tf.Tensor
    left: tf.Tensor
    right: tf.Tensor


def dataset(
    files: Sequence[str],
    feature_spec: Mapping[str, tf.io.RaggedFeature],
    *,
    window: int,
    block_length: int,
    blocks_per_step: int,
    seed: int,
    epoch: int,
) -> tf.data.Dataset:
    """All pairs of an epoch, each once, as `Blocks` of at most `blocks_per_step`.

    Args:
        files: Transform's shards.
        feature_spec: of `token_ids` and `radii`, from Transform's graph.
        window: the greatest radius.
        block_length: L.
        blocks_per_step: the greatest S.
        seed: with the epoch, decides the files' order; the documents' order within a file is Transform's.
        epoch: counted from 0.
    """
    order = np.random.default_rng([seed, epoch]).permutation(len(files))
    names = tf.data.Dataset.from_tensor_slices([files[index] for index in order])

    def chunk(serialized: tf.Tensor) -> Blocks:
        features = tf.io.parse_example(serialized, dict(feature_spec))
        return pack(features[pairs.TOKEN_IDS], features[pairs.RADII], window, block_length)

    return (
        names.interleave(
            lambda name: tf.data.TFRecordDataset(name, "GZIP"), cycle_length=2, num_parallel_calls=2, deterministic=True
        )
        .batch(DOCUMENTS_PER_CHUNK)
        .map(chunk, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        .rebatch(blocks_per_step)
        .prefetch(64)
    )


def pack(token_ids: tf.RaggedTensor, radii: tf.RaggedTensor, window: int, block_length: int) -> Blocks:
    """Packs documents into blocks.

    Args:
        token_ids: int64 [documents, (tokens)].
        radii: int64, of the same shape.
        window: the greatest radius.
        block_length: L.

    Returns:
        As many blocks as the tokens fill, the last one padded.
    """
    left, right = pairs.extents(token_ids.row_splits, radii.flat_values)
    tokens = tf.size(token_ids.flat_values)
    count = -(-tokens // block_length)
    padding = count * block_length - tokens
    keys = tf.range(count)[:, tf.newaxis] * block_length + tf.range(block_length + 2 * window)
    return Blocks(
        ids=tf.gather(tf.pad(tf.cast(token_ids.flat_values, tf.int32), [[window, window + padding]]), keys),
        left=tf.reshape(tf.pad(tf.cast(left, tf.int32), [[0, padding]]), [count, block_length]),
        right=tf.reshape(tf.pad(tf.cast(right, tf.int32), [[0, padding]]), [count, block_length]),
    )


def pair_mask(blocks: Blocks) -> tf.Tensor:
    """Which query and which key of a block are a pair: bool [S, L, L + 2 * window]."""
    length = tf.shape(blocks.left)[1]
    keys = tf.shape(blocks.ids)[1]
    window = (keys - length) // 2
    offsets = (tf.range(keys) - window)[tf.newaxis, :] - tf.range(length)[:, tf.newaxis]
    within = (offsets >= -blocks.left[:, :, tf.newaxis]) & (offsets <= blocks.right[:, :, tf.newaxis])
    return within & (offsets != 0)
