"""Workers on tables of their own, which bring their changes together from time to time.

Several workers train the same model, each on its share of the text, with the compiled kernel and on its own copy of the
tables. At an exchange every row moves, from where all had it last, by the sum of what the workers changed, over a
divisor; then all have the same tables again. Only rows that somebody changed are sent.

Which divisor? The sum (1) keeps every step, and is right for a rare word, which one or two workers touched. But a
frequent word has met the same errors on all workers, and the sum corrects them once per worker: that diverges. The mean
(the number of workers) is stable, and takes their steps from all rare words. Take a row near its optimum, where a step
with the learning rate r brings it nearer by the factor 1 - r c, for some curvature c. After u steps per worker each
worker has covered the share 1 - q of the way, with q = exp(-r c u). One worker that had made the steps of T workers
would have covered 1 - q^T. The sum over the workers is T (1 - q); so this is what it has to be divided by:

    T (1 - q) / (1 - q^T)

It is 1 where rows are seldom changed or the learning rate is small, and T where they are changed often. After the
exchange the share 1 - q^T of the way is done, which is never more than all of it: so it is stable for any number of
workers. Ji et al. 2016 (arXiv 1604.04661) exchange frequent words more often than rare ones; so does this.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

import numba
import numpy as np

from word2vec import progress
from word2vec.training import blocks, kernel, training
from word2vec.training.tiles import KEPT

# The curvature c. Measured: python -m benchmarks.averaging
CURVATURE = 1.6

# The rows of the most frequent words, which come first in each table, are exchanged so many times for each time that
# all are.
FREQUENT = 1_000
PARTS = 10

# After so many exchanges of all rows one is told which worker is slow, if it takes so many times the median.
INTERVALS = 20
MUCH_SLOWER = 1.5


class Collective(Protocol):
    """Sums over all workers, which must all ask for the same sums in the same order."""

    @property
    def worker(self) -> int:
        """Which of them this is, counted from 0."""

    @property
    def workers(self) -> int:
        """How many there are."""

    def sum(self, array: np.ndarray) -> np.ndarray:
        """The sum of all workers' arrays.

        Args:
            array: of any shape, which all workers' arrays have; float32, float64 or int32.

        Raises:
            tf.errors.OpError: a worker has gone.
        """


class Shared(NamedTuple):
    """A table that is exchanged.

    Attributes:
        rows: float32 [V, ...], this worker's own; changed in place.
        often: float64 [V], how often a worker is expected to change each row between two exchanges.
    """

    rows: np.ndarray
    often: np.ndarray


def divisor(touched: np.ndarray, steps: np.ndarray, rate: float) -> np.ndarray:
    """What the sum of the workers' changes of a row is divided by: float64 [n].

    Args:
        touched: int [n], how many workers changed the row; at least 1.
        steps: float [n], how often each is expected to have changed it.
        rate: the learning rate.
    """
    way = np.maximum(rate * CURVATURE * steps, 1e-12)
    return touched * np.expm1(-way) / np.expm1(-way * touched)


def changes_per_block(settings: kernel.Settings, kept: np.ndarray, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How often a block is expected to change each row of the targets and of the contexts: float64 [rows], [V].

    Args:
        settings: of the kernel.
        kept: float64 [V], each word's share of the positions.
        noise: float64 [V], its probability to be drawn as noise.
    """
    positions, around = settings.length * kept, (settings.length + 2 * settings.window) * kept
    skipgram = settings.mix is None
    targets, contexts = (positions, around) if skipgram else (around, positions)
    if settings.splits is not None and settings.rows is not None:  # a word's n-grams have rows too
        of_word = np.repeat(targets, np.diff(settings.splits))
        targets = np.bincount(settings.rows, of_word, minlength=int(settings.rows.max()) + 1)
    return targets, contexts + settings.noise * noise


class Exchange:
    """Brings the workers' tables together.

    Args:
        tables: of this worker; all workers have the same values now.
        collective: the workers.
    """

    def __init__(self, tables: Sequence[Shared], collective: Collective):
        self._tables, self._collective = tables, collective
        self._last = [table.rows.copy() for table in tables]

    def __call__(self, rate: float, *, frequent: int | None = None, part: float = 1.0) -> None:
        """Exchanges what has changed.

        Args:
            rate: the learning rate of the steps since the last exchange.
            frequent: only the first so many rows of each table; all by default.
            part: the share of `Shared.often` that was trained since these rows' last exchange.
        """
        own = [table.rows[:frequent] for table in self._tables]
        last = [rows[:frequent] for rows in self._last]
        flags = [_changed(_flat(now), _flat(then)) for now, then in zip(own, last, strict=True)]
        touched = np.split(self._collective.sum(np.concatenate(flags)), np.cumsum([len(each) for each in flags])[:-1])
        rows = [np.flatnonzero(each) for each in touched]
        changes = [_flat(now)[each] - _flat(then)[each] for now, then, each in zip(own, last, rows, strict=True)]
        sums = self._collective.sum(np.concatenate([each.reshape(-1) for each in changes]))
        begin = 0
        for place, (now, then) in enumerate(zip(own, last, strict=True)):
            at, shape = rows[place], changes[place].shape
            change = sums[begin : begin + changes[place].size].reshape(shape)
            begin += changes[place].size
            over = divisor(touched[place][at], part * self._tables[place].often[at], rate)
            _flat(then)[at] += change / over[:, np.newaxis].astype(np.float32)
            _flat(now)[at] = _flat(then)[at]


