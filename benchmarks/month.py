"""A month of text that arrives day by day, beside training each day's window from scratch.

    python -m benchmarks.month --corpus 'reviews/*.gz'

Cuts a corpus into as many days, and delivers them one by one to `local_runner.py --follow`. Each day it also trains on
the same window in a process and a folder of its own. Writes docs/MONTH.md and docs/month.svg.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import gzip
import itertools
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import yaml

from benchmarks import arguments, markdown, month_report, parts
from benchmarks.month_report import Day

FIRST = datetime.date(2026, 1, 1)
_WAITS = "waiting for new text"
_PATTERN = "{YYYY}-{MM}-{DD}.txt.gz"


def main() -> None:
    """Measures, prints a row per day, and writes the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=arguments.corpus, required=True, help="a file, folder or glob of text")
    parser.add_argument("--days", type=arguments.count(2), default=30)
    parser.add_argument("--window", type=arguments.count(), default=7, help="days that are trained on")
    parser.add_argument("--folder", type=pathlib.Path, default=pathlib.Path("runs/month"), help="is emptied first")
    parser.add_argument("--epochs", type=arguments.count(), default=10, help="of a training from scratch")
    parser.add_argument("--daily-epochs", type=arguments.count(), default=3, help="of one that starts from yesterday's")
    parser.add_argument("--daily-rate", type=arguments.share(), default=0.015, help="its learning rate")
    options = parser.parse_args()
    folder = options.folder.absolute()
    shutil.rmtree(folder, ignore_errors=True)
    feed = _Feed(folder, options.corpus, options.days)
    daily, scratch = _Daily(folder, options, feed), _Scratch(folder, options, feed)
    print(markdown.head(month_report.HEADER), flush=True)
    rows = []
    with daily.following():
        for day in range(options.days):
            feed.deliver(day)
            rows.append((daily.day(day), scratch.day(day)))
            print(markdown.row(month_report.cells(*rows[-1], day + 1)), flush=True)
    month_report.write(rows, options, parts.ROOT / "docs")


class _Feed:
    """A corpus, cut into days, which are delivered one by one.

    Args:
        folder: of the measurement.
        corpus: files of one document per line.
        days: how many.
    """

    def __init__(self, folder: pathlib.Path, corpus: str, days: int):
        from components import files
        from components.corpus import documents as documents_of
        from components.corpus import readers

        self.texts, self._later = folder / "texts", folder / "later"
        for path in (self.texts, self._later):
            path.mkdir(parents=True)
        options = documents_of.ReadOptions("text", 10_000_000)
        documents = [
            item.text.strip().replace("\n", " ")
            for file in files.find([corpus])
            for item in readers.read(file, options)
            if not isinstance(item, readers.Problem) and item.text.strip()
        ]
        size = -(-len(documents) // days)
        for day in range(days):
            with gzip.open(self._later / name(day), "wt", encoding="utf-8", compresslevel=1) as file:
                file.writelines(f"{document}\n" for document in documents[day * size : (day + 1) * size])

    def deliver(self, day: int) -> None:
        """Lets a day's text appear, whole."""
        os.rename(self._later / name(day), self.texts / name(day))

    def bytes(self, days: range) -> int:
        """Of the files of some days."""
        return sum((self.texts / name(day)).stat().st_size for day in days if day >= 0)


def name(day: int) -> str:
    """Of a day's file."""
    return f"{FIRST + datetime.timedelta(day)}.txt.gz"


class _Runs:
    """What both ways of training share.

    Args:
        folder: of the measurement.
        options: of the command line.
        feed: the text.
    """

    kind = ""

    def __init__(self, folder: pathlib.Path, options: argparse.Namespace, feed: _Feed):
        self._folder, self._options, self._feed = folder, options, feed
        self._config = folder / f"{self.kind}.yaml"
        self._config.write_text(yaml.safe_dump(self.settings()))
        self._before: pathlib.Path | None = None
        self._newest: str | None = None

    def settings(self) -> dict[str, Any]:
        """All that is not the default."""
        return {
            "name": self.kind,
            "root": str(self._folder / "runs"),
            "corpus": {"paths": [str(self._feed.texts / _PATTERN)], "window": self._options.window},
            "evaluator": {"thresholds": {"wordsim353": 0.05}},
        }

    def command(self, *more: str) -> list[str]:
        """Runs it."""
        return [sys.executable, str(parts.ROOT / "local_runner.py"), "--config", str(self._config), *more]

    def measured(self, seconds: float, read: range) -> Day:
        """What a day's run has made."""
        from components.evaluator import stability

        run = self._folder / "runs" / self.kind
        pushed = run / "serving_model"
        names = [path.name for path in pushed.iterdir()] if pushed.is_dir() else []
        newest = max(names, key=int, default=None)
        if newest is None or newest == self._newest:
            raise SystemExit(f"error: a day's run has pushed nothing. See {run}/run.log")
        version, self._newest = pushed / newest, newest
        card = json.loads((version / "assets.extra" / "model_card.json").read_text())
        moved = stability.measure(str(version), str(self._before)) if self._before else None
        kept = self._folder / f"{self.kind}-before"
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(version, kept)
        self._before = kept
        return Day(
            seconds=seconds,
            bytes_read=self._feed.bytes(read),
            scores={row["name"]: row["score"] for row in card["benchmarks"]},
            stability=moved.score if moved else None,
            turned=moved.turned if moved else None,
            disk=sum(path.lstat().st_size for path in run.rglob("*") if path.is_file()),
        )


class _Daily(_Runs):
    """Follows the text in one process, from the last model on."""

    kind = "daily"

    def settings(self) -> dict[str, Any]:
        options = self._options
        return {
            **super().settings(),
            "trainer": {
                "epochs": options.epochs,
                "warm_start": True,
                "warm_start_epochs": options.daily_epochs,
                "warm_start_learning_rate": options.daily_rate,
                "align": "last_blessed",
            },
            "keep": {"runs": 1, "spans": options.window, "versions": 1},
        }

    @contextlib.contextmanager
    def following(self) -> Iterator[None]:
        """Within the context, what is delivered is trained on."""
        self._log = (self._folder / "daily.log").open("w+")
        self._process: subprocess.Popen[bytes] | None = None
        try:
            yield
        finally:
            if self._process:
                self._process.terminate()
                self._process.wait(60)
            self._log.close()

    def day(self, day: int) -> Day:
        """Waits until a day's run has ended."""
        started = time.perf_counter()
        if self._process is None:  # there is no text to follow before the first day
            command = self.command("--follow", "1")
            self._process = subprocess.Popen(command, cwd=parts.ROOT, stdout=self._log, stderr=subprocess.STDOUT)
        path = pathlib.Path(self._log.name)
        for _ in itertools.count():
            if path.read_text().count(_WAITS) > day:
                break
            if self._process.poll() is not None:
                raise SystemExit(f"the run that follows has ended:\n{path.read_text()[-3000:]}")
            time.sleep(0.05)
        return self.measured(time.perf_counter() - started, range(day, day + 1))


class _Scratch(_Runs):
    """Trains on each window from nothing."""

    kind = "scratch"

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "trainer": {"epochs": self._options.epochs}}

    def day(self, day: int) -> Day:
        """A run of its own."""
        shutil.rmtree(self._folder / "runs" / self.kind, ignore_errors=True)
        started = time.perf_counter()
        done = subprocess.run(self.command(), cwd=parts.ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"the run from scratch failed:\n{done.stdout}{done.stderr}")
        return self.measured(time.perf_counter() - started, range(day - self._options.window + 1, day + 1))


if __name__ == "__main__":
    main()
