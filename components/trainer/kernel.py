"""The compiled kernel: what a stream does with its blocks, as one function of machine code.

It computes what `SkipGram` computes with blocks that are steps of their own (`blocks_per_step` 1): tests hold both
against each other. A block's rows are copied into the core's own cache, multiplied there, and their changes are added
to the tables at once. Nothing else happens, and Python's lock is not held: each core has a stream of its own, all on
the same tables (Hogwild, Recht et al. 2011, arXiv 1106.5730).

A block's columns are its keys and then its noise words. Its arrays stand as [column, query], so that what a column does
to the block's queries is a vector.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np

from components.trainer.tiles import REGISTERS, add_tile, float_of_bits, pointer, prefetch, turn

LOGISTIC, SOFTMAX = 0, 1  # kinds of losses
MEASURED_EVERY = 16  # the loss is measured at one block in so many
LOSS, PAIRS, POSITIONS = 0, 1, 2  # the places of a call's sums

_LANES, _, _VECTORS = REGISTERS
_ROWS, _ROWS_OF_ONE = REGISTERS.most_rows(_VECTORS), REGISTERS.most_rows(1)
_FLOAT, _LINE = 4, 64  # bytes of a number, and of a cache line
_EPSILON = np.float32(1e-7)  # RowAdagrad's
# SplitMix64 (Steele, Lea and Flood 2014, figure 16).
_GAMMA, _FIRST, _SECOND = (np.uint64(x) for x in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


class Tables(NamedTuple):
    """Where the model is: addresses of float32 numbers.

    Attributes:
        target: of [V, D].
        context: of [V, D].
        bias: of [V]; 0 if it is fixed.
        target_squares: of [V], Adagrad's accumulators; 0 for plain SGD.
        context_squares: likewise.
        bias_squares: likewise.
        dimensions: D.
    """

    target: int
    context: int
    bias: int
    target_squares: int
    context_squares: int
    bias_squares: int
    dimensions: int


class Noise(NamedTuple):
    """The sampler, as it is between two calls.

    Attributes:
        kept: float32 [V], of the alias table.
        alias: int32 [V], likewise.
        log_expected: float32 [V], log(expected count), or [0] where no score is corrected by it.
        losses: float32 [V], of the adaptive sampler, or [0].
        rate: how fast these move.
    """

    kept: np.ndarray
    alias: np.ndarray
    log_expected: np.ndarray
    losses: np.ndarray
    rate: float


class Rates(NamedTuple):
    """The learning rate of `optimizers.LinearDecay`.

    Attributes:
        initial: after the warm-up.
        minimum: it never falls below this.
        steps: after so many it would reach 0.
        warmup: how many steps it rises.
        bias: what the bias' learning rate is of it.
    """

    initial: float
    minimum: float
    steps: float
    warmup: float
    bias: float


class Settings(NamedTuple):
    """What does not change while training.

    Attributes:
        window: w.
        length: L, positions per block.
        noise: K, noise words per block.
        negatives: noise words asked for per pair.
        loss: `LOGISTIC` or `SOFTMAX`.
        distinct: whether noise that is a pair's own context does not count for that pair.
        weights: float32 [keys, Q], what a pair counts; Q is L filled up to whole vectors.
        seed: decides the noise.
    """

    window: int
    length: int
    noise: int
    negatives: int
    loss: int
    distinct: bool
    weights: np.ndarray
    seed: int


class Chunk(NamedTuple):
    """A stream of positions, cut into blocks.

    Attributes:
        ids: int32 [w + n + w], with w words in front and behind that are no pair's; n is a multiple of L.
        left: int32 [n], how many keys on its left each position is paired with.
        right: int32 [n], likewise on its right.
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
        offsets: float32 [columns], what is added to a column's scores.
        of_query: float32 [4, Q], sums and the like.
        hits: int32 [columns], of each noise word, how many keys it hits.
        sums: float32 [columns, W], for rows that can't be added to at once.
        outs: int64 [columns], addresses.
    """

    ids: np.ndarray
    queries: np.ndarray
    turned: np.ndarray
    words: np.ndarray
    weights: np.ndarray
    moves: np.ndarray
    offsets: np.ndarray
    of_query: np.ndarray
    hits: np.ndarray
    sums: np.ndarray
    outs: np.ndarray


def whole_vectors(numbers: int) -> int:
    """A count of float32 numbers, filled up to whole vectors."""
    return -(-numbers // _LANES) * _LANES


def scratch(settings: Settings, dimensions: int) -> Scratch:
    """The memory of a stream."""
    keys = settings.length + 2 * settings.window
    columns, queries, width = keys + settings.noise, whole_vectors(settings.length), whole_vectors(dimensions)

    def zeros(*shape: int) -> np.ndarray:
        return np.zeros(shape, np.float32)

    return Scratch(
        ids=np.zeros((2, columns + settings.length), np.int32),
        queries=zeros(queries, width),
        turned=zeros(width, queries),
        words=zeros(columns, width),
        weights=zeros(keys, queries),
        moves=zeros(columns, queries),
        offsets=zeros(columns),
        of_query=zeros(4, queries),
        hits=np.zeros(columns, np.int32),
        sums=zeros(columns, width),
        outs=np.zeros(columns, np.int64),
    )


def pair_weights(window: int, length: int, weighting: str) -> np.ndarray:
    """What a key and a query count as a pair if both reach each other: float32 [keys, Q]; see `blocks.PairWeights`."""
    distance = np.abs(np.arange(length + 2 * window)[:, np.newaxis] - window - np.arange(whole_vectors(length)))
    weights = (window - distance + 1) / window if weighting == "expected" else np.ones(distance.shape)
    within = (distance > 0) & (distance <= window) & (np.arange(whole_vectors(length)) < length)
    return np.where(within, weights, 0).astype(np.float32)


# Sums keep their order, and numbers that are none are seen: so not all that "fast" stands for.
_compiled = numba.njit(nogil=True, error_model="numpy", fastmath={"contract", "arcp", "nsz"})


@_compiled
def train(
    chunk: Chunk,
    tables: Tables,
    settings: Settings,
    noise: Noise,
    rates: Rates,
    own: Scratch,
    begin: int,
    end: int,
    step: int,
    sums: np.ndarray,
) -> int:
    """Trains on some blocks of a chunk, in their order.

    Args:
        chunk: the blocks.
        tables: the model; changed in place.
        settings: of the training.
        noise: the sampler.
        rates: the learning rate.
        own: memory that no other stream uses meanwhile.
        begin: the place in the chunk's order of the first block.
        end: the place after the last.
        step: how many blocks were trained on before, which decides the learning rate.
        sums: float64 [3]; added to it are, of the blocks that were measured, the loss and the pairs; and of all blocks
            the positions that have pairs.

    Returns:
        How many blocks were trained on: fewer than asked for where the loss is no longer a number.
    """
    if begin < end:
        _choose(chunk, begin, tables, settings, noise, own, 0)
    for place in range(begin, end):
        now = (place - begin) & 1
        ids = own.ids[now]
        if place + 1 < end:  # so early that the rows have come when they are needed
            _choose(chunk, place + 1, tables, settings, noise, own, 1 - now)
        start = chunk.order[place] * settings.length
        weights = _weigh(chunk, start, settings, own, sums)
        _score(ids, tables, settings, noise, own)
        if settings.distinct:
            _find_hits(ids, settings, own)
        if (step + place - begin) % MEASURED_EVERY == 0:
            sums[LOSS] += _loss(ids, weights, settings, own)
            sums[PAIRS] += own.of_query[0].sum()
            if not np.isfinite(sums[LOSS]):
                return place - begin + 1
        rate = _rate(rates, step + place - begin)
        if noise.rate:
            _observe(ids, settings, noise, own)
        scale = np.float32(1) if tables.target_squares else rate
        if settings.loss == LOGISTIC:
            _logistic(ids, weights, scale, settings, own)
        else:
            _softmax(ids, weights, scale, settings, own)
        if tables.target_squares:
            _adagrad(ids, rate, tables, settings, rates, own)
        else:
            _sgd(ids, tables, settings, rates, own)
    return end - begin


@_compiled
def _rate(rates, step):
    falling = rates.initial * (1 - step / rates.steps)
    rising = rates.initial * (step + 1) / max(rates.warmup, 1.0)
    return np.float32(max(rising if step < rates.warmup else falling, rates.minimum))


@_compiled
def _mixed(bits):
    bits = (bits ^ (bits >> np.uint64(30))) * _FIRST
    bits = (bits ^ (bits >> np.uint64(27))) * _SECOND
    return bits ^ (bits >> np.uint64(31))


@_compiled
def draw(ids: np.ndarray, kept: np.ndarray, alias: np.ndarray, seed: int, block: int) -> None:
    """Draws noise words from an alias table: fills ids, int32, by the seed and the block's number alone."""
    key = _mixed(_mixed(np.uint64(seed)) + np.uint64(block) * _GAMMA)
    size = np.uint64(kept.shape[0])
    for place in range(ids.shape[0]):
        bits = _mixed(key + np.uint64(place + 1) * _GAMMA)
        column = np.int32(((bits >> np.uint64(32)) * size) >> np.uint64(32))
        rest = np.float32(bits & np.uint64(0xFFFFFF)) * np.float32(2.0**-24)
        ids[place] = column if rest < kept[column] else alias[column]


