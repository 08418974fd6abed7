"""The compiled kernel: what a stream does with its blocks, as one function of machine code.

It computes what `SkipGram` computes with blocks that are steps of their own (`blocks_per_step` 1): tests hold both
against each other. A block's rows are copied into the core's own cache, multiplied there, and their changes are added
to the tables at once. Nothing else happens, and Python's lock is not held: each core has a stream of its own, all on
the same tables (Hogwild, Recht et al. 2011, arXiv 1106.5730).

A block's columns are its keys and then its noise words. Its arrays stand as [column, query], so that what a column does
to the block's queries is a vector.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from word2vec.training import window_weights
from word2vec.training.tiles import KEPT, REGISTERS, call, float_of_bits, logistic, multiply, prefetch, turn

MEASURED_EVERY = 64  # the loss is measured at one block in so many, and at the first and last of a call
LOSS, PAIRS, POSITIONS = 0, 1, 2  # the places of a call's sums

_LANES, _, _VECTORS = REGISTERS
_ROWS = REGISTERS.most_rows(_VECTORS)
_FLOAT, _ADDRESS, _LINE = 4, 8, 64  # bytes of a number, of an address, of a cache line
_EPSILON = np.float32(1e-7)  # RowAdagrad's
_LEAST, _MOST = np.float32(-87), np.float32(87)  # what exp takes
# SplitMix64 (Steele, Lea and Flood 2014, figure 16).
_GAMMA, _FIRST, _SECOND = (np.uint64(x) for x in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


class Tables(NamedTuple):
    """The model's tables, or Adagrad's accumulators of their rows.

    Attributes:
        target: float32 [V, D]; of accumulators [V].
        context: likewise.
        bias: float32 [V]; None if it is fixed.
    """

    target: np.ndarray
    context: np.ndarray
    bias: np.ndarray | None


class Noise(NamedTuple):
    """The sampler, as it is between two calls.

    Attributes:
        kept: float32 [V], of the alias table.
        alias: int32 [V], likewise.
        log_expected: float32 [V], log(expected count); None where scores are not corrected by it.
        losses: float32 [V], of the adaptive sampler; None for others.
        rate: how fast these move.
    """

    kept: np.ndarray
    alias: np.ndarray
    log_expected: np.ndarray | None
    losses: np.ndarray | None
    rate: float


class Rates(NamedTuple):
    """The learning rate, as `optimizers.LinearDecay` has it.

    Attributes:
        initial: after the warm-up.
        minimum: it never falls below this.
        steps: after so many it would reach 0.
        warmup: how many steps it rises.
        bias: what a learned bias' learning rate is of it.
    """

    initial: float
    minimum: float
    steps: float
    warmup: float
    bias: float = 1.0


class Settings(NamedTuple):
    """What does not change while training.

    Attributes:
        window: w.
        length: L, positions per block.
        noise: K, noise words per block.
        negatives: noise words asked for per pair.
        softmax: whether the loss is a softmax over a pair's context and the noise, else logistic regression.
        distinct: whether noise that is a pair's own context does not count for that pair.
        weights: float32 [keys, Q], what a pair counts; Q is L filled up to whole vectors.
        seed: decides the noise.
    """

    window: int
    length: int
    noise: int
    negatives: int
    softmax: bool
    distinct: bool
    weights: np.ndarray
    seed: int


class Chunk(NamedTuple):
    """A stream of positions, cut into blocks.

    Attributes:
        ids: int32 [w + n + w], with w words in front and behind that are no pair's; n is a multiple of L.
        left: int32 [n], how many keys on its left each position is paired with.
        right: int32 [n], the same on its right.
        order: int64 [blocks], the order in which they are trained.
        first: the number of the first of them in its epoch; it decides the noise.
    """

    ids: np.ndarray
    left: np.ndarray
    right: np.ndarray
    order: np.ndarray
    first: int


class Scratch(NamedTuple):
    """A stream's own memory, kept from block to block. W and Q are D and L, filled up to whole vectors.

    Attributes:
        ids: int32 [2, columns + L], of this block and of the next: the words of the columns and of the queries.
        queries: float32 [Q, W], the target rows.
        turned: float32 [W, Q], the same.
        words: float32 [columns, W], the context rows.
        weights: float32 [keys, Q], what each key and query count as a pair.
        moves: float32 [columns, Q], first the scores, then what they move their rows by.
        of_query: float32 [5, Q]: what each query's pairs count in all; for a while, what a column counts, the greatest
            score of the noise, and log Z of the noise; and what whole windows' pairs count in all.
        sums: float32 [columns, W], for rows that can't be added to at once.
        outs: int64 [columns], addresses.
    """

    ids: np.ndarray
    queries: np.ndarray
    turned: np.ndarray
    words: np.ndarray
    weights: np.ndarray
    moves: np.ndarray
    of_query: np.ndarray
    sums: np.ndarray
    outs: np.ndarray


def whole_vectors(numbers: int) -> int:
    """A count of float32 numbers, filled up to whole vectors."""
    return -(-numbers // _LANES) * _LANES


def scratch(settings: Settings, dimensions: int) -> Scratch:
    """The memory of a stream."""
    keys, queries = settings.weights.shape
    columns, width = keys + settings.noise, whole_vectors(dimensions)

    def zeros(*shape: int) -> np.ndarray:
        return np.zeros(shape, np.float32)

    return Scratch(
        ids=np.zeros((2, columns + settings.length), np.int32),
        queries=zeros(queries, width),
        turned=zeros(width, queries),
        words=zeros(columns, width),
        weights=zeros(keys, queries),
        moves=zeros(columns, queries),
        of_query=zeros(5, queries),
        sums=zeros(columns, width),
        outs=np.zeros(columns, np.int64),
    )


def pair_weights(window: int, length: int, weighting: str) -> np.ndarray:
    """What a key and a query count as a pair if both reach each other: float32 [keys, Q]; see `window_weights`."""
    query = np.arange(whole_vectors(length))
    distance = np.abs(np.arange(length + 2 * window)[:, np.newaxis] - window - query)
    weights = np.pad(window_weights.by_distance(window, weighting), (1, whole_vectors(length)))[distance]
    return np.where(query < length, weights, 0).astype(np.float32)


def train(
    chunk: Chunk,
    tables: Tables,
    accumulators: Tables | None,
    settings: Settings,
    noise: Noise,
    rates: Rates,
    own: Scratch,
    *,
    begin: int,
    end: int,
    step: int,
    sums: np.ndarray,
) -> int:
    """Trains on some blocks of a chunk, in their order; Python's lock is not held meanwhile.

    Args:
        chunk: the blocks.
        tables: the model; changed in place.
        accumulators: Adagrad's, changed in place; None for plain SGD.
        settings: of the training.
        noise: the sampler; what the adaptive one lost is changed in place.
        rates: the learning rate.
        own: memory that no other stream uses meanwhile.
        begin: the place in the chunk's order of the first block.
        end: the place after the last.
        step: how many blocks were trained on before, which decides the learning rate.
        sums: float64 [3]; added to it are, of the blocks that were measured, the loss and the pairs, and of all blocks
            the positions that have pairs.

    Returns:
        How many blocks were trained on: fewer than asked for where the loss is no longer a number.
    """
    softmax = True if settings.softmax else None  # what is None is not even compiled
    return _train(
        *chunk, *tables, *(accumulators or (None, None, None)), *noise, *rates, *own,
        settings.window, settings.length, settings.negatives, softmax, settings.distinct, settings.weights,
        settings.seed, begin, end, step, sums, multiply(),
    )  # fmt: skip


def compile_ahead() -> None:
    """Compiles what the default settings need, so that the first training need not wait for it."""
    table, weights = np.zeros((1, 1), np.float32), pair_weights(1, 1, "expected")
    settings = Settings(1, 1, 1, 1, False, True, weights, 1)
    nothing = np.zeros(0, np.int32)
    train(
        Chunk(nothing, nothing, nothing, np.zeros(0, np.int64), 0),
        Tables(table, table, None),
        None,
        settings,
        Noise(np.zeros(1, np.float32), nothing, None, None, 0.0),
        Rates(0.0, 0.0, 1.0, 0.0),
        scratch(settings, 1),
        begin=0,
        end=0,
        step=0,
        sums=np.zeros(3),
    )


# Sums keep their order, and numbers that are none are seen: so not all that "fast" stands for.
_compiled = numba.njit(nogil=True, error_model="numpy", fastmath={"contract", "arcp", "nsz"}, cache=KEPT)


@_compiled
def _train(
    stream, left, right, order, first,
    target, context, bias, target_squares, context_squares, bias_squares,
    kept, alias, log_expected, noise_losses, noise_rate,
    initial, minimum, steps, warmup, bias_share,
    both_ids, queries, turned, words, weights, moves, of_query, row_sums, outs,
    window, length, negatives, softmax, distinct, all_weights, seed, begin, end, step, sums, product,
):  # fmt: skip
    """See `train`."""
    keys, columns, dimensions = all_weights.shape[0], moves.shape[0], target.shape[1]
    total, whole = of_query[0], of_query[4]
    _add_up(all_weights, whole)
    parts = -(-length // _ROWS) + -(-keys // _ROWS) + 1  # in which the next block's rows are asked for
    for place in range(begin - 1, end):
        ids, following = both_ids[place & 1], both_ids[(place + 1) & 1]
        if place + 1 < end:
            _choose(following, stream, order[place + 1] * length, window, keys, columns)
            draw(following[keys:columns], kept, alias, seed, first + place + 1)
        if place < begin:
            continue
        start, rate = order[place] * length, _rate(step + place - begin, initial, minimum, steps, warmup)
        inside, positions = _look_at(left, right, start, length, window)
        sums[POSITIONS] += positions
        pairs = all_weights
        total[:] = whole
        if not inside:
            pairs = weights
            _cut(all_weights, left, right, start, length, window, weights)
            _add_up(pairs, total)
        _copy(context, ids[:columns], words)
        _copy(target, ids[columns:], queries)
        _turn(queries, turned)
        _score(words, turned, moves, outs, keys, window, dimensions, product)
        if bias is not None:
            _add_bias(moves, ids, bias)
            if log_expected is not None:
                _take_off(moves, ids, log_expected)
        hits = distinct and _any_hit(ids, keys, columns)
        if place in (begin, end - 1) or (step + place - begin) % MEASURED_EVERY == 0:
            if softmax is None:
                sums[LOSS] += _logistic_loss(moves, ids, pairs, of_query, negatives, hits)
            else:
                sums[LOSS] += _softmax_loss(moves, ids, pairs, of_query, hits)
            sums[PAIRS] += total.sum()
            if not np.isfinite(sums[LOSS]):
                return place - begin + 1
        if noise_losses is not None:
            _observe(moves, ids, keys, length, total, noise_losses, noise_rate, row_sums[:, 0])
        scale = rate if target_squares is None else np.float32(1)
        if softmax is None:
            _logistic(moves, ids, pairs, of_query, window, negatives, hits, scale)
        else:
            _softmax(moves, ids, pairs, of_query, hits, scale, weights)
        direct = target_squares is None and dimensions % _LANES == 0
        _aim(outs, target, ids[columns:], row_sums, direct)
        _add_to_queries(outs, words, moves, keys, length, window, product, context, target, following, parts)
        if not direct:
            if target_squares is not None:
                _divide(ids[columns:], row_sums, dimensions, target_squares, rate)
            _add_rows(target, ids[columns:], row_sums)
        _aim(outs, context, ids[:columns], row_sums, direct)
        _add_to_words(outs, queries, moves, keys, length, window, product, context, target, following, parts)
        if not direct:
            if target_squares is not None:
                _divide(ids[:columns], row_sums, dimensions, context_squares, rate)
            _add_rows(context, ids[:columns], row_sums)
        if bias is not None:
            for column in range(columns):
                row_sums[column, 0] = moves[column].sum()
            if bias_squares is not None:
                _divide(ids[:columns], row_sums, 1, bias_squares, rate)
            for column in range(columns):
                bias[ids[column]] += np.float32(bias_share) * row_sums[column, 0]
    return end - begin


@_compiled
def _rate(step, initial, minimum, steps, warmup):
    falling, rising = initial * (1 - step / steps), initial * (step + 1) / max(warmup, 1.0)
    return np.float32(max(rising if step < warmup else falling, minimum))


@_compiled
def _mixed(bits):
    bits = (bits ^ (bits >> np.uint64(30))) * _FIRST
    bits = (bits ^ (bits >> np.uint64(27))) * _SECOND
    return bits ^ (bits >> np.uint64(31))


@_compiled
def draw(ids: np.ndarray, kept: np.ndarray, alias: np.ndarray, seed: int, block: int) -> None:
    """Draws noise words from an alias table: fills ids, int32 [n], by the seed and the block's number alone."""
    key = _mixed(_mixed(np.uint64(seed)) + np.uint64(block) * _GAMMA)
    size = np.uint64(kept.shape[0])
    for place in range(ids.shape[0]):
        bits = _mixed(key + np.uint64(place + 1) * _GAMMA)
        column = np.int32(((bits >> np.uint64(32)) * size) >> np.uint64(32))
        rest = np.float32(bits & np.uint64(0xFFFFFF)) * np.float32(2.0**-24)
        ids[place] = column if rest < kept[column] else alias[column]


