"""What is predicted from what: skip-gram and CBOW (Mikolov et al. 2013, arXiv 1301.3781, sections 3.1 and 3.2).

Both score queries with keys. A skip-gram query is a word, and its keys are the words around it. A CBOW query is put
together from the words around a position, and its key is the word at that position.
"""

from __future__ import annotations

import abc
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from word2vec import settings
from word2vec.training import window_weights
from word2vec.training.blocks import Blocks


class Examples(NamedTuple):
    """What S blocks of L positions teach.

    Attributes:
        inputs: int32 [S, inputs], the words whose target vectors make the queries.
        mix: float32 [S, L, inputs], how much of each input is in each query; None where the inputs are the queries.
        keys: int32 [S, keys], the words that are predicted, whose context vectors the queries are scored with.
        pairs: float32 [S, L, keys], what each query and key count as a pair; 0 for those that are none.
    """

    inputs: tf.Tensor
    mix: tf.Tensor | None
    keys: tf.Tensor
    pairs: tf.Tensor


class Architecture(abc.ABC):
    """Makes examples of blocks.

    Args:
        window: w.
        block_length: L.
        weighting: see `window_weights.by_distance`.
    """

    def __init__(self, window: int, block_length: int, weighting: settings.WindowWeights):
        self.window = window
        reach = np.arange(window + 1)[:, np.newaxis]
        distance = np.arange(1, window + 1)
        within = np.where(distance <= reach, window_weights.by_distance(window, weighting), 0)  # [reach, distance - 1]
        left = np.zeros((block_length, window + 1, block_length + 2 * window), np.float32)
        for query in range(block_length):
            left[query, :, query + window - distance] = within.T
        right = left[::-1, :, ::-1]
        # A row for each position and both its reaches: one look-up gives all the weights of a position.
        rows = left[:, :, np.newaxis] + right[:, np.newaxis]
        self._rows = tf.constant(rows.reshape(-1, rows.shape[-1]))
        self._reaches = window + 1
        self._first = tf.range(block_length) * self._reaches**2

    @abc.abstractmethod
    def __call__(self, blocks: Blocks) -> Examples:
        """The examples of some blocks."""

    @abc.abstractmethod
    def keys(self, blocks: Blocks) -> tf.Tensor:
        """The keys of some blocks alone: int32 [S, keys]."""

    def around(self, blocks: Blocks) -> tf.Tensor:
        """What each word around a position counts there: float32 [S, L, L + 2 * window], 0 for those out of reach."""
        return tf.gather(self._rows, self._first + blocks.left * self._reaches + blocks.right)

    def at(self, blocks: Blocks) -> tf.Tensor:
        """The words at the positions: int32 [S, L]."""
        return blocks.ids[:, self.window : -self.window]


class SkipGram(Architecture):
    """Predicts the words around a word."""

    def __call__(self, blocks: Blocks) -> Examples:
        """A query per position, and a pair for each word around it."""
        return Examples(self.at(blocks), None, self.keys(blocks), self.around(blocks))

    def keys(self, blocks: Blocks) -> tf.Tensor:
        """The words at the positions, and a window more on either side."""
        return blocks.ids


class CBOW(Architecture):
    """Predicts a word from those around it.

    A query is the sum of the target vectors around its position over the root of their number (of what they count, if
    they count by distance). word2vec takes their mean, and changes each of them by the mean's whole gradient, where
    1/n of it is right (Irsoy, Benton and Stratos 2020, arXiv 2012.15332). With the root the gradient is right and, for
    windows of n words, each vector moves as word2vec's does: these are word2vec's vectors over the root of n.
    """

    def __call__(self, blocks: Blocks) -> Examples:
        """A query and a pair per position that has words around it."""
        around = self.around(blocks)
        count = tf.reduce_sum(around, -1, keepdims=True)
        own = tf.linalg.diag(tf.sign(count)[..., 0])
        return Examples(blocks.ids, around * tf.math.rsqrt(tf.maximum(count, 1e-9)), self.keys(blocks), own)

    def keys(self, blocks: Blocks) -> tf.Tensor:
        """The words at the positions."""
        return self.at(blocks)


BY_NAME: dict[settings.Architecture, type[Architecture]] = {"skipgram": SkipGram, "cbow": CBOW}