@_compiled
def _choose(chunk, place, tables, settings, noise, own, which):
    """Chooses a block's words, and asks for their rows."""
    keys = settings.length + 2 * settings.window
    columns, block = keys + settings.noise, chunk.order[place]
    ids, start = own.ids[which], block * settings.length
    for key in range(keys):
        ids[key] = chunk.ids[start + key]
    draw(ids[keys:columns], noise.kept, noise.alias, settings.seed, chunk.first + place)
    for query in range(settings.length):
        ids[columns + query] = chunk.ids[start + settings.window + query]
    size = tables.dimensions * _FLOAT
    for place in range(ids.shape[0]):
        row = (tables.context if place < columns else tables.target) + ids[place] * size
        for line in range(0, size, _LINE):
            prefetch(row + line)


@_compiled
def _weigh(chunk, start, settings, own, sums):
    """What each key and query count as a pair: [keys, Q]; and into of_query[0] each query's sum."""
    keys, window, length = settings.weights.shape[0], settings.window, settings.length
    inside, positions = True, 0
    for query in range(length):
        left, right = chunk.left[start + query], chunk.right[start + query]
        inside &= left == window and right == window
        positions += left + right > 0
    sums[POSITIONS] += positions
    weights = settings.weights
    if not inside:
        weights = own.weights
        for key in range(keys):
            for query in range(length):
                distance = key - window - query
                reached = -distance <= chunk.left[start + query] and distance <= chunk.right[start + query]
                weights[key, query] = settings.weights[key, query] if reached else np.float32(0)
    total = own.of_query[0]
    total[:] = 0
    for key in range(keys):
        for query in range(weights.shape[1]):
            total[query] += weights[key, query]
    return weights


