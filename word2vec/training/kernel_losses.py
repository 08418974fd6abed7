"""The losses of the compiled kernel, and their gradients: from a block's scores to what they move its rows by.

Names and shapes are as in `kernel.Scratch`; `of_keys` and `of_noise` are the words of the block's keys and noise. Where
`hits` is false, no noise word is one of the keys. `single` is None where each key has a row of scores, and True where
there is one row, of each query with its single key, that at its own place (`kernel_parts`).
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
def any_hit(of_keys, of_noise):
    """Whether a noise word is one of the keys."""
    hit = False
    for place in range(of_noise.shape[0]):
        hit |= _is_among(of_noise[place], of_keys)
    return hit


@compiled
def sigmoid(x):
    """1 / (1 + e^-x) of a float32."""
    return np.float32(1) / (np.float32(1) + exp(-x))


@compiled
def _softplus(x):
    return max(x, np.float32(0)) + np.log1p(np.exp(-abs(x)))


@compiled
def _leave_out(values, of_keys, word, single, out):
    """Takes off each query's sum the values of the keys that are a word."""
    for key in range(of_keys.shape[0]):
        if of_keys[key] == word:
            if single is None:
                for query in range(out.shape[0]):
                    out[query] = max(out[query] - values[key, query], np.float32(0))
            else:
                out[key] = max(out[key] - values[0, key], np.float32(0))


@compiled
def _count_noise(of_keys, word, pairs, total, share, hits, single, out):
    """What a noise word counts for each query: `share` of its pairs, except those that it hits."""
    for query in range(out.shape[0]):
        out[query] = total[query]
    if hits:
        _leave_out(pairs, of_keys, word, single, out)
    for query in range(out.shape[0]):
        out[query] *= share


