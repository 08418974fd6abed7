"""Workers on tables of their own, which bring their changes together from time to time.

Several workers train the same model, each on its share of the text, with the compiled kernel and on its own copy of the
tables. At an exchange every row moves, from where all had it last, by the sum of what the workers changed, over a
divisor; then all have the same tables again. Only rows that somebody changed are sent.

Which divisor? The sum (1) keeps every step, and is right for a rare word, which one or two workers touched, or where
the workers learned different things. But where all have met the same error, the sum corrects it once per worker, and
diverges. The mean (the number of workers) is stable, and takes their steps from all rare words. Maleki et al. 2020
(AdaSum, arXiv 2006.02924) add what is orthogonal, and average what is parallel. For the changes d of a row this divides
their sum by

    |sum of d|^2 / (sum of |d|^2), but at least by 1,

which is 1 if they are orthogonal, and the number of workers that changed the row if these changed it alike. Two sums
over the workers are enough for it. No row moves further than the workers' changes would take it at right angles: by the
root of the sum of |d|^2 at most.

Ji et al. 2016 (arXiv 1604.04661) exchange frequent words more often than rare ones; so does this. The changes of
vectors are sent as float16, whose 11 bits are enough for a change.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

import numba
import numpy as np
from absl import logging

from word2vec import progress
from word2vec.training import blocks, training
from word2vec.training.tiles import KEPT

# The rows of the most frequent words, which come first in each table, are exchanged so many times for each time that
# all are.
FREQUENT = 1_000
PARTS = 10

# Rows are exchanged in slices of so many numbers: an exchange of all rows would take several times the tables' memory.
SLICE = 2**24

# However large the interval between two exchanges is set, an epoch has so many; but not for fewer positions than this,
# which a core trains on while a single sum is made.
AT_LEAST = 20
FEWEST_POSITIONS = 1_000

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

    @property
    def sent(self) -> float:
        """Bytes that this worker has sent."""

    def sum(self, array: np.ndarray) -> np.ndarray:
        """The sum of all workers' arrays.

        Args:
            array: of any shape, which all workers' arrays have; float16, float32 or float64.

        Raises:
            tf.errors.OpError: a worker has gone.
        """


class Exchange:
    """Brings the workers' tables together.

    Args:
        tables: of this worker, float32 or float16 [V, ...]; changed in place. All workers have the same values now.
        collective: the workers.
    """

    def __init__(self, tables: Sequence[np.ndarray], collective: Collective):
        self._tables = [_flat(table) for table in tables]
        self._last, self._collective = [table.copy() for table in self._tables], collective

    def __call__(self, frequent: int | None = None) -> None:
        """Exchanges what has changed.

        Args:
            frequent: only the first so many rows of each table; all by default.
        """
        own, last = ([table[:frequent] for table in tables] for tables in (self._tables, self._last))
        if frequent is None:
            changed = [_changed(_bits(now), _bits(then)) for now, then in zip(own, last, strict=True)]
            rows = [np.flatnonzero(flags) for flags in self._sums([flags.astype(np.float16) for flags in changed])]
        else:  # nearly all of them
            rows = [np.arange(len(table)) for table in own]
        most = max(SLICE // sum(table.shape[1] for table in own), 1)
        for begin in range(0, max(map(len, rows)), most):
            self._move(own, last, [of_table[begin : begin + most] for of_table in rows])

    def _move(self, own: Sequence[np.ndarray], last: Sequence[np.ndarray], rows: Sequence[np.ndarray]) -> None:
        """Exchanges some rows of each table: int [n], the same for all workers."""
        changes = [now[at] - then[at].astype(np.float32) for now, then, at in zip(own, last, rows, strict=True)]
        lengths = [np.einsum("ij,ij->i", each, each) for each in changes]
        sums = self._sums([*(_to_send(each) for each in changes), *lengths])
        for now, then, at, change, length in zip(own, last, rows, sums, sums[len(changes) :], strict=False):
            then[at] = then[at] + change / divisor(change, length)[:, np.newaxis]
            now[at] = then[at]

    def _sums(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The sums over the workers of each array, as float32; those of one type are sent together."""
        sums: list[np.ndarray] = [*arrays]
        for kind in sorted({array.dtype for array in arrays}, key=str):
            places = [place for place, array in enumerate(arrays) if array.dtype == kind]
            total = self._collective.sum(np.concatenate([arrays[place].reshape(-1) for place in places]))
            ends = np.cumsum([arrays[place].size for place in places])
            for place, part in zip(places, np.split(total.astype(np.float32), ends[:-1]), strict=True):
                sums[place] = part.reshape(arrays[place].shape)
        return sums


