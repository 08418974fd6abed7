"""The search among a vocabulary's unit vectors: nearest words, and ranks of answers.

The vocabulary is worked through in blocks, so that what is held does not grow with it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

# Queries, and scores of queries with words of the vocabulary, that are held at a time: 2 M x 4 bytes are 8 MB.
QUERIES_AT_A_TIME = 256
SCORES_AT_A_TIME = 2_000_000

# Words of which the maximum is looked at before they are.
_GROUP = 128


def nearest(unit: tf.Tensor, queries: tf.Tensor, excluded: tf.Tensor, k: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The words with the highest cosines, the highest first, from one block of the vocabulary to the next.

    Args:
        unit: float [V, D], of length 1.
        queries: float [n, D], of length 1.
        excluded: int64 [n, e], words that are never among the highest.
        k: int32 [], at most the number of other words.

    Returns:
        (cosines: float [n, k], ids: int64 [n, k]).
    """
    size, wanted = tf.shape(unit)[0], k + tf.shape(excluded)[1]
    rows, count = _rows_at_a_time(queries), tf.shape(queries)[0]
    # TensorFlow multiplies a matrix with one vector more slowly than with two.
    queries = tf.pad(queries, [[0, tf.cast(count == 1, tf.int32)], [0, 0]])

    def merge_block(start: tf.Tensor, scores: tf.Tensor, ids: tf.Tensor) -> tuple[tf.Tensor, ...]:
        stop = start + _whole_groups(tf.minimum(rows, size - start))
        cosines = tf.matmul(queries, unit[start:stop], transpose_b=True)[:count]
        highest, places = _top_k(cosines, tf.minimum(wanted, stop - start))
        scores = tf.concat([scores, highest], 1)
        ids = tf.concat([ids, tf.cast(places + start, tf.int64)], 1)
        scores, places = tf.math.top_k(scores, tf.minimum(wanted, tf.shape(scores)[1]))
        return stop, scores, tf.gather(ids, places, batch_dims=1)

    of_any_size = tf.TensorShape([None, None])
    _, scores, ids = tf.while_loop(
        lambda start, *_: start < size,
        merge_block,
        (tf.constant(0), tf.zeros([count, 0]), tf.zeros([count, 0], tf.int64)),
        shape_invariants=(tf.TensorShape([]), of_any_size, of_any_size),
        parallel_iterations=1,
    )
    is_excluded = tf.reduce_any(ids[:, :, tf.newaxis] == excluded[:, tf.newaxis], -1)
    scores, places = tf.math.top_k(tf.where(is_excluded, -float("inf"), scores), k)
    return scores, tf.gather(ids, places, batch_dims=1)


