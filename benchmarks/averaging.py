"""Workers on tables of their own: what is lost by how many of them, and by how seldom they exchange.

    python -m benchmarks.averaging --run runs/bench --workers 1 2 8 --exchanges 20 100

All workers are threads of one process, which train and exchange as the processes of `trainer.strategy: multi_worker`
do, except that they sum in memory. Prints a row per training: its settings, its quality, and the MB that each worker
would send per million words of the text. `--frequent` tries other numbers of rows that are exchanged more often.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import itertools
import pathlib
import tempfile
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks import arguments, markdown, parts, systems

# For the others, between two exchanges; after it one of them has failed.
_WAIT_SECONDS = 600


class Together:
    """Sums over the threads of a process.

    Args:
        workers: how many there are.

    Attributes:
        sent: bytes that each would have sent in a ring.
    """

    def __init__(self, workers: int):
        self.sent = 0.0
        self._arrays: dict[int, np.ndarray] = {}
        self._total = np.zeros(0)
        self._workers, self._barrier = workers, threading.Barrier(workers, timeout=_WAIT_SECONDS)

    def sum(self, worker: int, array: np.ndarray) -> np.ndarray:
        """The sum, always in the same order; the same array for all."""
        self._arrays[worker] = array
        self._barrier.wait()
        if worker == 0:
            self._total = np.zeros_like(array)
            for number in range(self._workers):
                self._total += self._arrays[number]
            self.sent += 2 * (self._workers - 1) / self._workers * array.nbytes
        self._barrier.wait()
        return self._total


@dataclasses.dataclass(frozen=True)
class Thread:
    """One of them; see `exchange.Collective`."""

    worker: int
    workers: int
    together: Together

    @property
    def sent(self) -> float:
        """See `exchange.Collective.sent`."""
        return self.together.sent

    def sum(self, array: np.ndarray) -> np.ndarray:
        """See `exchange.Collective.sum`."""
        return self.together.sum(self.worker, array)


def train(options: dict[str, Any]) -> dict[str, Any]:
    """Trains, and measures the vectors."""
    from gensim.models import KeyedVectors

    from word2vec import threads
    from word2vec.training import exchange, job

    threads.one_thread_an_op()
    exchange.FREQUENT, exchange.AT_LEAST = options["frequent"], options["exchanges"]
    workers = options["workers"]
    together = Together(workers)
    with tempfile.TemporaryDirectory() as folder:
        of_run = systems.job_of(pathlib.Path(options["run"]), pathlib.Path(folder), options["config"])
    data = job.Data(of_run)
    settings = of_run.trainer.model_copy(update={"exchange_positions": 10**12})
    per_worker = data.corpus.positions / workers
    epoch_steps = [tf.Variable(round(per_worker / settings.block_length), dtype=tf.int64) for _ in range(workers)]

    def work(worker: int) -> np.ndarray:
        network, schedule = job.built(of_run, data.words, (1, settings.block_length), epoch_steps[worker])
        own = Thread(worker, workers, together)
        steps = job.exchanging_steps(network, schedule, 1, settings, own)
        of_epoch, done = data.chunks(job.shards(of_run.train_files), (worker, workers)), 0
        for epoch in range(of_run.epochs):
            before = done
            for round_ in steps.rounds(of_epoch(epoch=epoch), skip=0, done=done):
                done += round_.steps
            epoch_steps[worker].assign(done - before)
        return network.target.embeddings.numpy()

    started = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        targets, *_ = pool.map(work, range(workers))
    seconds = time.perf_counter() - started
    keyed = KeyedVectors(settings.dimensions)
    keyed.add_vectors(data.words.words, targets)
    million_words = data.words.counts.sum() * of_run.epochs / workers / 1e6
    return {**systems.quality(keyed), "MB": together.sent / 1e6 / million_words, "seconds": seconds}


COLUMNS = ("workers", "exchanges", "frequent", "seed")


def main() -> None:
    """Prints the table."""
    from word2vec.training import exchange

    if parts.is_one_of(PARTS):
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=arguments.run, default=pathlib.Path("runs/bench"))
    parser.add_argument("--workers", type=arguments.count(), nargs="+", default=[2, 8])
    parser.add_argument("--exchanges", type=arguments.count(), nargs="+", default=[100], help="per epoch")
    parser.add_argument(
        "--frequent", type=int, nargs="+", default=[exchange.FREQUENT], help="rows exchanged more often"
    )
    parser.add_argument("--epochs", type=arguments.count(), default=5)
    parser.add_argument("--seeds", type=arguments.count(), default=1)
    options = parser.parse_args()
    config = systems.trainer_settings(options.run)
    print(markdown.head([*COLUMNS, *systems.BENCHMARKS, "MB per million words"]), flush=True)
    seeds = range(1, options.seeds + 1)
    for case in itertools.product(options.workers, options.exchanges, options.frequent, seeds):
        request = dict(zip(COLUMNS, case, strict=True))
        config["trainer"] |= {"seed": request["seed"], "epochs": options.epochs}
        how = {**request, "run": str(options.run), "config": config}
        row = parts.call("benchmarks.averaging", {"part": "train", "options": how})
        quality = (f"{row[name]:.3f}" for name in systems.BENCHMARKS)
        print(markdown.row([*map(str, case), *quality, f"{row['MB']:.1f}"]), flush=True)


PARTS: dict[str, Callable[..., dict[str, Any]]] = {"train": train}


if __name__ == "__main__":
    main()