class _Totals(NamedTuple):
    """What all workers did between two exchanges.

    Attributes:
        busy: how many of them had something to train on.
        loss, pairs, positions: see `training.Round`.
        waited: likewise, their mean.
        seconds: float64 [workers], what each took.
    """

    busy: float
    loss: float
    pairs: float
    positions: float
    waited: float
    seconds: np.ndarray


_NOTHING = training.Round(0, 0.0, 0.0, 0, 0.0)


class Own(Protocol):
    """Steps on a worker's own tables: `compiled_steps.CompiledSteps`."""

    steps_per_call: int

    @property
    def learning_rate(self) -> float:
        """Of the next step."""

    def count(self, done: int) -> None:
        """Says how many steps of the whole training are done."""

    def shared(self, kept: np.ndarray, steps: int) -> Sequence[Shared]:
        """All that a training changes, where it is in memory.

        Args:
            kept: float64 [V], each word's share of the positions.
            steps: between two exchanges.
        """

    def rounds(self, data: Iterable[blocks.Documents], *, skip: int, done: int) -> Iterator[training.Round]:
        """See `training.Steps`."""


class ExchangingSteps:
    """Steps of one of several workers; see `training.Steps`.

    Every worker counts the same steps, whether its share of the text still has some or not: those of the longest share.
    So they all have the same learning rate, save at the same instants, and end together.

    Args:
        own: of this worker.
        collective: all workers.
        kept: float64 [V], each word's share of the positions.
        interval: steps between two exchanges of all rows, about.

    Attributes:
        interval: exactly.
    """

    def __init__(self, own: Own, collective: Collective, kept: np.ndarray, *, interval: int):
        self._own, self._collective, self._kept = own, collective, kept
        self._seconds: list[np.ndarray] = []
        self._rounds = max(round(interval / (PARTS * own.steps_per_call)), 1)  # of a part
        self.interval = PARTS * self._rounds * own.steps_per_call

    def rounds(self, data: Iterable[blocks.Documents], *, skip: int, done: int) -> Iterator[training.Round]:
        """See `training.Steps`."""
        exchange = Exchange(self._own.shared(self._kept, self.interval), self._collective)
        own = self._own.rounds(data, skip=skip, done=done)
        while True:
            rate, rounds, seconds = self._own.learning_rate, [], 0.0
            for _ in range(PARTS):
                began = time.perf_counter()
                rounds += [next(own, _NOTHING) for _ in range(self._rounds)]
                seconds += time.perf_counter() - began
                exchange(rate, frequent=FREQUENT, part=1 / PARTS)
            totals = self._together(rounds, seconds)
            if not totals.busy:
                return
            exchange(rate)
            done += self.interval
            self._own.count(done)
            yield training.Round(self.interval, totals.loss, totals.pairs, round(totals.positions), totals.waited)

    def _together(self, rounds: Sequence[training.Round], seconds: float) -> _Totals:
        """The workers' sums."""
        own = np.zeros(self._collective.workers)
        own[self._collective.worker] = seconds
        steps, *sums = (float(sum(numbers)) for numbers in zip(*rounds, strict=True))
        everyones = self._collective.sum(np.array([steps > 0, *sums, *own], np.float64))
        busy, loss, pairs, positions, waited = everyones[:5].tolist()
        totals = _Totals(busy, loss, pairs, positions, waited / self._collective.workers, everyones[5:])
        if busy == self._collective.workers:
            self._tell_who_is_slow(totals.seconds)
        return totals

    def _tell_who_is_slow(self, seconds: np.ndarray) -> None:
        """Notes, once, for whom all others wait."""
        if len(self._seconds) == INTERVALS:
            return
        self._seconds.append(seconds)
        mean = np.mean(self._seconds, axis=0)
        if len(self._seconds) == INTERVALS and mean.max() > MUCH_SLOWER * np.median(mean):
            progress.note(
                f"worker {int(mean.argmax())} takes {mean.max() / np.median(mean):.1f} times as long as most others, "
                "which wait for it at each exchange. Give all workers the same cores"
            )


def _flat(rows: np.ndarray) -> np.ndarray:
    return rows.reshape(len(rows), -1)


@numba.njit(nogil=True, cache=KEPT)
def _changed(now: np.ndarray, then: np.ndarray) -> np.ndarray:
    """Which rows differ: int32 [V], 1 or 0."""
    flags = np.zeros(now.shape[0], np.int32)
    for row in range(now.shape[0]):
        for column in range(now.shape[1]):
            if now[row, column] != then[row, column]:
                flags[row] = 1
                break
    return flags
