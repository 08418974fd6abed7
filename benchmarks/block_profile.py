"""Measures the parts of the compiled kernel, each alone, on one core; and what this core can do at most."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from benchmarks import made_up_text
from word2vec import settings
from word2vec.training import kernel, kernel_blocks, kernel_losses, kernel_rows, samplers
from word2vec.training.tiles import REGISTERS, call, multiply

WINDOW, DEFAULTS = made_up_text.WINDOW, settings.TrainerSettings()
NEGATIVES, DIMENSIONS = DEFAULTS.negatives, DEFAULTS.dimensions
BLOCKS, REPEATS = 4096, 5  # so many that their rows are not all in the cache
Figures = dict[str, Any]


class _Case:
    """Made-up blocks of a vocabulary, words drawn by Zipf's law as subsampling leaves them."""

    def __init__(self, vocabulary: int, length: int, noise: int, dimensions: int):
        draw = np.random.default_rng(1)
        counts = made_up_text.zipf_counts(vocabulary)
        stream = made_up_text.words(counts, draw, BLOCKS * length + 2 * WINDOW)
        reach = np.full(BLOCKS * length, WINDOW, np.int32)
        self.chunk = kernel.Chunk(stream, reach, reach, draw.permutation(BLOCKS), 0)
        table = draw.normal(0, 0.1, (vocabulary, dimensions)).astype(np.float32)
        self.tables = kernel.Tables(table, table.copy(), None)
        weights = kernel.weights(WINDOW, length, "expected", "skipgram")
        self.settings = kernel.Settings(WINDOW, length, noise, NEGATIVES, False, True, *weights, 1)
        sampler = samplers.make(DEFAULTS.sampler, counts, DEFAULTS.noise_power)
        self.noise = kernel.Noise(*sampler.alias_table(), None, None, 0.0)
        self.own = kernel.scratch(self.settings, dimensions)

    def train(self) -> None:
        """The whole of it."""
        kernel.train(
            self.chunk, self.tables, None, self.settings, self.noise, kernel.Rates(1e-4, 1e-4, 1.0, 0.0), self.own,
            begin=0, end=BLOCKS, step=0, sums=np.zeros(3),
        )  # fmt: skip

    def parts(self) -> dict[str, Callable[[], None]]:
        """Each part for all blocks."""
        own, settings, chunk, product = self.own, self.settings, self.chunk, multiply()
        keys, columns = settings.weights.shape[0], own.moves.shape[0]
        ids, target, context = own.ids[0], self.tables.target, self.tables.context
        size = settings.length
        return {
            "choose the words and draw the noise": lambda: _choose(
                chunk.order, chunk.ids, ids, keys, columns, self.noise.kept, self.noise.alias, size
            ),
            "ask for the rows": lambda: _ask(chunk.order, chunk.ids, ids, columns, target, context, size),
            "copy the rows": lambda: _copy(
                chunk.order, chunk.ids, ids, columns, target, context, size, own.words, own.queries, own.turned
            ),
            "scores (a product)": lambda: _score(
                BLOCKS, own.words, own.queries, own.turned, own.moves, own.outs, keys, WINDOW, target.shape[1], product
            ),
            "exponentials and weights": lambda: _exponentials(
                BLOCKS, own.moves, ids, settings.weights, own.of_query, keys, columns
            ),
            "move the target rows (a product)": lambda: _queries(
                chunk.order, chunk.ids, ids, columns, target, size, own.outs, own.words, own.moves, keys, own.sums,
                product,
            ),
            "move the context rows (a product)": lambda: _words(
                chunk.order, chunk.ids, ids, columns, context, size, own.outs, own.queries, own.moves, keys, own.sums,
                product,
            ),
        }  # fmt: skip


@numba.njit(nogil=True)
def _choose(order, stream, ids, keys, columns, kept, alias, length):
    for place in range(len(order)):
        kernel_blocks.choose(ids, stream, order[place] * length, keys, columns, 0, WINDOW)
        kernel_blocks.draw(ids[keys:columns], kept, alias, 1, place)


@numba.njit(nogil=True)
def _fill(order, stream, ids, place, length):
    """Words of the text in all columns: rows as cold as those of keys."""
    start = order[place] * length
    for column in range(ids.shape[0]):
        ids[column] = stream[(start + column * 7) % (len(order) * length)]


