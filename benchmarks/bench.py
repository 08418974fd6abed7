"""Measures this project beside gensim and fastText, and its losses beside each other, all in one run.

    make bench CORPUS='reviews/*.gz'

Prints a table, and writes runs/bench/results.json and docs/BENCHMARKS.md. Every measurement is a process of its own,
one after the other.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import itertools
import json
import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

import rich.console

from benchmarks import arguments, bench_report, parts, systems
from pipeline import config_files
from word2vec import whole_files

RUN, RUN_OF_QUALITY = (parts.ROOT / "runs" / name for name in ("bench", "bench-quality"))
REPORT = parts.ROOT / "docs" / "BENCHMARKS.md"
BENCHMARKS = systems.BENCHMARKS
LOSSES = ("full_softmax", "sampled_softmax", "nce", "negative_sampling")

# Windows and dimensions at which we are measured beside gensim, which gets the first of so many parts of the text.
SHAPES = ((2, 128), (5, 128), (10, 128), (20, 128), (5, 64), (5, 300), (5, 512))
_PARTS = 4

Figures = dict[str, Any]
Settings = dict[str, Any]


def main() -> None:
    """Measures, prints and writes."""
    options = _parser().parse_args()
    screen = rich.console.Console(highlight=False)
    screen.print("preparing the pairs (two runs of the pipeline) …")
    prepare(options.corpus, "imdb", RUN)
    prepare(options.corpus, "quality", RUN_OF_QUALITY)
    config = systems.trainer_settings(RUN)
    measurements = bench_report.Measurements(options, config)
    with tempfile.TemporaryDirectory() as folder:
        tokens = Tokens(pathlib.Path(folder))
        _sides(screen, measurements, tokens)
        _write(measurements)  # the rest takes long
        if not options.quick:
            _shapes(screen, measurements, tokens)
            _extras(screen, measurements)
            _write(measurements)
    screen.print(bench_report.table(measurements.sides))
    screen.print(f"{REPORT}\n{RUN / 'results.json'}")


class Tokens:
    """The text of the run as its words, in a folder: the whole, and the first part."""

    def __init__(self, folder: pathlib.Path):
        self.whole, self.part = folder / "tokens.txt", folder / "part.txt"
        systems.write_tokens(RUN, self.whole)
        with self.whole.open("rb") as lines, self.part.open("wb") as part:
            part.writelines(itertools.takewhile(lambda _: part.tell() < self.whole.stat().st_size // _PARTS, lines))


def _write(measurements: bench_report.Measurements) -> None:
    results = json.dumps([_schema(row) for row in measurements.sides], indent=2)
    for path, text in ((RUN / "results.json", f"{results}\n"), (REPORT, bench_report.page(measurements))):
        whole_files.write_text(path, text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--corpus",
        type=arguments.corpus,
        default="builtin://wikipedia",
        help="a file, folder or glob; by default the sample",
    )
    parser.add_argument("--seeds", type=arguments.count(), default=5, help="of ours and of gensim")
    parser.add_argument("--epochs", type=arguments.count(), default=5, help="of ours and of gensim")
    parser.add_argument("--fasttext-epochs", type=arguments.count(), default=5, help="with one seed: it is slow")
    parser.add_argument("--threads", type=arguments.count(), default=os.cpu_count(), help="gensim's and fastText's")
    parser.add_argument(
        "--seconds", type=arguments.seconds(), default=40, help="of training for each loss at equal time"
    )
    parser.add_argument("--quick", action="store_true", help="only the systems, not the losses and sizes")
    return parser


def prepare(corpus: str, preset: str, run: pathlib.Path) -> None:
    """Makes the pairs, by the pipeline itself; what has not changed is not done again."""
    command = [sys.executable, str(parts.ROOT / "local_runner.py"), "--config", preset, "--name", run.name]
    subprocess.run(
        [*command, "--corpus", corpus, "--set", f"root={run.parent}", "--set", "trainer.epochs=1"],
        check=True, cwd=parts.ROOT, stdout=subprocess.DEVNULL,
    )  # fmt: skip


@dataclasses.dataclass(frozen=True)
class _Side:
    """A system as it is measured: under which name, and how it trains."""

    name: str
    system: str
    epochs: int
    config: Settings
    seeds: int
    run: pathlib.Path = RUN


def _compared(options: argparse.Namespace, config: Settings) -> Iterator[_Side]:
    yield _Side("gensim", "gensim", options.epochs, config, options.seeds)
    yield _Side(bench_report.OURS, "tfx-word2vec", options.epochs, config, options.seeds)
    best, epochs = systems.trainer_settings(RUN_OF_QUALITY), config_files.load("quality").trainer.epochs
    yield _Side(bench_report.QUALITY, "tfx-word2vec", epochs, best, options.seeds, RUN_OF_QUALITY)
    if importlib.util.find_spec("fasttext"):
        yield _Side("fasttext", "fasttext", options.fasttext_epochs, config, 1)


def _sides(screen: rich.console.Console, measurements: bench_report.Measurements, tokens: Tokens) -> None:
    options = measurements.options
    sides = list(_compared(options, measurements.config))
    if not importlib.util.find_spec("fasttext"):
        screen.print("fastText is not installed (pip install fasttext, which needs a C++ compiler): left out")
    for seed in range(1, options.seeds + 1):
        for side in sides:
            if seed > side.seeds:
                continue
            more = {"tokens": str(tokens.whole), "threads": options.threads}
            row = train(side.system, seed, side.epochs, side.config, run=side.run, **more)
            measurements.sides.append({**row, "name": side.name})
            speed = f"{row['words_per_second']:>9,} words/s"
            screen.print(f"{side.name:<24} seed {seed}  {speed}  {bench_report.scores(row)}")
    if options.quick:
        return
    for _ in range(3):
        for cores in (1, 2):
            row = train("tfx-word2vec", 1, 1, measurements.config, cores=cores, speed_only=True)
            measurements.cores.setdefault(cores, []).append(row["words_per_second"])
    screen.print(f"cores {measurements.cores}")


def train(
    system: str, seed: int, epochs: int, config: Settings, *, run: pathlib.Path = RUN, **more: Any
) -> Figures:  # fmt: skip
    """Trains a system in a process of its own.

    Args:
        system: one of `systems.SYSTEMS`.
        seed: of its random draws.
        epochs: passes over the text.
        config: the Trainer's, as `systems.trainer_settings` has it.
        run: the finished run whose text and pairs it takes.
        **more: `tokens`, a file, and `threads` for the others; `cores` for ours; `speed_only`, without the quality.
    """
    with tempfile.TemporaryDirectory() as work:
        request = {"system": system, "seed": seed, "epochs": epochs, "run": str(run), "work": work, "config": config}
        figures = parts.call("benchmarks.systems", {**request, **more})
    loss = config["trainer"]["loss"] if system == "tfx-word2vec" else "negative_sampling"
    return {"system": system, "loss": loss, "epochs": epochs, "seed": seed, **figures}


def _shapes(screen: rich.console.Console, measurements: bench_report.Measurements, tokens: Tokens) -> None:
    """Windows and dimensions, one epoch per pair of them: gensim's of the first part of the text."""
    for window, dimensions in SHAPES:
        config = {
            **measurements.config,
            "skipgram": {**measurements.config["skipgram"], "window": window},
            "trainer": {**measurements.config["trainer"], "dimensions": dimensions},
        }
        more = {"tokens": str(tokens.part), "threads": measurements.options.threads, "speed_only": True}
        rows = [train(system, 1, 1, config, **more)["words_per_second"] for system in ("tfx-word2vec", "gensim")]
        measurements.shapes[window, dimensions] = tuple(rows)
        screen.print(f"window {window}, {dimensions} dimensions  {rows}")


