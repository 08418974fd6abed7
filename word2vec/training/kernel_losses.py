"""The losses of the compiled kernel, and their gradients: from a block's scores to what they move its rows by.

Names and shapes are as in `kernel.Scratch`. Where `hits` is false, no noise word of the block is one of its keys.
"""

from __future__ import annotations

import numpy as np

from word2vec.training.kernel_rows import LANES, near
from word2vec.training.tiles import FLOAT_BYTES, compiled, exp, weigh


@compiled
def _is_among(word, words):
    times = np.int32(0)
    for place in range(words.shape[0]):
        times += np.int32(words[place] == word)
    return times > 0


@compiled
def any_hit(ids, keys, columns):
    """Whether a noise word is one of the keys."""
    hit = False
    for column in range(keys, columns):
        hit |= _is_among(ids[column], ids[:keys])
    return hit


@compiled
def sigmoid(x):
    """1 / (1 + e^-x) of a float32."""
    return np.float32(1) / (np.float32(1) + exp(-x))


@compiled
def _softplus(x):
    return max(x, np.float32(0)) + np.log1p(np.exp(-abs(x)))


@compiled
def _leave_out(values, ids, column, keys, out):
    """Takes off each query's sum the values of the keys that are the column's word."""
    for key in range(keys):
        if ids[key] == ids[column]:
            for query in range(out.shape[0]):
                out[query] = max(out[query] - values[key, query], np.float32(0))


@compiled
def _count_noise(ids, column, pairs, total, share, hits, out):
    """What a noise word counts for each query: `share` of its pairs, except those that it hits."""
    for query in range(out.shape[0]):
        out[query] = total[query]
    if hits:
        _leave_out(pairs, ids, column, pairs.shape[0], out)
    for query in range(out.shape[0]):
        out[query] *= share


@compiled
def _logistic(moves, ids, pairs, of_query, reach, negatives, hits, scale):
    """NCE's and negative sampling's gradient, weight x (sigmoid - label): from scores to moves against it."""
    (keys, size), columns = pairs.shape, moves.shape[0]
    step, share = size * FLOAT_BYTES, np.float32(negatives) / np.float32(columns - keys) * -scale
    for query in range(0, size, LANES):
        first, last = near(query, keys, reach)
        for key in range(keys):
            if key < first or key >= last:
                for lane in range(query, query + LANES):
                    moves[key, lane] = np.float32(0)
        place = first * step + query * FLOAT_BYTES
        values, weights = moves.ctypes.data + place, pairs.ctypes.data + place
        weigh(values, step, weights, step, last - first, scale, np.float32(-1))
    shared, own = of_query[1], of_query[2]
    _count_noise(ids, keys, pairs, of_query[0], share, False, shared)
    for column in range(keys, columns):
        counted = shared
        if hits and _is_among(ids[column], ids[:keys]):
            counted = own
            _count_noise(ids, column, pairs, of_query[0], share, True, own)
        for place in range(0, step, LANES * FLOAT_BYTES):
            values, weights = moves.ctypes.data + column * step + place, counted.ctypes.data + place
            weigh(values, step, weights, step, 1, np.float32(1), np.float32(1))


@compiled
def _logistic_loss(moves, ids, pairs, of_query, negatives, hits):
    """The logistic loss of a block, summed over its pairs, from its scores."""
    loss, keys, columns = 0.0, pairs.shape[0], moves.shape[0]
    share = np.float32(negatives) / np.float32(columns - keys)
    for column in range(columns):
        if column >= keys:
            _count_noise(ids, column, pairs, of_query[0], share, hits, of_query[1])
        for query in range(moves.shape[1]):
            if column < keys:
                loss += pairs[column, query] * _softplus(-moves[column, query])
            else:
                loss += of_query[1, query] * _softplus(moves[column, query])
    return loss


@compiled
def _normalise(moves, keys, of_query):
    """Of each query the greatest score of its noise, into of_query[2], and log Z of all its noise, into of_query[3]."""
    top, log_z = of_query[2], of_query[3]
    for query in range(top.shape[0]):
        top[query], log_z[query] = moves[keys, query], np.float32(0)
    for column in range(keys, moves.shape[0]):
        for query in range(top.shape[0]):
            top[query] = max(top[query], moves[column, query])
    for column in range(keys, moves.shape[0]):
        for query in range(top.shape[0]):
            log_z[query] += exp(moves[column, query] - top[query])
    for query in range(top.shape[0]):
        log_z[query] = np.log(log_z[query]) + top[query]