@_compiled
def _score(ids, tables, settings, noise, own):
    """Copies a block's rows, and scores its keys with the queries that may be near them, and its noise with all."""
    size, columns = tables.dimensions * _FLOAT, own.moves.shape[0]
    for column in range(columns):
        row = numba.carray(pointer(tables.context + ids[column] * size), tables.dimensions, np.float32)
        for place in range(tables.dimensions):
            own.words[column, place] = row[place]
    for query in range(settings.length):
        row = numba.carray(pointer(tables.target + ids[columns + query] * size), tables.dimensions, np.float32)
        for place in range(tables.dimensions):
            own.queries[query, place] = row[place]
    queries, width = own.queries.shape
    step, turned_step, word_step = width * _FLOAT, queries * _FLOAT, own.words.shape[1] * _FLOAT
    source, turned, words = own.queries.ctypes.data, own.turned.ctypes.data, own.words.ctypes.data
    for place in range(0, width, _LANES):
        for query in range(0, queries, _LANES):
            to = turned + place * turned_step + query * _FLOAT
            turn(source + query * step + place * _FLOAT, step, to, turned_step)
    own.moves[:] = 0
    for column in range(columns):
        own.outs[column] = own.moves.ctypes.data + column * queries * _FLOAT
    keys = settings.weights.shape[0]
    for query in range(0, queries, _LANES):
        # These queries' pairs are with the keys from their first one's left to their last one's right.
        last = min(query + _LANES + 2 * settings.window, keys)
        _multiply(own.outs, query, last, query, 1, words, word_step, _FLOAT, turned, turned_step, tables.dimensions)
    vectors = queries // _LANES
    _multiply(own.outs, keys, columns, 0, vectors, words, word_step, _FLOAT, turned, turned_step, tables.dimensions)
    if not tables.bias and not noise.log_expected.shape[0]:
        return
    bias = numba.carray(pointer(tables.bias), noise.kept.shape[0] if tables.bias else 0, np.float32)
    for column in range(columns):
        offset = bias[ids[column]] if tables.bias else np.float32(0)
        if noise.log_expected.shape[0]:
            offset -= noise.log_expected[ids[column]]
        for query in range(queries):
            own.moves[column, query] += offset


