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

# Words that are looked at at a time: where a vector does not fill whole cache lines, as one of 300 numbers, TensorFlow
# copies a block of them first, which takes a quarter of the time if the copy stays in the cache.
_WORDS_AT_A_TIME = 16_384

# Words of which the maximum is looked at before they are.
_GROUP = 128


# From some rows of unit vectors, float [m, D], to their scores, float [n, m].
Scores = Callable[[tf.Tensor], tf.Tensor]


def cosines(queries: tf.Tensor) -> Scores:
    """Scores words by their cosines with queries, float [n, D], of length 1."""
    return lambda block: _products(queries, block)


def _products(queries: tf.Tensor, block: tf.Tensor) -> tf.Tensor:
    """Of queries, float [n, D], with rows, float [m, D]: float [n, m].

    The rows come first, and what they give is turned: the other way round TensorFlow lays all rows out anew, which
    takes five times as long as the product where there are few queries (measured without AVX-512).
    """
    return tf.transpose(tf.matmul(block, queries, transpose_b=True))


# From unit vectors of words, float [n, w, D], and their signs, float [n, w], to what scores n queries, and how many
# products with vectors that takes, int32 [].
Scored = Callable[[tf.Tensor, tf.Tensor], tuple[Scores, tf.Tensor]]


def sums(terms: tf.Tensor, signs: tf.Tensor) -> tuple[Scores, tf.Tensor]:
    """Scores words by their cosines with the sum of some terms (3CosAdd; Mikolov et al. 2013, arXiv 1301.3781).

    Args:
        terms: float [n, w, D], of length 1.
        signs: float [n, w], 1 or -1; 0 for terms that do not count.
    """
    return cosines(tf.math.l2_normalize(tf.reduce_sum(signs[:, :, tf.newaxis] * terms, 1), 1)), tf.shape(signs)[0]


def products(terms: tf.Tensor, signs: tf.Tensor) -> tuple[Scores, tf.Tensor]:
    """Scores words by 3CosMul with any number of terms (Levy and Goldberg 2014, equation 4).

    The product of the cosines with the positive terms over that with the negative ones, cosines moved to [0, 1].

    Args:
        terms: float [n, w, D], of length 1.
        signs: float [n, w], 1 or -1; 0 for terms that do not count.
    """
    count, width = tf.shape(signs)[0], tf.shape(signs)[1]
    flat = tf.reshape(terms, [-1, tf.shape(terms)[-1]])

    def score(block: tf.Tensor) -> tf.Tensor:
        moved = (1 + _products(flat, block)) / 2
        moved = tf.reshape(moved, [count, width, tf.shape(block)[0]])
        above, below = (
            tf.reduce_prod(tf.where(signs[:, :, tf.newaxis] == sign, moved, 1.0), 1) for sign in (1.0, -1.0)
        )
        return above / (below + 1e-6)

    return score, count * tf.maximum(width, 1)


