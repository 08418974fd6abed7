"""The trainer's input: Transform's run-length encoded pairs, packed into blocks.

The tokens of many documents stand behind each other in one stream, which is cut every L positions. A block has a
query for each of its L positions, and the words there and `window` more on either side. How far each position's context
reaches, never over its document's ends, says which of these are around it; `architectures` says what is predicted from
what.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from word2vec import pairs, settings
from word2vec.errors import UserError
from word2vec.training import window_weights

DOCUMENTS_PER_CHUNK = 256

# More than an epoch can have: the steps of different epochs must not draw the same noise.
STEPS_PER_EPOCH = 2**32


class Blocks(NamedTuple):
    """S blocks of L queries.

    Attributes:
        ids: int32 [S, L + 2 * window], the words at the positions, and `window` more at either end.
        left: int32 [S, L], how many words on its left are around each position; 0 where the stream is padded.
        right: int32 [S, L], the same on its right.
    """

    ids: tf.Tensor
    left: tf.Tensor
    right: tf.Tensor

    def positions(self) -> tf.Tensor:
        """How many queries have a pair: int64 []."""
        return tf.math.count_nonzero(self.left + self.right)


class Documents(NamedTuple):
    """Some documents of an epoch.

    Attributes:
        ids: int32 [n], the tokens of all of them.
        row_splits: int64 [documents + 1].
        radii: int32 [n]; None where every pair within the window counts.
        epoch: counted from 0.
        seed: decides the order of their blocks.
    """

    ids: np.ndarray
    row_splits: np.ndarray
    radii: np.ndarray | None
    epoch: int
    seed: tuple[int, ...]


class Batch(NamedTuple):
    """What a step trains on.

    Attributes:
        step: int64 [], unlike that of any other step; it decides the noise.
        blocks: always the same number of them.
    """

    step: tf.Tensor
    blocks: Blocks


def shards_in(folder: str) -> list[str]:
    """The shards in a folder, sorted.

    Raises:
        UserError: there is none.
    """
    names = sorted(tf.io.gfile.glob(os.path.join(folder, "*-of-*.gz")))
    if not names:
        raise UserError(
            f"{folder}: no examples here. An earlier component's output is missing; run without cache (--no-cache)"
        )
    return names


def dataset(
    files: Sequence[str],
    *,
    window: int,
    weighting: settings.WindowWeights,
    block_length: int,
    blocks_per_step: int,
    seed: int,
    epoch: int,
) -> tf.data.Dataset:
    """All pairs of an epoch, each once, as `Batch`es; the last one is filled up with blocks without pairs.

    Args:
        files: Transform's shards.
        window: the greatest radius.
        weighting: see `window_weights.by_distance`.
        block_length: L.
        blocks_per_step: S.
        seed: with the epoch, decides the order of the files, and of the blocks within some hundred documents; the
            documents' order within a file is Transform's.
        epoch: counted from 0.
    """
    order = np.random.default_rng([seed, epoch]).permutation(len(files))
    names = tf.data.Dataset.from_tensor_slices([files[index] for index in order])

    def chunk(number: tf.Tensor, serialized: tf.Tensor) -> Blocks:
        features = tf.io.parse_example(serialized, pairs.features())
        ids, radii = features[pairs.TOKEN_IDS], features[pairs.RADII]
        if not window_weights.by_radius(weighting):
            radii = radii.with_flat_values(tf.fill(tf.shape(radii.flat_values), tf.constant(window, tf.int64)))
        packed = pack(ids, radii, window, block_length)
        return _shuffle(packed, tf.stack([tf.constant(seed, tf.int64), epoch * STEPS_PER_EPOCH + number]))

    filler = tf.data.Dataset.from_tensors(_no_blocks(blocks_per_step - 1, window, block_length))
    return (
        names.interleave(
            lambda name: tf.data.TFRecordDataset(name, "GZIP"), cycle_length=2, num_parallel_calls=2, deterministic=True
        )
        .batch(DOCUMENTS_PER_CHUNK)
        .enumerate()
        .map(chunk, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        .concatenate(filler)
        .rebatch(blocks_per_step, drop_remainder=True)
        .enumerate(epoch * STEPS_PER_EPOCH)
        .map(lambda step, blocks: Batch(step, Blocks(*blocks)))
    )


class DocumentChunks:
    """The documents of Transform's shards, some hundred at a time: the compiled kernel's input.

    Few enough of them stay in memory after the first epoch: to read them takes a quarter of the time of training.

    Args:
        files: Transform's shards.
        weighting: see `window_weights.by_distance`.
        seed: with the epoch, decides the order of the files, and of the blocks within some hundred documents; the
            documents' order within a file is Transform's.
        share: (i, n) for the share of worker i of n: as many files as each other one, and of the files that are left
            over, which all read, every n-th of the hundreds of documents.
        most_kept: bytes that stay in memory at most.
    """

    def __init__(
        self,
        files: Sequence[str],
        *,
        weighting: settings.WindowWeights,
        seed: int,
        share: tuple[int, int] = (0, 1),
        most_kept: int = 2**29,
    ):
        worker, workers = share
        even = len(files) - len(files) % workers
        own = files[:even][worker::workers]
        self._files, self._own, self._share = [*own, *files[even:]], len(own), share
        self._seed, self._most_kept = seed, most_kept
        names = [pairs.TOKEN_IDS, pairs.RADII] if window_weights.by_radius(weighting) else [pairs.TOKEN_IDS]
        self._features = {name: pairs.features()[name] for name in names}
        self._kept: dict[int, list[tuple[np.ndarray, ...]]] | None = None

    def __call__(self, epoch: int) -> Iterator[Documents]:
        """The documents of an epoch, counted from 0, each once."""
        order = np.random.default_rng([self._seed, epoch]).permutation(len(self._files))
        kept = self._kept
        chunks = (
            self._read(order) if kept is None else ((int(file), *chunk) for file in order for chunk in kept[int(file)])
        )
        worker, workers = self._share
        of_all = 0  # chunks of the files that all read, in the order that they have for all
        for number, (file, ids, row_splits, *radii) in enumerate(chunks):
            if file >= self._own:
                of_all += 1
                if of_all % workers != worker:
                    continue
            yield Documents(ids, row_splits, radii[0] if radii else None, epoch, (self._seed, epoch, number))

    def _read(self, order: np.ndarray) -> Iterator[tuple[Any, ...]]:
        """Reads the files in an order, and keeps what was read, once that is all; each chunk comes with its file."""
        kept: dict[int, list[tuple[np.ndarray, ...]]] = {int(file): [] for file in order}
        size = 0
        for file, *arrays in self._parsed(order).as_numpy_iterator():
            size += sum(array.nbytes for array in arrays)
            if size <= self._most_kept:
                kept[int(file)].append(tuple(arrays))
            else:
                kept.clear()
                self._most_kept = 0
            yield int(file), *arrays
        if size <= self._most_kept:
            self._kept = kept

    def _parsed(self, order: np.ndarray) -> tf.data.Dataset:
        def parse(file: tf.Tensor, serialized: tf.Tensor) -> tuple[tf.Tensor, ...]:
            features = tf.io.parse_example(serialized, self._features)
            ids, *radii = (features[name] for name in self._features)
            flat = [tf.cast(values.flat_values, tf.int32) for values in (ids, *radii)]
            return file, flat[0], ids.row_splits, *flat[1:]

        def chunks(file: tf.Tensor, name: tf.Tensor) -> tf.data.Dataset:
            serialized = tf.data.TFRecordDataset(name, "GZIP").batch(DOCUMENTS_PER_CHUNK)
            return serialized.map(lambda batch: (file, batch))

        files = tf.data.Dataset.from_tensor_slices((order, [self._files[index] for index in order]))
        return files.flat_map(chunks).map(parse, num_parallel_calls=2, deterministic=True).prefetch(8)


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


def _shuffle(blocks: Blocks, seed: tf.Tensor) -> Blocks:
    """Blocks in another order, so that those of a step are not all from one document, and repeat fewer words."""
    order = tf.argsort(tf.random.stateless_uniform([tf.shape(blocks.ids)[0]], seed))
    return Blocks(*(tf.gather(field, order) for field in blocks))


def _no_blocks(count: int, window: int, block_length: int) -> Blocks:
    nothing = tf.zeros([count, block_length], tf.int32)
    return Blocks(tf.zeros([count, block_length + 2 * window], tf.int32), nothing, nothing)