@_compiled
def _multiply(outs, first, last, offset, width, a, a_row, a_step, b, b_step, count):
    """`out[i] += sum over k < count of a[k, i] * b[k]`, for first <= i < last, and `width` vectors from `offset` on.

    a, b, a_row, a_step and b_step are as `add_tile` has them.
    """
    outs, offset = outs.ctypes.data, offset * _FLOAT
    most = _ROWS if width > 1 else _ROWS_OF_ONE
    for vector in range(0, width, _VECTORS):
        vectors = min(_VECTORS, width - vector)
        place = offset + vector * _LANES * _FLOAT
        for row in range(first, last, most):
            rows = min(most, last - row)
            add_tile(rows, vectors, outs + 8 * row, place, a + row * a_row, a_row, a_step, b + place, b_step, count)


@_compiled
def _find_hits(ids, settings, own):
    keys = settings.weights.shape[0]
    for column in range(keys, own.moves.shape[0]):
        hits = 0
        for key in range(keys):
            hits += ids[key] == ids[column]
        own.hits[column] = hits


@_compiled
def _share_of_noise(ids, column, weights, settings, own, out):
    """What a noise word counts for each query: its pairs, without those whose context the word is."""
    share = np.float32(settings.negatives) / np.float32(settings.noise)
    total = own.of_query[0]
    for query in range(total.shape[0]):
        out[query] = total[query]
    if settings.distinct and own.hits[column]:
        for key in range(weights.shape[0]):
            if ids[key] == ids[column]:
                for query in range(total.shape[0]):
                    out[query] -= weights[key, query]
    for query in range(total.shape[0]):
        out[query] = max(out[query], np.float32(0)) * share


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
    return np.float32(1) / (np.float32(1) + _exp(min(max(-x, np.float32(-87)), np.float32(87))))


@_compiled
def _softplus(x):
    return max(x, np.float32(0)) + np.log1p(np.exp(-abs(x)))


@_compiled
def _logistic(ids, weights, scale, settings, own):
    """NCE's and negative sampling's gradient: weight x (sigmoid - label); from scores to moves against it."""
    moves, keys = own.moves, weights.shape[0]
    for key in range(keys):
        for query in range(moves.shape[1]):
            moves[key, query] = scale * weights[key, query] * _sigmoid(-moves[key, query])
    of_noise = own.of_query[1]
    for column in range(keys, moves.shape[0]):
        if column == keys or settings.distinct:
            _share_of_noise(ids, column, weights, settings, own, of_noise)
        for query in range(moves.shape[1]):
            moves[column, query] = -scale * of_noise[query] * _sigmoid(moves[column, query])


@_compiled
def _normalise(ids, weights, settings, own):
    """Of each query, into of_query: the greatest score of noise [2], and log Z of all its noise [3]."""
    moves, keys = own.moves, weights.shape[0]
    top, log_z = own.of_query[2], own.of_query[3]
    top[:] = -np.inf
    log_z[:] = 0
    for column in range(keys, moves.shape[0]):
        for query in range(moves.shape[1]):
            top[query] = max(top[query], moves[column, query])
    for column in range(keys, moves.shape[0]):
        for query in range(moves.shape[1]):
            log_z[query] += _exp(max(moves[column, query] - top[query], np.float32(-87)))
    for query in range(moves.shape[1]):
        log_z[query] = np.log(log_z[query]) + top[query]