def nearest(
    unit: tf.Tensor, scores_of: Scores, rows: tf.Tensor, excluded: tf.Tensor, among: tf.Tensor, k: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """The words with the highest scores, the highest first, from one block of the vocabulary to the next.

    Args:
        unit: float [V, D], of length 1.
        scores_of: of n queries.
        rows: int32 [], words that it is asked for at a time; see `rows_at_a_time`.
        excluded: int64 [n, e], words that are never among the highest; others than ids are not looked at.
        among: int32 [n], how many of the first words are looked at for each query.
        k: int32 [].

    Returns:
        (scores: float [n, k], ids: int64 [n, k]); where fewer words are left, the last scores are -inf.
    """
    size, wanted = tf.reduce_max(tf.concat([among, [0]], 0)), k + tf.shape(excluded)[1]
    count = tf.shape(excluded)[0]
    differ = tf.reduce_any(among != size)

    def merge_block(start: tf.Tensor, scores: tf.Tensor, ids: tf.Tensor) -> tuple[tf.Tensor, ...]:
        stop = start + _whole_groups(tf.minimum(rows, size - start))
        found = scores_of(unit[start:stop])
        found = tf.cond(
            differ,
            lambda: tf.where(tf.range(start, stop) < among[:, tf.newaxis], found, -float("inf")),
            lambda: found,
        )
        highest, places = _top_k(found, tf.minimum(wanted, stop - start))
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
    missing = [[0, 0], [0, tf.maximum(wanted - tf.shape(scores)[1], 0)]]
    scores, ids = tf.pad(scores, missing, constant_values=-float("inf")), tf.pad(ids, missing)
    is_excluded = tf.reduce_any(ids[:, :, tf.newaxis] == excluded[:, tf.newaxis], -1)
    scores, places = tf.math.top_k(tf.where(is_excluded, -float("inf"), scores), k)
    return scores, tf.gather(ids, places, batch_dims=1)


def closer(unit: tf.Tensor, pairs: tf.Tensor, ends: tf.Tensor) -> tuple[tf.Tensor]:
    """How many other words are closer to the first word of each pair than its second: (int32 [n],).

    Args:
        unit: float [V, D], of length 1.
        pairs: int64 [n, 2]; V and more for words that are not among these.
        ends: float [n, 2, D], their vectors of length 1.
    """
    size, rows = tf.shape(unit)[0], rows_at_a_time(tf.shape(pairs)[0])
    own, scores_of = tf.reduce_sum(ends[:, 0] * ends[:, 1], -1, keepdims=True), cosines(ends[:, 0])

    def count_block(start: tf.Tensor, count: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        stop = tf.minimum(start + rows, size)
        places = tf.range(tf.cast(start, tf.int64), tf.cast(stop, tf.int64))
        others = tf.reduce_all(places[tf.newaxis, tf.newaxis] != pairs[:, :, tf.newaxis], 1)
        return stop, count + tf.math.count_nonzero(others & (scores_of(unit[start:stop]) > own), 1, dtype=tf.int32)

    _, count = tf.while_loop(
        lambda start, _: start < size,
        count_block,
        (tf.constant(0), tf.zeros([tf.shape(pairs)[0]], tf.int32)),
        parallel_iterations=1,
    )
    return (count,)


def ranks(unit: tf.Tensor, ids: tf.Tensor, rows_of: Callable[[tf.Tensor], tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
    """The ranks of the answers to analogies a : b :: c : d, of all words but a, b and c: 1 the first.

    A rank is one more than the number of words with a higher score, which needs no sorting. Cosines are moved to
    [0, 2] and compared without dividing.

    Args:
        unit: float [V, D], of length 1.
        ids: int64 [n, 4], of a, b, c and d; V and more for words that are not among these.
        rows_of: from ids, int64 [...], to their vectors of length 1, float [..., D].

    Returns:
        (by 3CosAdd: float [n], by 3CosMul: float [n]), infinite where d is one of the others.
    """
    size, target = tf.shape(unit)[0], ids[:, 3:]
    # The questions of a section share their words: each word's cosines are computed once.
    words, places = tf.unique(tf.reshape(ids[:, :3], [-1]))
    queries, places = rows_of(words), tf.reshape(places, [-1, 3])
    shifted = 1 + tf.reduce_sum(rows_of(ids[:, :3]) * rows_of(target), -1)
    a, b, c = tf.split(shifted, 3, 1)
    added, multiplied = b + c - a, b * c / (a + 2e-6)
    is_first, rows = _first_occurrences(ids), rows_at_a_time(tf.shape(ids)[0])

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
    function: Callable[..., tuple[tf.Tensor, ...]], rows: tuple[tf.Tensor, ...], dtypes: tuple[tf.DType, ...]
) -> Any:
    """Applies a function to some rows at a time, to bound memory whatever the batch; joins what it returns.

    Args:
        function: takes as many rows of each tensor.
        rows: tensors with the same number of rows.
        dtypes: of what the function returns.
    """
    count = tf.shape(rows[0])[0]
    chunks = tf.maximum(-(-count // QUERIES_AT_A_TIME), 1)  # of no rows too, one chunk, which gives the shapes
    parts = tuple(tf.TensorArray(dtype, size=chunks, infer_shape=False) for dtype in dtypes)

    def write_chunk(i: tf.Tensor, arrays: tuple[tf.TensorArray, ...]) -> tuple[tf.Tensor, tuple[tf.TensorArray, ...]]:
        some = (tensor[i * QUERIES_AT_A_TIME : (i + 1) * QUERIES_AT_A_TIME] for tensor in rows)
        return i + 1, tuple(array.write(i, value) for array, value in zip(arrays, function(*some), strict=True))

    _, parts = tf.while_loop(lambda i, _: i < chunks, write_chunk, (0, parts))
    return tuple(part.concat() for part in parts)


def rows_at_a_time(queries: tf.Tensor) -> tf.Tensor:
    """How many words to score at a time with so many queries, int32 []."""
    return tf.clip_by_value(SCORES_AT_A_TIME // tf.maximum(queries, 1), 1, _WORDS_AT_A_TIME)


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