@_compiled
def _choose(ids, stream, start, window, keys, columns):
    """The words of a block's keys, and behind the columns those of its queries."""
    for key in range(keys):
        ids[key] = stream[start + key]
    for query in range(keys - 2 * window):
        ids[columns + query] = stream[start + window + query]


@_compiled
def _ask_for(context, target, ids, columns, part, parts):
    """Asks for a part of a block's rows, so early that they have come when they are needed.

    A core waits for so few cache lines at a time that asking for all of them at once would make it stand still.
    """
    size, count = context.shape[1] * _FLOAT, ids.shape[0]
    for place in range(count * part // parts, count * (part + 1) // parts):
        table = context if place < columns else target
        row = table.ctypes.data + np.int64(ids[place]) * size
        for line in range(0, size, _LINE):
            prefetch(row + line)


@_compiled
def _look_at(left, right, start, length, window):
    """Whether all windows of a block are whole, and how many of its positions have pairs."""
    inside, positions = True, 0
    for query in range(start, start + length):
        inside &= left[query] == window and right[query] == window
        positions += left[query] + right[query] > 0
    return inside, positions


@_compiled
def _cut(all_weights, left, right, start, length, window, weights):
    """The weights of the pairs that the windows leave."""
    for key in range(weights.shape[0]):
        for query in range(length):
            distance = key - window - query
            reached = -distance <= left[start + query] and distance <= right[start + query]
            weights[key, query] = all_weights[key, query] if reached else np.float32(0)
        for query in range(length, weights.shape[1]):
            weights[key, query] = np.float32(0)


@_compiled
def _add_up(weights, total):
    for query in range(total.shape[0]):
        total[query] = np.float32(0)
    for key in range(weights.shape[0]):
        row = weights[key]
        for query in range(total.shape[0]):
            total[query] += row[query]


@_compiled
def _copy(table, ids, rows):
    for place in range(ids.shape[0]):
        row, out = table[ids[place]], rows[place]
        for number in range(row.shape[0]):
            out[number] = row[number]


@_compiled
def _turn(queries, turned):
    size, width = queries.shape
    for place in range(0, width, _LANES):
        for query in range(0, size, _LANES):
            source = queries.ctypes.data + (query * width + place) * _FLOAT
            out = turned.ctypes.data + (place * size + query) * _FLOAT
            turn(source, width * _FLOAT, out, size * _FLOAT)


@_compiled
def _near(query, keys, window):
    """The first key that a vector of queries may be paired with, and the one after the last."""
    return query, min(query + _LANES + 2 * window, keys)


@_compiled
def _score(words, turned, moves, outs, keys, window, dimensions, product):
    """Scores a block's keys with the queries that may be near them, and its noise with all of them."""
    columns, size = moves.shape
    for column in range(columns):
        row = moves[column]
        for query in range(row.shape[0]):
            row[query] = np.float32(0)
        outs[column] = moves.ctypes.data + column * size * _FLOAT
    of_words, step, out = words.ctypes.data, words.shape[1] * _FLOAT, outs.ctypes.data
    of_queries, turned_step = turned.ctypes.data, size * _FLOAT
    for query in range(0, size, _LANES):
        first, last = _near(query, keys, window)
        rows, to, offset = of_words + first * step, out + first * _ADDRESS, query * _FLOAT
        call(product, to, last - first, offset, 1, rows, step, _FLOAT, of_queries, turned_step, dimensions, 0, 0)
    rows, to, width = of_words + keys * step, out + keys * _ADDRESS, size // _LANES
    call(product, to, columns - keys, 0, width, rows, step, _FLOAT, of_queries, turned_step, dimensions, 0, 0)


@_compiled
def _aim(outs, table, ids, sums, direct):
    """Sets the addresses to add to: the table's rows, or sums that are set to 0."""
    for place in range(ids.shape[0]):
        if direct:
            outs[place] = table.ctypes.data + np.int64(ids[place]) * table.shape[1] * _FLOAT
        else:
            outs[place] = sums.ctypes.data + place * sums.shape[1] * _FLOAT
            for number in range(sums.shape[1]):
                sums[place, number] = np.float32(0)


@_compiled
def _add_to_queries(outs, words, moves, keys, length, window, product, context, target, following, parts):
    """Adds what each query's row moves by, the moves times the words; and asks for some rows of the next block."""
    columns, size = moves.shape
    step, word_step, width = size * _FLOAT, words.shape[1] * _FLOAT, words.shape[1] // _LANES
    for query in range(0, length, _ROWS):
        count = min(_ROWS, length - query)
        # Of the keys, those near these queries; of the noise, all.
        near = count + 2 * window
        a, b = moves.ctypes.data + query * (step + _FLOAT), words.ctypes.data + query * word_step
        to, gap = outs.ctypes.data + query * _ADDRESS, keys - query - near
        call(product, to, count, 0, width, a, _FLOAT, step, b, word_step, near, gap, columns - keys)
        _ask_for(context, target, following, columns, query // _ROWS, parts)


@_compiled
def _add_to_words(outs, queries, moves, keys, length, window, product, context, target, following, parts):
    """Adds what each column's row moves by, the moves times the queries; and asks for the rest of the next block."""
    columns, size = moves.shape
    step, query_step, width = size * _FLOAT, queries.shape[1] * _FLOAT, queries.shape[1] // _LANES
    key, part = 0, -(-length // _ROWS)
    while key < columns:
        count, first, last = columns - key, 0, length
        if key < keys:  # only the queries near these keys
            count = min(_ROWS, keys - key)
            first, last = max(key - 2 * window, 0), min(key + count, length)
        a, b = moves.ctypes.data + key * step + first * _FLOAT, queries.ctypes.data + first * query_step
        to = outs.ctypes.data + key * _ADDRESS
        call(product, to, count, 0, width, a, step, _FLOAT, b, query_step, last - first, 0, 0)
        _ask_for(context, target, following, columns, part, parts)
        key, part = key + count, part + 1


@_compiled
def _add_rows(table, ids, rows):
    for place in range(ids.shape[0]):
        out, row = table[ids[place]], rows[place]
        for number in range(out.shape[0]):
            out[number] += row[number]


@_compiled
def _divide(ids, rows, dimensions, accumulators, rate):
    """Adagrad: adds up the rows of one word, and divides them by the root of what its accumulator has grown to."""
    for place in range(ids.shape[0]):
        again = False
        for before in range(place):
            again |= ids[before] == ids[place]
        if again:
            for number in range(dimensions):
                rows[place, number] = np.float32(0)
            continue
        for other in range(place + 1, ids.shape[0]):
            if ids[other] == ids[place]:
                for number in range(dimensions):
                    rows[place, number] += rows[other, number]
        square = np.float32(0)
        for number in range(dimensions):
            square += rows[place, number] * rows[place, number]
        accumulators[ids[place]] += square / np.float32(dimensions)
        factor = rate / (np.sqrt(accumulators[ids[place]]) + _EPSILON)
        for number in range(dimensions):
            rows[place, number] *= factor


@_compiled
def _add_bias(moves, ids, bias):
    for column in range(moves.shape[0]):
        for query in range(moves.shape[1]):
            moves[column, query] += bias[ids[column]]


@_compiled
def _take_off(moves, ids, log_expected):
    for column in range(moves.shape[0]):
        for query in range(moves.shape[1]):
            moves[column, query] -= log_expected[ids[column]]


@_compiled
def _is_among(word, words):
    times = np.int32(0)
    for place in range(words.shape[0]):
        times += np.int32(words[place] == word)
    return times > 0


@_compiled
def _any_hit(ids, keys, columns):
    """Whether a noise word is one of the keys."""
    hit = False
    for column in range(keys, columns):
        hit |= _is_among(ids[column], ids[:keys])
    return hit


@_compiled
def _exp(x):
    """e^x for |x| <= 87, as 2^n e^r with |r| <= (ln 2) / 2 and a polynomial for e^r (Cephes' expf)."""
    n = np.rint(x * np.float32(1.4426950408889634))
    r = x - n * np.float32(0.693359375) + n * np.float32(2.12194440e-4)
    p = np.float32(1.9875691500e-4)
    p = p * r + np.float32(1.3981999507e-3)
    p = p * r + np.float32(8.3334519073e-3)
    p = p * r + np.float32(4.1665795894e-2)
    p = p * r + np.float32(1.6666665459e-1)
    p = p * r + np.float32(5.0000001201e-1)
    p = p * r * r + r + np.float32(1)
    return p * float_of_bits((np.int32(n) + np.int32(127)) << np.int32(23))


@_compiled
def _sigmoid(x):
    return np.float32(1) / (np.float32(1) + _exp(min(max(-x, _LEAST), _MOST)))


@_compiled
def _softplus(x):
    return max(x, np.float32(0)) + np.log1p(np.exp(-abs(x)))


@_compiled
def _leave_out(values, ids, column, keys, out):
    """Takes off each query's sum the values of the keys that are the column's word."""
    for key in range(keys):
        if ids[key] == ids[column]:
            for query in range(out.shape[0]):
                out[query] = max(out[query] - values[key, query], np.float32(0))


@_compiled
def _count_noise(ids, column, pairs, total, share, hits, out):
    """What a noise word counts for each query: `share` of its pairs, except those that it hits."""
    for query in range(out.shape[0]):
        out[query] = total[query]
    if hits:
        _leave_out(pairs, ids, column, pairs.shape[0], out)
    for query in range(out.shape[0]):
        out[query] *= share


@_compiled
def _logistic(moves, ids, pairs, of_query, window, negatives, hits, scale):
    """NCE's and negative sampling's gradient, weight x (sigmoid - label): from scores to moves against it."""
    (keys, size), columns = pairs.shape, moves.shape[0]
    step, share = size * _FLOAT, np.float32(negatives) / np.float32(columns - keys) * -scale
    for query in range(0, size, _LANES):
        first, last = _near(query, keys, window)
        for key in range(keys):
            if key < first or key >= last:
                for lane in range(query, query + _LANES):
                    moves[key, lane] = np.float32(0)
        place = first * step + query * _FLOAT
        values, weights = moves.ctypes.data + place, pairs.ctypes.data + place
        logistic(values, step, weights, step, last - first, scale, np.float32(-1))
    shared, own = of_query[1], of_query[2]
    _count_noise(ids, keys, pairs, of_query[0], share, False, shared)
    for column in range(keys, columns):
        counted = shared
        if hits and _is_among(ids[column], ids[:keys]):
            counted = own
            _count_noise(ids, column, pairs, of_query[0], share, True, own)
        for place in range(0, step, _LANES * _FLOAT):
            values, weights = moves.ctypes.data + column * step + place, counted.ctypes.data + place
            logistic(values, step, weights, step, 1, np.float32(1), np.float32(1))


@_compiled
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


@_compiled
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
            log_z[query] += _exp(max(moves[column, query] - top[query], _LEAST))
    for query in range(top.shape[0]):
        log_z[query] = np.log(log_z[query]) + top[query]


@_compiled
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
                log_z[query] += _exp(max(moves[column, query] - top[query], _LEAST))
    for query in range(top.shape[0]):
        log_z[query] = np.log(max(log_z[query], np.float32(1e-30))) + top[query]


@_compiled
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
            missed = scale * pairs[key, query] * _sigmoid(log_z[query] - moves[key, query])
            moves[key, query] = missed
            parts[key, query] = missed * _exp(min(max(top[query] - log_z[query], _LEAST), _MOST))
            total[query] += parts[key, query]
    for column in range(keys, moves.shape[0]):
        for query in range(size):
            log_z[query] = total[query]
        if hits:
            _leave_out(parts, ids, column, keys, log_z)
        for query in range(size):
            moves[column, query] = -_exp(max(moves[column, query] - top[query], _LEAST)) * log_z[query]


@_compiled
def _softmax_loss(moves, ids, pairs, of_query, hits):
    """The loss of sampled softmax of a block, summed over its pairs, from its scores."""
    loss, keys = 0.0, pairs.shape[0]
    _normalise(moves, keys, of_query)
    for key in range(keys):
        _log_z(moves, ids, key, keys, of_query, hits)
        for query in range(moves.shape[1]):
            loss += pairs[key, query] * _softplus(of_query[1, query] - moves[key, query])
    return loss


@_compiled
def _observe(moves, ids, keys, length, total, losses, rate, seen):
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