@_compiled
def _log_z_of(ids, key, settings, own, out):
    """log Z of each query for a key: of the noise words that are not the key itself."""
    keys = settings.weights.shape[0]
    top, log_z = own.of_query[2], own.of_query[3]
    hit = False
    if settings.distinct:
        for column in range(keys, own.moves.shape[0]):
            hit |= ids[column] == ids[key]
    for query in range(out.shape[0]):
        out[query] = np.float32(0) if hit else log_z[query]
    if not hit:
        return
    for column in range(keys, own.moves.shape[0]):
        if ids[column] != ids[key]:
            for query in range(out.shape[0]):
                out[query] += _exp(max(own.moves[column, query] - top[query], np.float32(-87)))
    for query in range(out.shape[0]):
        out[query] = np.log(max(out[query], np.float32(1e-30))) + top[query]


@_compiled
def _softmax(ids, weights, scale, settings, own):
    """Sampled softmax's gradient, probability - label; from scores to moves against it."""
    moves, keys, queries = own.moves, weights.shape[0], own.moves.shape[1]
    _normalise(ids, weights, settings, own)
    top, total = own.of_query[2], own.of_query[0]
    # What a noise word's exponential, exp(score - top), is multiplied by: of_query[0], less what its own keys count.
    log_z, own_part = own.of_query[1], own.weights
    total[:] = 0
    for key in range(keys):
        _log_z_of(ids, key, settings, own, log_z)
        for query in range(queries):
            missed = weights[key, query] * _sigmoid(log_z[query] - moves[key, query])
            moves[key, query] = scale * missed
            part = missed * np.exp(top[query] - log_z[query])
            own_part[key, query] = part
            total[query] += part
    for column in range(keys, moves.shape[0]):
        for query in range(queries):
            log_z[query] = total[query]
        if settings.distinct and own.hits[column]:
            for key in range(keys):
                if ids[key] == ids[column]:
                    for query in range(queries):
                        log_z[query] -= own_part[key, query]
        for query in range(queries):
            exponential = _exp(max(moves[column, query] - top[query], np.float32(-87)))
            moves[column, query] = -scale * exponential * max(log_z[query], np.float32(0))


@_compiled
def _loss(ids, weights, settings, own):
    """The loss of a block, summed over its pairs, from its scores."""
    moves, keys, queries = own.moves, weights.shape[0], own.moves.shape[1]
    loss, row = 0.0, own.of_query[1]
    if settings.loss == SOFTMAX:
        _normalise(ids, weights, settings, own)
    for key in range(keys):
        if settings.loss == SOFTMAX:
            _log_z_of(ids, key, settings, own, row)
        for query in range(queries):
            if weights[key, query]:
                score = moves[key, query]
                loss += weights[key, query] * _softplus(row[query] - score if settings.loss == SOFTMAX else -score)
    if settings.loss == LOGISTIC:
        for column in range(keys, moves.shape[0]):
            _share_of_noise(ids, column, weights, settings, own, row)
            for query in range(queries):
                loss += row[query] * _softplus(moves[column, query])
    return loss


@_compiled
def _observe(ids, settings, noise, own):
    """Moves the mean losses of a block's noise words; a word drawn several times moves by their mean."""
    keys, columns = settings.weights.shape[0], own.moves.shape[0]
    total = max(own.of_query[0].sum(), np.float32(1e-9))
    for column in range(keys, columns):
        loss = np.float32(0)
        for query in range(settings.length):
            loss += own.of_query[0, query] / total * _softplus(own.moves[column, query])
        own.offsets[column] = loss
    for column in range(keys, columns):
        loss, times, before = np.float32(0), 0, False
        for other in range(keys, columns):
            if ids[other] == ids[column]:
                before |= other < column
                loss += own.offsets[other]
                times += 1
        if not before:
            word = ids[column]
            noise.losses[word] += np.float32(noise.rate) * (loss / times - noise.losses[word])


@_compiled
def _add_to_queries(own, settings, width):
    """Adds to the rows at `outs` what each query's row moves by: the moves times the words."""
    moves, keys = own.moves, settings.weights.shape[0]
    a, a_step = own.moves.ctypes.data, moves.shape[1] * _FLOAT
    b, b_step = own.words.ctypes.data, own.words.shape[1] * _FLOAT
    for query in range(0, settings.length, _ROWS):
        last = min(query + _ROWS, settings.length)
        # Of the keys, those near these queries; of the noise, all.
        for first, count in ((query, last - query + 2 * settings.window), (keys, settings.noise)):
            of_a, of_b = a + first * a_step, b + first * b_step
            _multiply(own.outs, query, last, 0, width, of_a, _FLOAT, a_step, of_b, b_step, count)


