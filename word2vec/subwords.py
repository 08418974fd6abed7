"""Subwords: a word's vector is the mean of a row of its own and of the rows of its character n-grams.

After Bojanowski et al. 2017, arXiv 1607.04606, section 3.2. The n-grams, their hash and the mean are those of fastText
0.9, whose files hold such a model: n-grams of the word between `<` and `>`, which share the rows of so many buckets. Of
the buckets, only those are kept that an n-gram of the vocabulary falls into: the others were never trained.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from word2vec.settings import SubwordSettings

# FNV-1a's of 32 bits (Fowler, Noll and Vo).
_BASIS, _PRIME, _BITS = 2166136261, 16777619, 2**32 - 1

_MOST_BYTES_PER_CHARACTER = 4

# Words of a vocabulary that are looked at, and whose rows are added up, at a time.
_WORDS_AT_A_TIME = 4096


class Buckets(NamedTuple):
    """The rows that n-grams share, of which vectors of other words than the vocabulary's can be made.

    Attributes:
        settings: by which n-grams are found.
        numbers: int32 [G], rising: the buckets that have rows.
        rows: float [G, D].
    """

    settings: SubwordSettings
    numbers: np.ndarray
    rows: np.ndarray


class Subwords(NamedTuple):
    """Of which rows of a table the vectors of a vocabulary's words are the means.

    The table's first rows are the words' own, and behind them are those of the buckets.

    Attributes:
        settings: by which the n-grams were found.
        splits: int64 [V + 1]; word w's rows are rows[splits[w] : splits[w + 1]].
        rows: int32 [r]; of each word its own row, and then those of its n-grams: one that it has twice counts twice.
        buckets: int32 [G], rising: those that have rows.
    """

    settings: SubwordSettings
    splits: np.ndarray
    rows: np.ndarray
    buckets: np.ndarray

    @classmethod
    def of(cls, words: Sequence[str], settings: SubwordSettings) -> Subwords:
        """Those of a vocabulary's words."""
        found = [
            buckets_of(tf.constant(words[start : start + _WORDS_AT_A_TIME]), settings)
            for start in range(0, len(words), _WORDS_AT_A_TIME)
        ]
        lengths = np.concatenate([part.row_lengths().numpy() for part in found])
        buckets, places = np.unique(np.concatenate([part.flat_values.numpy() for part in found]), return_inverse=True)
        splits = np.append(0, np.cumsum(lengths + 1))
        own = splits[:-1]
        rows = np.empty(splits[-1], np.int32)
        is_own = np.zeros(len(rows), bool)
        is_own[own] = True
        rows[own] = np.arange(len(words))
        rows[~is_own] = len(words) + places
        return cls(settings, splits, rows, buckets.astype(np.int32))

    def to_config(self) -> dict[str, Any]:
        """What `from_config` needs, for JSON."""
        arrays = {name: getattr(self, name).tolist() for name in ("splits", "rows", "buckets")}
        return {"settings": self.settings.model_dump(), **arrays}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Subwords:
        """As `to_config` says."""
        splits = np.array(config["splits"], np.int64)
        rows, buckets = (np.array(config[name], np.int32) for name in ("rows", "buckets"))
        return cls(SubwordSettings(**config["settings"]), splits, rows, buckets)

    @property
    def size(self) -> int:
        """Rows of the table."""
        return len(self.splits) - 1 + len(self.buckets)

    def compose(self, table: np.ndarray) -> np.ndarray:
        """The words' vectors, float32 [V, D], from a table, float32 [V + G, D]."""
        return self._means(table, own=True)

    def own_rows(self, vectors: np.ndarray, of_buckets: np.ndarray) -> np.ndarray:
        """What `compose` makes vectors of: the words' own rows.

        Args:
            vectors: float32 [V, D].
            of_buckets: the buckets' rows, float32 [G, D].
        """
        count = np.diff(self.splits)[:, np.newaxis].astype(np.float32)
        return vectors * count - self._means(of_buckets, own=False) * count

    def _means(self, table: np.ndarray, *, own: bool) -> np.ndarray:
        """The sums of words' rows over their number; without the own ones, of a table of the buckets' alone."""
        words = len(self.splits) - 1
        means = np.empty((words, table.shape[1]), np.float32)
        for start, stop in self._parts():
            splits = self.splits[start : stop + 1]
            rows = self.rows[splits[0] : splits[-1]]
            values = table[rows] if own else _without_own(table, rows - words)
            means[start:stop] = np.add.reduceat(values, splits[:-1] - splits[0]) / np.diff(splits)[:, np.newaxis]
        return means

    def _parts(self) -> Iterator[tuple[int, int]]:
        words = len(self.splits) - 1
        return ((start, min(start + _WORDS_AT_A_TIME, words)) for start in range(0, words, _WORDS_AT_A_TIME))


def _without_own(of_buckets: np.ndarray, places: np.ndarray) -> np.ndarray:
    """The buckets' rows at places, zeros where these are negative."""
    values = np.zeros((len(places), of_buckets.shape[1]), np.float32)
    values[places >= 0] = of_buckets[places[places >= 0]]
    return values


def buckets_of(words: tf.Tensor, settings: SubwordSettings) -> tf.RaggedTensor:
    """The buckets of words' n-grams, as fastText's `Dictionary::computeSubwords` finds them.

    Args:
        words: string [n], in UTF-8.
        settings: which n-grams, and how many buckets there are.

    Returns:
        int64 [n, (n-grams)], by where they begin, the shorter ones first. fastText leaves the marks of a word's ends
        out where they stand alone.
    """
    marked = tf.strings.join(["<", words, ">"])
    lengths = tf.strings.length(marked)
    codes = tf.cast(tf.io.decode_raw(tf.strings.reduce_join(marked), tf.uint8), tf.int64)
    ends = tf.repeat(tf.cumsum(lengths), lengths)  # of the word that a byte is in
    first = ends - tf.repeat(lengths, lengths)
    places = tf.range(tf.size(codes))
    begins = tf.bitwise.bitwise_and(codes, 0xC0) != 0x80  # a character
    reach = _MOST_BYTES_PER_CHARACTER * settings.max
    codes = tf.pad(tf.where(codes < 0x80, codes, codes + (_BITS - 0xFF)), [[0, reach]])  # C++'s bytes have a sign
    after = tf.pad(begins, [[0, reach + 1]], constant_values=True)
    hashes, found = [], []
    value, characters = tf.fill(tf.shape(places), tf.constant(_BASIS, tf.int64)), tf.zeros_like(places)
    for step in range(reach):
        value = tf.bitwise.bitwise_xor(value, codes[step : step + tf.size(places)])
        value = tf.bitwise.bitwise_and(value * _PRIME, _BITS)
        characters += tf.cast(after[step : step + tf.size(places)], tf.int32)
        last = places + step + 1  # the place after the n-gram
        whole = begins & (last <= ends) & after[step + 1 : step + 1 + tf.size(places)]
        mark = (characters == 1) & ((places == first) | (last == ends))
        hashes.append(value)
        found.append(whole & (characters >= settings.min) & (characters <= settings.max) & ~mark)
    which = tf.stack(found, 1)
    values = tf.boolean_mask(tf.stack(hashes, 1), which) % settings.buckets
    of_word = tf.repeat(tf.range(tf.size(words, tf.int64)), lengths)
    rowids = tf.repeat(of_word, tf.math.count_nonzero(which, 1, dtype=tf.int32))
    return tf.RaggedTensor.from_value_rowids(values, rowids, tf.size(words, tf.int64))
