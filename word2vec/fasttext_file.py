"""fastText's own file of a model, which `fasttext.load_model` and gensim's `load_facebook_vectors` read.

Its layout is that of fastText 0.9: `FastText::saveModel`, `Args::save`, `Dictionary::save` and `DenseMatrix::save`.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from word2vec.settings import SubwordSettings
from word2vec.subwords import Buckets, Subwords
from word2vec.vocabulary import Vocabulary

_MAGIC, _VERSION = 793712314, 12
_NEGATIVE_SAMPLING, _SKIPGRAM = 2, 2
_NOT_PRUNED, _WORD = -1, 0

# What fastText would go on training with; a file needs some.
_WINDOW, _EPOCHS, _MIN_COUNT, _NEGATIVES, _WORD_NGRAMS, _UPDATE_RATE, _SUBSAMPLING = 5, 5, 1, 5, 1, 100, 1e-4

_ROWS_AT_A_TIME = 65_536


def write(file: Any, words: Vocabulary, vectors: np.ndarray, buckets: Buckets | None) -> None:
    """Writes a model.

    Args:
        file: open for writing bytes.
        words: by falling frequency.
        vectors: float32 [V, D].
        buckets: the rows of n-grams of which the vectors are made; None for words without n-grams.
    """
    settings = buckets.settings if buckets else None
    count, dimensions = vectors.shape
    shortest, longest, size = settings.numbers if settings else (0, 0, 0)
    file.write(struct.pack("<2i", _MAGIC, _VERSION))
    numbers = (dimensions, _WINDOW, _EPOCHS, _MIN_COUNT, _NEGATIVES, _WORD_NGRAMS, _NEGATIVE_SAMPLING, _SKIPGRAM)
    file.write(struct.pack("<12id", *numbers, size, shortest, longest, _UPDATE_RATE, _SUBSAMPLING))
    file.write(struct.pack("<3i2q", count, count, 0, int(words.counts.sum()), _NOT_PRUNED))
    for word, times in zip(words.words, words.counts.tolist(), strict=True):
        file.write(word.encode() + b"\0" + struct.pack("<qb", times, _WORD))
    _begin_table(file, count + size, dimensions)
    _write_rows(file, _own_rows(words, vectors, settings, buckets))
    if buckets:
        _write_buckets(file, buckets, dimensions)
    _begin_table(file, count, dimensions)
    for start in range(0, count, _ROWS_AT_A_TIME):
        file.write(bytes(4 * dimensions * min(_ROWS_AT_A_TIME, count - start)))


def _own_rows(
    words: Vocabulary, vectors: np.ndarray, settings: SubwordSettings | None, buckets: Buckets | None
) -> np.ndarray:
    if settings is None or buckets is None:
        return vectors
    return Subwords.of(words.words, settings).own_rows(vectors, buckets.rows)


def _begin_table(file: Any, rows: int, dimensions: int) -> None:
    """That it is not quantised, and its size."""
    file.write(struct.pack("<?2q", False, rows, dimensions))


def _write_buckets(file: Any, buckets: Buckets, dimensions: int) -> None:
    """All of them; those that have no row are zeros."""
    for start in range(0, buckets.settings.buckets, _ROWS_AT_A_TIME):
        stop = min(start + _ROWS_AT_A_TIME, buckets.settings.buckets)
        rows = np.zeros((stop - start, dimensions), np.float32)
        first, last = np.searchsorted(buckets.numbers, (start, stop))
        rows[buckets.numbers[first:last] - start] = buckets.rows[first:last]
        _write_rows(file, rows)


def _write_rows(file: Any, rows: np.ndarray) -> None:
    for start in range(0, len(rows), _ROWS_AT_A_TIME):
        file.write(np.ascontiguousarray(rows[start : start + _ROWS_AT_A_TIME], "<f4").tobytes())