def ranks(unit: tf.Tensor, ids: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The ranks of the answers to analogies a : b :: c : d, of all words but a, b and c: 1 the first.

    A rank is one more than the number of words with a higher score, which needs no sorting. Cosines are moved to
    [0, 2] and compared without dividing.

    Args:
        unit: float [V, D], of length 1.
        ids: int64 [n, 4], of a, b, c and d.

    Returns:
        (by 3CosAdd: float [n], by 3CosMul: float [n]), infinite where d is one of the others.
    """
    size, target = tf.shape(unit)[0], ids[:, 3:]
    # The questions of a section share their words: each word's cosines are computed once.
    words, places = tf.unique(tf.reshape(ids[:, :3], [-1]))
    queries, places = tf.gather(unit, words), tf.reshape(places, [-1, 3])
    shifted = 1 + tf.reduce_sum(tf.gather(unit, ids[:, :3]) * tf.gather(unit, target), -1)
    a, b, c = tf.split(shifted, 3, 1)
    added, multiplied = b + c - a, b * c / (a + 2e-6)
    is_first, rows = _first_occurrences(ids), _rows_at_a_time(ids)

    def count_block(start: tf.Tensor, *counts: tf.Tensor) -> tuple[tf.Tensor, ...]:
        stop = tf.minimum(start + rows, size)
        shifted = 1 + tf.matmul(queries, unit[start:stop], transpose_b=True)
        a, b, c = (tf.gather(shifted, places[:, column]) for column in range(3))
        columns = tf.cast(ids, tf.int32) - start
        not_counted = is_first & (columns >= 0) & (columns < stop - start)
        columns = tf.clip_by_value(columns, 0, stop - start - 1)
        higher = (b + c - a > added, b * c > multiplied * (a + 2e-6))
        return stop, *(
            count + _sum(row) - _sum(not_counted & tf.gather(row, columns, batch_dims=1))
            for count, row in zip(counts, higher, strict=True)
        )

    zero = tf.zeros([tf.shape(ids)[0]])
    _, *counts = tf.while_loop(
        lambda start, *_: start < size, count_block, (tf.constant(0), zero, zero), parallel_iterations=1
    )
    is_answer = tf.reduce_all(ids[:, :3] != target, 1)
    return tuple(tf.where(is_answer, 1 + count, float("inf")) for count in counts)


def in_chunks(
    function: Callable[[tf.Tensor], tuple[tf.Tensor, ...]], ids: tf.Tensor, dtypes: tuple[tf.DType, ...]
) -> Any:
    """Applies a function to some rows at a time, to bound memory whatever the batch; joins what it returns."""
    count = tf.shape(ids)[0]
    chunks = tf.maximum(-(-count // QUERIES_AT_A_TIME), 1)  # of no rows too, one chunk, which gives the shapes
    parts = tuple(tf.TensorArray(dtype, size=chunks, infer_shape=False) for dtype in dtypes)
    _, parts = tf.while_loop(
        lambda i, _: i < chunks,
        lambda i, arrays: (
            i + 1,
            tuple(
                array.write(i, value)
                for array, value in zip(
                    arrays, function(ids[i * QUERIES_AT_A_TIME : (i + 1) * QUERIES_AT_A_TIME]), strict=True
                )
            ),
        ),
        (0, parts),
    )
    return tuple(part.concat() for part in parts)


def _rows_at_a_time(queries: tf.Tensor) -> tf.Tensor:
    return tf.maximum(SCORES_AT_A_TIME // tf.maximum(tf.shape(queries)[0], 1), 1)


def _whole_groups(count: tf.Tensor) -> tf.Tensor:
    """As many as fill groups of _GROUP; or all, if they fill none."""
    return tf.where(count < _GROUP, count, count // _GROUP * _GROUP)


def _top_k(scores: tf.Tensor, k: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """As `tf.math.top_k`, two to three times as fast: the k highest are in the k groups with the highest maxima.

    Args:
        scores: float [n, m]; m is a multiple of _GROUP, or less than it.
        k: int32 [], at most m.
    """
    width = tf.shape(scores)[1]
    group = tf.minimum(width, _GROUP)
    grouped = tf.reshape(scores, [tf.shape(scores)[0], width // tf.maximum(group, 1), group])
    _, groups = tf.math.top_k(tf.reduce_max(grouped, 2), tf.minimum(k, tf.shape(grouped)[1]))
    candidates = tf.gather(grouped, groups, batch_dims=1)
    scores, places = tf.math.top_k(tf.reshape(candidates, [tf.shape(scores)[0], tf.shape(groups)[1] * group]), k)
    return scores, tf.gather(groups, places // group, batch_dims=1) * group + places % group


def _sum(values: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(tf.cast(values, tf.float32), 1)


def _first_occurrences(ids: tf.Tensor) -> tf.Tensor:
    """Whether an id stands for the first time in its row: bool [n, m], from int64 [n, m]."""
    same = ids[:, :, tf.newaxis] == ids[:, tf.newaxis]
    return ~tf.reduce_any(tf.linalg.band_part(same, -1, 0) & ~tf.eye(ids.shape[1], dtype=tf.bool), -1)
