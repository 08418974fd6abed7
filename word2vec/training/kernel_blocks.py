"""What a block of the compiled kernel is of: its words, its noise, and what its pairs count."""

from __future__ import annotations

import numpy as np

from word2vec.training.tiles import compiled, prefetch

LINE = 64  # bytes of a cache line
# SplitMix64 (Steele, Lea and Flood 2014, figure 16).
_GAMMA, _FIRST, _SECOND = (np.uint64(x) for x in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


@compiled
def _mixed(bits):
    bits = (bits ^ (bits >> np.uint64(30))) * _FIRST
    bits = (bits ^ (bits >> np.uint64(27))) * _SECOND
    return bits ^ (bits >> np.uint64(31))


@compiled
def draw(ids: np.ndarray, kept: np.ndarray, alias: np.ndarray, seed: int, block: int) -> None:
    """Draws noise words from an alias table: fills ids, int32 [n], by the seed and the block's number alone."""
    key = _mixed(_mixed(np.uint64(seed)) + np.uint64(block) * _GAMMA)
    size = np.uint64(kept.shape[0])
    for place in range(ids.shape[0]):
        bits = _mixed(key + np.uint64(place + 1) * _GAMMA)
        column = np.int32(((bits >> np.uint64(32)) * size) >> np.uint64(32))
        rest = np.float32(bits & np.uint64(0xFFFFFF)) * np.float32(2.0**-24)
        ids[place] = column if rest < kept[column] else alias[column]


@compiled
def rounding_key(seed: int, block: int) -> np.uint32:
    """What decides how a block's changes are rounded in tables of half precision (`kernel_halves`)."""
    return np.uint32(_mixed(_mixed(~np.uint64(seed)) + np.uint64(block) * _GAMMA) >> np.uint64(32))


@compiled
def choose(ids, stream, start, keys, columns, around, reach):
    """The words of a block's keys, and behind the columns those of its inputs.

    Both stand at the positions and so far over the ends of the block: the keys by `reach`, the inputs by `around`.
    """
    for key in range(keys):
        ids[key] = stream[start + around + key]
    for place in range(ids.shape[0] - columns):
        ids[columns + place] = stream[start + reach + place]


@compiled
def look_at(left, right, start, length, window):
    """Whether all windows of a block are whole, and how many of its positions have pairs."""
    inside, positions = True, 0
    for query in range(start, start + length):
        inside &= left[query] == window and right[query] == window
        positions += left[query] + right[query] > 0
    return inside, positions


@compiled
def cut(all_weights, left, right, start, length, reach, weights):
    """The weights that the windows leave; the words of the weights reach so far over the block's ends."""
    for word in range(weights.shape[0]):
        for query in range(length):
            distance = word - reach - query
            before, behind = left[start + query], right[start + query]
            reached = -distance <= before and distance <= behind and before + behind > 0
            weights[word, query] = all_weights[word, query] if reached else np.float32(0)
        for query in range(length, weights.shape[1]):
            weights[word, query] = np.float32(0)


@compiled
def count_single(left, right, start, length, weights):
    """The weights of the queries' only pairs, float32 [1, Q]: 1 where there are words around the position."""
    for query in range(length):
        weights[0, query] = np.float32(left[start + query] + right[start + query] > 0)
    for query in range(length, weights.shape[1]):
        weights[0, query] = np.float32(0)


@compiled
def add_up(weights, total):
    """What the pairs of each query count in all."""
    for query in range(total.shape[0]):
        total[query] = np.float32(0)
    for key in range(weights.shape[0]):
        row = weights[key]
        for query in range(total.shape[0]):
            total[query] += row[query]


@compiled
def share_out(all_mix, left, right, start, length, around, total, mix):
    """How much of each input is in each query, over the root of what all of the query's count (`architectures.CBOW`).

    Without `left` and `right`, where all windows are whole.
    """
    if left is None:
        mix[:] = all_mix
    else:
        cut(all_mix, left, right, start, length, around, mix)
    add_up(mix, total)
    for query in range(total.shape[0]):
        total[query] = np.float32(1) / np.sqrt(max(total[query], np.float32(1e-9)))
    for word in range(mix.shape[0]):
        row = mix[word]
        for query in range(total.shape[0]):
            row[query] *= total[query]


@compiled
def ask_for(context, target, ids, columns, part, parts):
    """Asks for a part of a block's rows, so early that they have come when they are needed.

    A core waits for so few cache lines at a time that asking for all of them at once would make it stand still.
    """
    size, count = context.shape[1] * context.itemsize, ids.shape[0]
    for place in range(count * part // parts, count * (part + 1) // parts):
        table = context if place < columns else target
        row = table.ctypes.data + np.int64(ids[place]) * size
        for line in range(0, size, LINE):
            prefetch(row + line)
