"""The rows of a block of the compiled kernel: copied, multiplied, and their changes added to the tables.

Names and shapes are as in `kernel.Scratch`.
"""

from __future__ import annotations

import numpy as np

from word2vec.training import kernel_halves
from word2vec.training.kernel_blocks import LINE, ask_for
from word2vec.training.kernel_halves import widen
from word2vec.training.tiles import FLOAT_BYTES, REGISTERS, call, compiled, dot, prefetch, turn_square

LANES, _, _VECTORS = REGISTERS
ROWS = REGISTERS.most_rows(_VECTORS)
_ADDRESS = 8  # bytes of an address
_EPSILON = np.float32(1e-7)  # RowAdagrad's
_GAMMA = 0x85EBCA6B  # between the keys of two rows: an odd number
_TOGETHER = 4  # rows that `compose` adds up at a time


@compiled
def copy(table, ids, rows):
    """Copies the rows of some words; what stands beyond their dimensions stays."""
    for place in range(ids.shape[0]):
        row, out = table[ids[place]], rows[place]
        for number in range(row.shape[0]):
            out[number] = widen(row[number])


@compiled
def compose(table, ids, out, splits, rows, firsts):
    """Means of the rows of some words (`subwords`), each distinct word's but once: `firsts` says where it stands first.

    A few rows at a time, so that the sums need not be read and written for each of them.
    """
    dimensions, size = table.shape[1], table.shape[1] * table.itemsize
    for place in range(ids.shape[0]):
        word, mean, first = ids[place], out[place], 0
        while ids[first] != word:
            first += 1
        firsts[place] = first
        if first < place:
            for number in range(dimensions):
                mean[number] = out[first, number]
            continue
        at, end = splits[word], splits[word + 1]
        if place + 1 < ids.shape[0]:
            following = ids[place + 1]
            _ask_for_rows(table, rows, splits[following], splits[following + 1], size)
        share = np.float32(1) / np.float32(end - at)
        for number in range(dimensions):
            mean[number] = np.float32(0)
        while at + _TOGETHER <= end:
            _ask_for_rows(table, rows, at + _TOGETHER, end, size)
            one, two, three, four = table[rows[at]], table[rows[at + 1]], table[rows[at + 2]], table[rows[at + 3]]
            for number in range(dimensions):
                mean[number] += (widen(one[number]) + widen(two[number])) + (widen(three[number]) + widen(four[number]))
            at += _TOGETHER
        while at < end:
            one = table[rows[at]]
            for number in range(dimensions):
                mean[number] += widen(one[number])
            at += 1
        for number in range(dimensions):
            mean[number] *= share


@compiled
def _ask_for_rows(table, rows, at, end, size):
    """Asks for the next few rows of a word."""
    for place in range(at, min(at + _TOGETHER, end)):
        address = table.ctypes.data + np.int64(rows[place]) * size
        for line in range(0, size, LINE):
            prefetch(address + line)


@compiled
def add_to_all(table, ids, sums, splits, rows, firsts, key):
    """Adds the sums of each word to all its rows; for the key see `row_key`."""
    dimensions = table.shape[1]
    for place in range(ids.shape[0]):
        if firsts[place] < place:
            total, more = sums[firsts[place]], sums[place]
            for number in range(dimensions):
                total[number] += more[number]
    for place in range(ids.shape[0]):
        if firsts[place] == place:
            total = sums[place]
            for at in range(splits[ids[place]], splits[ids[place] + 1]):
                kernel_halves.add(table[rows[at]], total, row_key(key, rows[at]))


@compiled
def turn(queries, turned):
    """Turns the queries, so that a number of all of them is a vector."""
    size, width = queries.shape
    for place in range(0, width, LANES):
        for query in range(0, size, LANES):
            source = queries.ctypes.data + (query * width + place) * FLOAT_BYTES
            out = turned.ctypes.data + (place * size + query) * FLOAT_BYTES
            turn_square(source, width * FLOAT_BYTES, out, size * FLOAT_BYTES)