@numba.njit(nogil=True)
def _ask(order, stream, ids, columns, target, context, length):
    for place in range(len(order)):
        _fill(order, stream, ids, place, length)
        kernel_blocks.ask_for(context, target, ids, columns, 0, 1)


@numba.njit(nogil=True)
def _copy(order, stream, ids, columns, target, context, length, words, queries, turned):
    for place in range(len(order)):
        _fill(order, stream, ids, place, length)
        kernel_rows.copy(context, ids[:columns], words)
        kernel_rows.copy(target, ids[columns:], queries)
        kernel_rows.turn(queries, turned)


@numba.njit(nogil=True)
def _score(times, words, queries, turned, moves, outs, keys, window, dimensions, product):
    for _ in range(times):
        kernel_rows.score(words, queries, turned, moves, outs, keys, window, dimensions, product, True, None)


@numba.njit(nogil=True)
def _exponentials(times, moves, ids, weights, of_query, keys, columns):
    for _ in range(times):
        of_keys, of_noise = ids[:keys], ids[keys:columns]
        hits = kernel_losses.any_hit(of_keys, of_noise)
        kernel_losses.move(
            moves, of_keys, of_noise, weights, of_query, WINDOW, NEGATIVES, hits, None, np.float32(1e-4), weights, None
        )


@numba.njit(nogil=True)
def _queries(order, stream, ids, columns, target, length, outs, words, moves, keys, sums, product):
    for place in range(len(order)):
        _fill(order, stream, ids, place, length)
        kernel_rows.aim(outs, target, ids[columns:], sums, True)
        kernel_rows.add_to_queries(outs, words, moves, keys, length, WINDOW, product, target, target, ids, 10**6)


@numba.njit(nogil=True)
def _words(order, stream, ids, columns, context, length, outs, queries, moves, keys, sums, product):
    for place in range(len(order)):
        _fill(order, stream, ids, place, length)
        kernel_rows.aim(outs, context, ids[:columns], sums, True)
        kernel_rows.add_to_words(outs, queries, moves, keys, length, WINDOW, product, context, context, ids, 10**6)


@numba.njit(nogil=True)
def _limit(times, product, outs, rows, a, b, count):
    for _ in range(times):
        call(
            product,
            outs,
            rows,
            0,
            REGISTERS.vectors,
            a,
            4 * count,
            4,
            b,
            4 * REGISTERS.lanes * REGISTERS.vectors,
            count,
            0,
            0,
        )


def limit() -> float:
    """What one core multiplies at most, in GFLOP/s: a tile whose numbers are all in the nearest cache, 256 long."""
    rows, width, count = REGISTERS.most_rows(REGISTERS.vectors), REGISTERS.vectors * REGISTERS.lanes, 256
    a, b, out = (np.zeros(shape, np.float32) for shape in ((rows, count), (count, width), (rows, width)))
    outs = np.array([row.ctypes.data for row in out])
    arguments = multiply(), outs.ctypes.data, rows, a.ctypes.data, b.ctypes.data, count
    seconds = _seconds(lambda: _limit(20_000, *arguments))
    return 2 * rows * width * count * 20_000 / seconds / 1e9


def _seconds(part: Callable[[], None]) -> float:
    part()  # compiles
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        part()
        times.append(time.perf_counter() - started)
    return float(np.median(times))


def profile(vocabulary: int, length: int, noise: int, dimensions: int = DIMENSIONS) -> Figures:
    """Microseconds of each part of a block, of a whole block, and the products' share of this core's limit."""
    case = _Case(vocabulary, length, noise, dimensions)
    microseconds = {name: _seconds(part) / BLOCKS * 1e6 for name, part in case.parts().items()}
    microseconds["whole block"] = _seconds(case.train) / BLOCKS * 1e6
    # Only pairs of a query with a key in its window or a noise word need to be multiplied, three times.
    operations = length * (2 * WINDOW + noise) * dimensions * 2
    most = limit()
    return {
        "microseconds": {name: round(value, 2) for name, value in microseconds.items()},
        "limit_gflops": round(most, 1),
        "share_of_limit": {
            name: round(operations * (3 if name == "whole block" else 1) / value / 1e3 / most, 3)
            for name, value in microseconds.items()
            if "product" in name or name == "whole block"
        },
    }