@compiled
def _logistic_of_keys(moves, pairs, reach, single, scale):
    """What the scores of pairs move by."""
    keys, size = pairs.shape
    step, vector = size * FLOAT_BYTES, LANES * FLOAT_BYTES
    if single is not None:
        values, weights = moves.ctypes.data, pairs.ctypes.data
        weigh(values, vector, weights, vector, size // LANES, scale, np.float32(-1))
        return
    for query in range(0, size, LANES):
        first, last = near(query, keys, reach)
        for key in range(keys):
            if key < first or key >= last:
                for lane in range(query, query + LANES):
                    moves[key, lane] = np.float32(0)
        place = first * step + query * FLOAT_BYTES
        values, weights = moves.ctypes.data + place, pairs.ctypes.data + place
        weigh(values, step, weights, step, last - first, scale, np.float32(-1))


@compiled
def _logistic(moves, of_keys, of_noise, pairs, of_query, reach, negatives, hits, single, scale):
    """NCE's and negative sampling's gradient, weight x (sigmoid - label): from scores to moves against it."""
    rows, size = pairs.shape
    share = np.float32(negatives) / np.float32(of_noise.shape[0]) * -scale
    _logistic_of_keys(moves, pairs, reach, single, scale)
    shared, of_one = of_query[1], of_query[2]
    _count_noise(of_keys, 0, pairs, of_query[0], share, False, single, shared)
    for place in range(of_noise.shape[0]):
        counted = shared
        if hits and _is_among(of_noise[place], of_keys):
            counted = of_one
            _count_noise(of_keys, of_noise[place], pairs, of_query[0], share, True, single, of_one)
        values, vector = moves.ctypes.data + (rows + place) * size * FLOAT_BYTES, LANES * FLOAT_BYTES
        weigh(values, vector, counted.ctypes.data, vector, size // LANES, np.float32(1), np.float32(1))


@compiled
def _logistic_loss(moves, of_keys, of_noise, pairs, of_query, negatives, hits, single):
    """The logistic loss of a block, summed over its pairs, from its scores."""
    loss, rows = 0.0, pairs.shape[0]
    share = np.float32(negatives) / np.float32(of_noise.shape[0])
    for row in range(rows):
        for query in range(moves.shape[1]):
            loss += pairs[row, query] * _softplus(-moves[row, query])
    for place in range(of_noise.shape[0]):
        _count_noise(of_keys, of_noise[place], pairs, of_query[0], share, hits, single, of_query[1])
        for query in range(moves.shape[1]):
            loss += of_query[1, query] * _softplus(moves[rows + place, query])
    return loss


@compiled
def _normalise(noise, of_query):
    """Of each query the greatest score of its noise, into of_query[2], and log Z of all its noise, into of_query[3]."""
    top, log_z = of_query[2], of_query[3]
    for query in range(top.shape[0]):
        top[query], log_z[query] = noise[0, query], np.float32(0)
    for place in range(noise.shape[0]):
        for query in range(top.shape[0]):
            top[query] = max(top[query], noise[place, query])
    for place in range(noise.shape[0]):
        for query in range(top.shape[0]):
            log_z[query] += exp(noise[place, query] - top[query])
    for query in range(top.shape[0]):
        log_z[query] = np.log(log_z[query]) + top[query]


@compiled
def _log_z_without(noise, of_noise, word, top, log_z, begin, end):
    """log Z of some queries, of the noise words that are not a word; left as it is where all are others."""
    if not _is_among(word, of_noise):
        return
    for query in range(begin, end):
        log_z[query] = np.float32(0)
    for place in range(of_noise.shape[0]):
        if of_noise[place] != word:
            for query in range(begin, end):
                log_z[query] += exp(noise[place, query] - top[query])
    for query in range(begin, end):
        log_z[query] = np.log(max(log_z[query], np.float32(1e-30))) + top[query]


@compiled
def _log_z(noise, of_keys, of_noise, row, of_query, hits, single):
    """log Z of each query for a row of scores, into of_query[1]: of the noise words that are not the key itself."""
    top, log_z = of_query[2], of_query[1]
    for query in range(top.shape[0]):
        log_z[query] = of_query[3, query]
    if not hits:
        return
    if single is None:
        _log_z_without(noise, of_noise, of_keys[row], top, log_z, 0, top.shape[0])
    else:
        for query in range(of_keys.shape[0]):
            _log_z_without(noise, of_noise, of_keys[query], top, log_z, query, query + 1)


@compiled
def _softmax(moves, of_keys, of_noise, pairs, of_query, hits, single, scale, parts):
    """Sampled softmax's gradient, probability - label: from scores to moves against it.

    A noise word's probability, exp(score - log Z) for each pair, is exp(score - top) times a sum over the pairs of
    exp(top - log Z), of which `parts` keeps each.
    """
    rows, size = pairs.shape
    noise = moves[rows:]
    _normalise(noise, of_query)
    total, log_z, top = of_query[0], of_query[1], of_query[2]
    for query in range(size):
        total[query] = np.float32(0)
    for row in range(rows):
        _log_z(noise, of_keys, of_noise, row, of_query, hits, single)
        for query in range(size):
            missed = scale * pairs[row, query] * sigmoid(log_z[query] - moves[row, query])
            moves[row, query] = missed
            parts[row, query] = missed * exp(top[query] - log_z[query])
            total[query] += parts[row, query]
    for place in range(of_noise.shape[0]):
        for query in range(size):
            log_z[query] = total[query]
        if hits:
            _leave_out(parts, of_keys, of_noise[place], single, log_z)
        for query in range(size):
            noise[place, query] = -exp(noise[place, query] - top[query]) * log_z[query]


@compiled
def _softmax_loss(moves, of_keys, of_noise, pairs, of_query, hits, single):
    """The loss of sampled softmax of a block, summed over its pairs, from its scores."""
    loss, rows = 0.0, pairs.shape[0]
    noise = moves[rows:]
    _normalise(noise, of_query)
    for row in range(rows):
        _log_z(noise, of_keys, of_noise, row, of_query, hits, single)
        for query in range(moves.shape[1]):
            loss += pairs[row, query] * _softplus(of_query[1, query] - moves[row, query])
    return loss


@compiled
def observe(noise, of_noise, length, total, losses, rate, seen):
    """Moves the mean losses of a block's noise words, if any are kept; a word drawn twice moves by their mean.

    Args:
        noise: float32 [K, Q], their scores.
        of_noise: the words.
        length: of the block.
        total: what each query's pairs count.
        losses: of all words, or None.
        rate: how fast they move.
        seen: float32 [K], memory.
    """
    if losses is None:
        return
    pairs = max(total.sum(), np.float32(1e-9))
    for place in range(of_noise.shape[0]):
        seen[place] = np.float32(0)
        for query in range(length):
            seen[place] += total[query] / pairs * _softplus(noise[place, query])
    for place in range(of_noise.shape[0]):
        loss, times, before = np.float32(0), 0, False
        for other in range(of_noise.shape[0]):
            if of_noise[other] == of_noise[place]:
                before |= other < place
                loss += seen[other]
                times += 1
        if not before:
            losses[of_noise[place]] += np.float32(rate) * (loss / np.float32(times) - losses[of_noise[place]])


@compiled
def loss(moves, of_keys, of_noise, pairs, of_query, negatives, hits, single, softmax):
    """The loss of a block, summed over its pairs, from its scores; `softmax` is True or None."""
    if softmax is None:
        return _logistic_loss(moves, of_keys, of_noise, pairs, of_query, negatives, hits, single)
    return _softmax_loss(moves, of_keys, of_noise, pairs, of_query, hits, single)


@compiled
def move(moves, of_keys, of_noise, pairs, of_query, reach, negatives, hits, single, scale, parts, softmax):
    """Puts in the place of the scores what they move their rows by: the gradient times `-scale`.

    Softmax uses `parts`, float32 as `pairs`, which it may be.
    """
    if softmax is None:
        _logistic(moves, of_keys, of_noise, pairs, of_query, reach, negatives, hits, single, scale)
    else:
        _softmax(moves, of_keys, of_noise, pairs, of_query, hits, single, scale, parts)