def divisor(change: np.ndarray, length: np.ndarray) -> np.ndarray:
    """What the sum of the workers' changes of a row is divided by: float32 [n].

    Args:
        change: float32 [n, D], the sum.
        length: float32 [n], the sum of their squared lengths.
    """
    return np.maximum(np.einsum("ij,ij->i", change, change) / np.maximum(length, np.finfo(np.float32).tiny), 1)


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

    def count(self, done: int) -> None:
        """Says how many steps of the whole training are done."""

    def in_place(self) -> Sequence[np.ndarray]:
        """All that a training changes, where it is in memory."""

    def agree(self, mean: Callable[[np.ndarray], np.ndarray]) -> None:
        """Goes on from what all workers have learned of the noise; `mean` is over the workers' arrays."""

    def rounds(self, data: Iterable[blocks.Documents], *, skip: int, done: int) -> Iterator[training.Round]:
        """See `training.Steps`."""


class ExchangingSteps:
    """Steps of one of several workers; see `training.Steps`.

    Every worker counts the same steps, whether its share of the text still has some or not: those of the longest share.
    So they all have the same learning rate, save at the same instants, and end together.

    Args:
        own: of this worker.
        collective: all workers.
        interval: steps between two exchanges of all rows, about.

    Attributes:
        interval: exactly.
    """

    def __init__(self, own: Own, collective: Collective, *, interval: int):
        self._own, self._collective = own, collective
        self._seconds: list[np.ndarray] = []
        self._rounds = max(round(interval / (PARTS * own.steps_per_call)), 1)  # of a part
        self.interval = PARTS * self._rounds * own.steps_per_call

    def rounds(self, data: Iterable[blocks.Documents], *, skip: int, done: int) -> Iterator[training.Round]:
        """See `training.Steps`."""
        exchange = Exchange(self._own.in_place(), self._collective)
        own = self._own.rounds(data, skip=skip, done=done)
        while True:
            rounds, seconds = list[training.Round](), 0.0
            for _ in range(PARTS):
                began = time.perf_counter()
                rounds += [next(own, _NOTHING) for _ in range(self._rounds)]
                seconds += time.perf_counter() - began
                exchange(FREQUENT)
            totals = self._together(rounds, seconds)
            if not totals.busy:
                logging.info("Sent to other workers until now: %.1f MB", self._collective.sent / 1e6)
                return
            exchange()
            self._own.agree(lambda array: self._collective.sum(array) / self._collective.workers)
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


def _to_send(changes: np.ndarray) -> np.ndarray:
    """Vectors as float16; a single number per row is little, and Adagrad's can be large."""
    return changes.astype(np.float16) if changes.shape[1] > 1 else changes


def _flat(rows: np.ndarray) -> np.ndarray:
    return rows.reshape(len(rows), -1)


def _bits(rows: np.ndarray) -> np.ndarray:
    """Numbers as integers of their size, which are equal where they are; numba does not know float16."""
    return rows.view({2: np.uint16, 4: np.uint32}[rows.itemsize])


@numba.njit(nogil=True, cache=KEPT)
def _changed(now: np.ndarray, then: np.ndarray) -> np.ndarray:
    """Which rows differ: float32 [V], 1 or 0."""
    flags = np.zeros(now.shape[0], np.float32)
    for row in range(now.shape[0]):
        for column in range(now.shape[1]):
            if now[row, column] != then[row, column]:
                flags[row] = 1
                break
    return flags
