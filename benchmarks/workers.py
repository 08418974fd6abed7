"""Measures one worker of one core, and two workers of one core each that train together over loopback.

    python -m benchmarks.workers --run runs/bench --epochs 2

Prints a row per training: words per second of all workers together, what each sent per million words of the text, and
the quality of the vectors.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from typing import Any

from benchmarks import arguments, markdown, parts, systems
from word2vec import progress


class _Log(logging.Handler):
    """Hears how much was sent."""

    sent_mb = 0.0

    def emit(self, record: logging.LogRecord) -> None:
        """Of the latest epoch."""
        if found := re.search(r"Sent to other workers until now: ([\d.]+) MB", record.getMessage()):
            self.sent_mb = float(found[1])


def work(options: dict[str, Any]) -> dict[str, Any]:
    """What a worker does: trains on one core; only the chief has figures."""
    os.sched_setaffinity(0, {options["core"] % (os.cpu_count() or 1)})
    import absl.logging
    import tensorflow_text  # noqa: F401
    from gensim.models import KeyedVectors

    from word2vec import threads, vectors, vocabulary
    from word2vec.training import exchange, job

    exchange.AT_LEAST = 1  # as seldom as is asked for
    absl.logging.use_absl_handler()
    absl.logging.set_verbosity(absl.logging.INFO)
    threads.one_thread_an_op()
    listener, log = systems.Listener(), _Log()
    progress.add_handler(listener)
    logging.getLogger().addHandler(log)
    run, work = pathlib.Path(options["run"]), pathlib.Path(options["folder"])
    training = systems.job_of(run, work, options["config"])
    job.train(training)
    if options["core"]:
        return {}
    assert listener.latest is not None  # every training that ends well tells of its steps
    keyed = KeyedVectors.load_word2vec_format(str(work / "model" / vectors.FOLDER / vectors.BINARY), binary=True)
    million_words = vocabulary.read(training.vocabulary).counts.sum() * training.epochs / options["workers"] / 1e6
    return {
        **systems.quality(keyed),
        "words_per_second": round(listener.latest.words_per_second),
        "sent_mb": log.sent_mb / million_words,
    }


PARTS: dict[str, Callable[..., dict[str, Any]]] = {"work": work}


def main() -> None:
    """Trains, and prints a row per training as soon as it is there."""
    if parts.is_one_of(PARTS):
        sys.stdout.flush()
        os._exit(0)  # TensorFlow would wait for workers that may have gone
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=arguments.run, default=pathlib.Path("runs/bench"))
    parser.add_argument("--workers", type=arguments.count(), nargs="+", default=[1, 2])
    parser.add_argument("--positions", type=arguments.count(), nargs="+", default=[100_000], help="between exchanges")
    parser.add_argument("--epochs", type=arguments.count(), default=1)
    options = parser.parse_args()
    config = systems.trainer_settings(options.run)
    print(markdown.head(["workers", "words between exchanges", "words/s", "MB per million words", *systems.BENCHMARKS]))
    for workers in options.workers:
        for positions in options.positions if workers > 1 else options.positions[:1]:
            row = _measured(options, config, workers, positions)
            quality = (f"{row[name]:.3f}" for name in systems.BENCHMARKS)
            between = f"{positions:,}" if workers > 1 else ""
            sent = f"{row['sent_mb']:.0f}" if workers > 1 else ""
            print(markdown.row([str(workers), between, f"{row['words_per_second']:,}", sent, *quality]), flush=True)


def _measured(options: argparse.Namespace, config: dict[str, Any], workers: int, positions: int) -> dict[str, Any]:
    trainer = {
        **config["trainer"],
        "strategy": "multi_worker" if workers > 1 else "auto",
        "exchange_positions": positions,
        "epochs": options.epochs,
        "checkpoint_seconds": 1e6,
    }
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(workers)]
    addresses = [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]
    for one in sockets:
        one.close()
    with tempfile.TemporaryDirectory() as folder:
        request = {
            "run": str(options.run),
            "config": {**config, "trainer": trainer},
            "folder": folder,
            "workers": workers,
        }
        processes = []
        for index in range(workers):
            cluster = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
            told = {"part": "work", "options": {**request, "core": index}}
            command = [sys.executable, "-m", "benchmarks.workers", json.dumps(told)]
            environment = {**os.environ, "TF_CONFIG": json.dumps(cluster)}
            processes.append(
                subprocess.Popen(
                    command, cwd=parts.ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
                )
            )
        said = [process.communicate() for process in processes]
    for process, (_, errors) in zip(processes, said, strict=True):
        if process.returncode:
            raise SystemExit(f"a worker failed:\n{errors[-3000:]}")
    return json.loads(said[0][0].splitlines()[-1])


if __name__ == "__main__":
    main()