@compiled
def _log_z(moves, ids, key, keys, of_query, hits):
    """log Z of each query for a key, into of_query[1]: of the noise words that are not the key itself."""
    top, log_z = of_query[2], of_query[1]
    hit = False
    for column in range(keys, moves.shape[0]):
        hit |= hits and ids[column] == ids[key]
    for query in range(top.shape[0]):
        log_z[query] = np.float32(0) if hit else of_query[3, query]
    if not hit:
        return
    for column in range(keys, moves.shape[0]):
        if ids[column] != ids[key]:
            for query in range(top.shape[0]):
                log_z[query] += exp(moves[column, query] - top[query])
    for query in range(top.shape[0]):
        log_z[query] = np.log(max(log_z[query], np.float32(1e-30))) + top[query]


@compiled
def _softmax(moves, ids, pairs, of_query, hits, scale, parts):
    """Sampled softmax's gradient, probability - label: from scores to moves against it.

    A noise word's probability, exp(score - log Z) for each pair, is exp(score - top) times a sum over the pairs of
    exp(top - log Z), of which `parts` keeps each.
    """
    keys, size = pairs.shape[0], moves.shape[1]
    _normalise(moves, keys, of_query)
    total, log_z, top = of_query[0], of_query[1], of_query[2]
    for query in range(size):
        total[query] = np.float32(0)
    for key in range(keys):
        _log_z(moves, ids, key, keys, of_query, hits)
        for query in range(size):
            missed = scale * pairs[key, query] * sigmoid(log_z[query] - moves[key, query])
            moves[key, query] = missed
            parts[key, query] = missed * exp(top[query] - log_z[query])
            total[query] += parts[key, query]
    for column in range(keys, moves.shape[0]):
        for query in range(size):
            log_z[query] = total[query]
        if hits:
            _leave_out(parts, ids, column, keys, log_z)
        for query in range(size):
            moves[column, query] = -exp(moves[column, query] - top[query]) * log_z[query]


@compiled
def _softmax_loss(moves, ids, pairs, of_query, hits):
    """The loss of sampled softmax of a block, summed over its pairs, from its scores."""
    loss, keys = 0.0, pairs.shape[0]
    _normalise(moves, keys, of_query)
    for key in range(keys):
        _log_z(moves, ids, key, keys, of_query, hits)
        for query in range(moves.shape[1]):
            loss += pairs[key, query] * _softplus(of_query[1, query] - moves[key, query])
    return loss


@compiled
def observe(moves, ids, keys, length, total, losses, rate, seen):
    """Moves the mean losses of a block's noise words; a word drawn several times moves by their mean."""
    pairs = max(total.sum(), np.float32(1e-9))
    for column in range(keys, moves.shape[0]):
        seen[column] = np.float32(0)
        for query in range(length):
            seen[column] += total[query] / pairs * _softplus(moves[column, query])
    for column in range(keys, moves.shape[0]):
        loss, times, before = np.float32(0), 0, False
        for other in range(keys, moves.shape[0]):
            if ids[other] == ids[column]:
                before |= other < column
                loss += seen[other]
                times += 1
        if not before:
            losses[ids[column]] += np.float32(rate) * (loss / np.float32(times) - losses[ids[column]])


@compiled
def loss(moves, ids, pairs, of_query, negatives, hits, softmax):
    """The loss of a block, summed over its pairs, from its scores; `softmax` is True or None."""
    if softmax is None:
        return _logistic_loss(moves, ids, pairs, of_query, negatives, hits)
    return _softmax_loss(moves, ids, pairs, of_query, hits)


@compiled
def move(moves, ids, pairs, of_query, reach, negatives, hits, scale, parts, softmax):
    """Puts in the place of the scores what they move their rows by: the gradient times `-scale`.

    Softmax uses `parts`, float32 [keys, Q], which may be `pairs`.
    """
    if softmax is None:
        _logistic(moves, ids, pairs, of_query, reach, negatives, hits, scale)
    else:
        _softmax(moves, ids, pairs, of_query, hits, scale, parts)