def _extras(screen: rich.console.Console, measurements: bench_report.Measurements) -> None:
    """Losses and sizes, a profile, and Keras' fit."""

    def measure(name: str, **request: Any) -> Figures:
        figures = parts.call("benchmarks.steps", {"measurement": name, **request})
        told = ("loss", "vocabulary", "dimensions", "table_precision")
        parameters = " ".join(str(request[key]) for key in told if key in request)
        screen.print(f"{name} {parameters}  {figures}")
        return figures

    def speed(size: int, loss: str, dimensions: int = 128, tables: str = "float32") -> Figures:
        return measure(
            "speed", vocabulary=size, loss=loss, dimensions=dimensions, table_precision=tables, blocks_per_step=16,
            seconds=4, steps_per_call=_steps_per_call(loss),
        )  # fmt: skip

    trainer, extras = measurements.config["trainer"], measurements.extras
    extras["losses"] = {(size, loss): speed(size, loss) for size in (1_000, 10_000, 57_000, 500_000) for loss in LOSSES}
    extras["sizes"] = {
        (size, dimensions, tables): speed(size, "nce", dimensions, tables)
        for tables in ("float32", "float16")
        for dimensions in (128, 300)
        for size in (10_000, 57_000, 500_000, 1_000_000)
    }
    extras["equal_time"] = {
        loss: measure(
            "equal_time", loss=loss, run=str(RUN), config=measurements.config, seconds=measurements.options.seconds,
            steps_per_call=_steps_per_call(loss),
        )
        for loss in LOSSES
    }  # fmt: skip
    extras["profile"] = measure(
        "profile", vocabulary=57_000, length=trainer["block_length"], noise=trainer["shared_negatives"]
    )
    extras["fit"] = measure("fit", vocabulary=57_000)


def _steps_per_call(loss: str) -> int:
    return 200 if loss != "full_softmax" else 2


def _schema(row: Figures) -> Figures:
    keys = ("name", "system", "loss", "epochs", "seed", "words_per_second", *BENCHMARKS, "peak_rss_mib")
    return {key: row[key] for key in keys}


if __name__ == "__main__":
    main()