@compiled
def near(query, keys, reach):
    """The first key that a vector of queries may be paired with, and the one after the last."""
    return query, min(query + LANES + 2 * reach, keys)


@compiled
def score(words, queries, turned, moves, outs, keys, reach, dimensions, product, many, single):
    """Scores a block's keys with the queries that may be near them, and its noise with all of them.

    For the flags see `kernel_parts`.
    """
    size, noise = moves.shape[1], words.shape[0] - keys
    rows = moves.shape[0] - noise
    for column in range(moves.shape[0]):
        row = moves[column]
        for query in range(row.shape[0]):
            row[query] = np.float32(0)
        outs[column] = moves.ctypes.data + column * size * FLOAT_BYTES
    of_words, step, out = words.ctypes.data, words.shape[1] * FLOAT_BYTES, outs.ctypes.data
    turned_queries, turned_step = turned.ctypes.data, size * FLOAT_BYTES
    if many is not None:
        for query in range(0, size, LANES):
            first, last = near(query, keys, reach)
            a, to, offset = of_words + first * step, out + first * _ADDRESS, query * FLOAT_BYTES
            b = turned_queries
            call(product, to, last - first, offset, 1, a, step, FLOAT_BYTES, b, turned_step, dimensions, 0, 0)
    if single is not None:
        for key in range(keys):
            moves[0, key] = dot(of_words + key * step, queries.ctypes.data + key * step, words.shape[1] // LANES)
    a, to, width = of_words + keys * step, out + rows * _ADDRESS, size // LANES
    call(product, to, noise, 0, width, a, step, FLOAT_BYTES, turned_queries, turned_step, dimensions, 0, 0)


@compiled
def aim(outs, table, ids, sums, direct):
    """Sets the addresses to add to: the table's rows, or sums that are set to 0."""
    for place in range(ids.shape[0]):
        if direct:
            outs[place] = table.ctypes.data + np.int64(ids[place]) * table.shape[1] * table.itemsize
        else:
            outs[place] = sums.ctypes.data + place * sums.shape[1] * FLOAT_BYTES
            for number in range(sums.shape[1]):
                sums[place, number] = np.float32(0)


@compiled
def add_to_queries(outs, words, moves, keys, length, reach, product, context, target, following, parts):
    """Adds what each query's row moves by, the moves times the words; and asks for some rows of the next block."""
    columns, size = moves.shape
    step, word_step, width = size * FLOAT_BYTES, words.shape[1] * FLOAT_BYTES, words.shape[1] // LANES
    for query in range(0, length, ROWS):
        count = min(ROWS, length - query)
        # Of the keys, those near these queries; of the noise, all.
        near = count + 2 * reach
        a, b = moves.ctypes.data + query * (step + FLOAT_BYTES), words.ctypes.data + query * word_step
        to, gap = outs.ctypes.data + query * _ADDRESS, keys - query - near
        call(product, to, count, 0, width, a, FLOAT_BYTES, step, b, word_step, near, gap, columns - keys)
        ask_for(context, target, following, columns, query // ROWS, parts)


@compiled
def add_to_words(outs, queries, moves, keys, length, reach, product, context, target, following, parts):
    """Adds what each column's row moves by, the moves times the queries; and asks for the rest of the next block."""
    columns, size = moves.shape
    step, query_step, width = size * FLOAT_BYTES, queries.shape[1] * FLOAT_BYTES, queries.shape[1] // LANES
    key, part = 0, -(-length // ROWS)
    while key < columns:
        count, first, last = columns - key, 0, length
        if key < keys:  # only the queries near these keys
            count = min(ROWS, keys - key)
            first, last = max(key - 2 * reach, 0), min(key + count, length)
        a, b = moves.ctypes.data + key * step + first * FLOAT_BYTES, queries.ctypes.data + first * query_step
        to = outs.ctypes.data + key * _ADDRESS
        call(product, to, count, 0, width, a, step, FLOAT_BYTES, b, query_step, last - first, 0, 0)
        ask_for(context, target, following, columns, part, parts)
        key, part = key + count, part + 1


@compiled
def move_single(outs, words, moves, keys, mixed, product, context, target, following, parts):
    """As `add_to_queries`, where each query has the key at its own place only, into `mixed`, whatever it holds."""
    step, word_step, width = moves.shape[1] * FLOAT_BYTES, words.shape[1] * FLOAT_BYTES, words.shape[1] // LANES
    a, b, noise = moves.ctypes.data + step, words.ctypes.data + keys * word_step, words.shape[0] - keys
    for first in range(0, keys, ROWS):
        count = min(ROWS, keys - first)
        for query in range(first, first + count):
            outs[query] = mixed.ctypes.data + query * word_step
            for number in range(mixed.shape[1]):
                mixed[query, number] = moves[0, query] * words[query, number]
        to, of_a = outs.ctypes.data + first * _ADDRESS, a + first * FLOAT_BYTES
        call(product, to, count, 0, width, of_a, FLOAT_BYTES, step, b, word_step, noise, 0, 0)
        ask_for(context, target, following, words.shape[0], first // ROWS, parts)


@compiled
def add_to_single(outs, queries, moves, columns, keys, product, context, target, following, parts):
    """As `add_to_words`, where each key has the query at its own place only."""
    step, query_step, width = moves.shape[1] * FLOAT_BYTES, queries.shape[1] * FLOAT_BYTES, queries.shape[1] // LANES
    part, a, b, to = -(-keys // ROWS), moves.ctypes.data, queries.ctypes.data, outs.ctypes.data
    for first in range(0, keys, ROWS):
        for key in range(first, min(first + ROWS, keys)):
            of_a, of_b = a + key * FLOAT_BYTES, b + key * query_step
            call(product, to + key * _ADDRESS, 1, 0, width, of_a, step, FLOAT_BYTES, of_b, query_step, 1, 0, 0)
        ask_for(context, target, following, columns, part, parts)
        part += 1
    to, noise = to + keys * _ADDRESS, columns - keys
    call(product, to, noise, 0, width, a + step, step, FLOAT_BYTES, b, query_step, keys, 0, 0)
    ask_for(context, target, following, columns, part, parts)


@compiled
def row_key(key, row):
    """What decides how a row's numbers are rounded, by a key that each block has: uint32."""
    return np.uint32(np.uint64(key) + np.uint64(row) * np.uint64(_GAMMA))


@compiled
def add_sums(table, ids, sums, accumulators, rate, direct, key):
    """Adds the sums to the table, as Adagrad divides them if there are accumulators; nothing if it was done already."""
    if direct:
        return
    if accumulators is not None:
        _divide(ids, sums, table.shape[1], accumulators, rate)
    for place in range(ids.shape[0]):
        kernel_halves.add(table[ids[place]], sums[place], row_key(key, place))


@compiled
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


@compiled
def add_to_scores(moves, ids, rows, bias, log_expected, single):
    """Adds each column's bias, and takes off the log of its expected count; None stands for nothing.

    The first `rows` rows of scores are the keys', or one of each query with the key at its own place.
    """
    if bias is None:
        return
    keys = ids.shape[0] - (moves.shape[0] - rows)
    for column in range(ids.shape[0]):
        added = bias[ids[column]]
        if log_expected is not None:
            added -= log_expected[ids[column]]
        if single is not None and column < keys:
            moves[0, column] += added
        else:
            row = moves[column - keys + rows]
            for query in range(row.shape[0]):
                row[query] += added


@compiled
def add_to_bias(bias, ids, moves, rows, sums, accumulators, rate, share, single):
    """Adds the moves of each column to its bias, if there is one, `share` of them."""
    if bias is None:
        return
    keys = ids.shape[0] - (moves.shape[0] - rows)
    for column in range(ids.shape[0]):
        if single is not None and column < keys:
            sums[column, 0] = moves[0, column]
        else:
            sums[column, 0] = moves[column - keys + rows].sum()
    if accumulators is not None:
        _divide(ids, sums, 1, accumulators, rate)
    for column in range(ids.shape[0]):
        bias[ids[column]] += np.float32(share) * sums[column, 0]