@_compiled
def _add_to_words(own, settings, width):
    """Adds to the rows at `outs` what each column's row moves by: the moves times the queries."""
    moves, keys, length = own.moves, settings.weights.shape[0], settings.length
    a, a_row = own.moves.ctypes.data, moves.shape[1] * _FLOAT
    b, b_step = own.queries.ctypes.data, own.queries.shape[1] * _FLOAT
    for key in range(0, keys, _ROWS):
        last = min(key + _ROWS, keys)
        first, end = max(key - 2 * settings.window, 0), min(last, length)  # the queries near these keys
        of_a, of_b = a + first * _FLOAT, b + first * b_step
        _multiply(own.outs, key, last, 0, width, of_a, a_row, _FLOAT, of_b, b_step, end - first)
    _multiply(own.outs, keys, moves.shape[0], 0, width, a, a_row, _FLOAT, b, b_step, length)


@_compiled
def _sgd(ids, tables, settings, rates, own):
    """Adds the moves to the tables' rows."""
    columns, size = own.moves.shape[0], tables.dimensions * _FLOAT
    if tables.dimensions % _LANES:
        _sums_of_queries(settings, own)
        for query in range(settings.length):
            _add_row(tables.target, ids[columns + query], tables.dimensions, own.sums[query])
        _sums_of_words(settings, own)
        for column in range(columns):
            _add_row(tables.context, ids[column], tables.dimensions, own.sums[column])
    else:
        for query in range(settings.length):
            own.outs[query] = tables.target + ids[columns + query] * size
        _add_to_queries(own, settings, own.words.shape[1] // _LANES)
        for column in range(columns):
            own.outs[column] = tables.context + ids[column] * size
        _add_to_words(own, settings, own.words.shape[1] // _LANES)
    if tables.bias:
        bias = numba.carray(pointer(tables.bias), 1 << 40, np.float32)
        for column in range(columns):
            bias[ids[column]] += np.float32(rates.bias) * own.moves[column].sum()


@_compiled
def _sums_of_queries(settings, own):
    own.sums[:] = 0
    for query in range(settings.length):
        own.outs[query] = own.sums[query].ctypes.data
    _add_to_queries(own, settings, own.words.shape[1] // _LANES)


@_compiled
def _sums_of_words(settings, own):
    own.sums[:] = 0
    for column in range(own.sums.shape[0]):
        own.outs[column] = own.sums[column].ctypes.data
    _add_to_words(own, settings, own.words.shape[1] // _LANES)


@_compiled
def _add_row(table, word, dimensions, row):
    out = numba.carray(pointer(table + word * dimensions * _FLOAT), dimensions, np.float32)
    for place in range(dimensions):
        out[place] += row[place]


@_compiled
def _adagrad(ids, rate, tables, settings, rates, own):
    """Moves the rows by Adagrad with an accumulator per row; a row that a block has several times moves once."""
    columns = own.moves.shape[0]
    _sums_of_queries(settings, own)
    _move_rows(ids[columns:], tables.target, tables.target_squares, tables.dimensions, rate, own.sums)
    _sums_of_words(settings, own)
    _move_rows(ids[:columns], tables.context, tables.context_squares, tables.dimensions, rate, own.sums)
    if tables.bias:
        for column in range(columns):
            own.sums[column, 0] = own.moves[column].sum()
        _move_rows(ids[:columns], tables.bias, tables.bias_squares, 1, rate * np.float32(rates.bias), own.sums)


@_compiled
def _move_rows(ids, table, squares, dimensions, rate, sums):
    accumulators = numba.carray(pointer(squares), 1 << 40, np.float32)
    for place in range(ids.shape[0]):
        again = False
        for before in range(place):
            again |= ids[before] == ids[place]
        if again:
            continue
        row, square = sums[place], np.float32(0)
        for other in range(place + 1, ids.shape[0]):
            if ids[other] == ids[place]:
                for number in range(dimensions):
                    row[number] += sums[other, number]
        for number in range(dimensions):
            square += row[number] * row[number]
        accumulators[ids[place]] += square / np.float32(dimensions)
        factor = rate / (np.sqrt(accumulators[ids[place]]) + _EPSILON)
        for number in range(dimensions):
            row[number] *= factor
        _add_row(table, ids[place], dimensions, row)
