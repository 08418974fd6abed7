"""Kills runs at the worst instants and at random ones; the same command must then end as if nothing had happened.

    python -m benchmarks.reliability --times 10 --random 20 --seed 0

The worst instants are those in which files change: while a checkpoint is saved, while checkpoints are removed, in the
export, in the Pusher before and after its rename; and any while Beam's workers do Transform's work. After the kills
the same command is run to its end, and what it leaves is compared with what an undisturbed run leaves.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import dataclasses
import fnmatch
import hashlib
import itertools
import os
import pathlib
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from benchmarks import arguments, forked, markdown
from benchmarks.kill_points import Kill, Note
from pipeline import layout

NAME = "tiny"
_TRIAL = "RELIABILITY_TRIAL"
_LIMIT_SECONDS, _GRACE_SECONDS = 300, 10

# What a run leaves only while it is at work.
_UNFINISHED = ("*.new", "*.removed", ".pushing-*", ".system", ".temp", "*_temp", layout.LOST)

_TOPICS = {
    "animals": "cat dog horse cow sheep goat bird fish",
    "food": "bread cheese apple soup rice milk sugar tea",
    "travel": "train plane ship road bridge station ticket harbour",
}
_COMMON = "the a of and to in with near"


@dataclasses.dataclass(frozen=True)
class Instant:
    """One of the worst.

    Attributes:
        name: for people.
        scope: where the run is killed.
        component: what comes before it is done already.
        chosen: which of the scope's points are meant.
    """

    name: str
    scope: str
    component: str
    chosen: Callable[[list[str]], Sequence[int]]


def _every(points: list[str]) -> Sequence[int]:
    return range(len(points))


def _halves_of_save(points: list[str]) -> Sequence[int]:
    """All of the first and of the last save, and the halves of those between."""
    ends = [place for place, point in enumerate(points) if point == "end"]
    return [
        place for place, point in enumerate(points) if point.startswith("half") or place <= ends[0] or place > ends[-2]
    ]


def _before_rename(points: list[str]) -> Sequence[int]:
    return range(points.index("before rename") + 1)


def _after_rename(points: list[str]) -> Sequence[int]:
    return range(points.index("before rename") + 1, len(points))


INSTANTS = [
    Instant("while a checkpoint is saved", "save", "Trainer", _halves_of_save),
    Instant("while checkpoints are removed", "remove", "Trainer", _every),
    Instant("in the export", "export", "Trainer", _every),
    Instant("in the Pusher, before the rename", "Pusher", "Pusher", _before_rename),
    Instant("in the Pusher, after the rename", "Pusher", "Pusher", _after_rename),
]
TRANSFORM, RANDOM = "in Transform, in two processes", "at random"


@dataclasses.dataclass
class Outcome:
    """How a trial ended.

    Attributes:
        instant: its name.
        kills: how many there were; at any time, a run may have ended before.
        said: what the run after the last kill said, if it did not end with 0; or what a killed one should not have.
        is_same: whether the vectors are those of the undisturbed run.
        is_served: whether one version is there, which can be loaded.
        left: what was left over, and processes that lived on.
        how: where it was killed.
    """

    instant: str
    kills: int = 0
    said: str = ""
    is_same: bool = False
    is_served: bool = False
    left: list[str] = dataclasses.field(default_factory=list)
    how: list[str] = dataclasses.field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """Whether nothing is the matter."""
        return not self.said and self.is_same and self.is_served and not self.left


class Rehearsal:
    """A corpus, an undisturbed run, and trials in copies of run folders that are half done.

    Args:
        folder: for all of it; must be there.
        seed: decides where runs are killed.
    """

    def __init__(self, folder: pathlib.Path, seed: int = 0):
        self._folder, self._draw = folder, random.Random(seed)
        _write_project(folder)
        started = time.monotonic()
        self._undisturbed("reference", Note(str(folder / "points")))
        self._seconds = time.monotonic() - started
        self._points = collections.defaultdict(list)
        for line in (folder / "points").read_text().splitlines():
            scope, point = line.split("\t")
            self._points[scope].append(point)

    def at(self, instant: Instant, times: int) -> Iterator[Outcome]:
        """Kills runs at an instant, each at another of its points if there are so many."""
        places = instant.chosen(self._points[instant.scope])
        for number in range(times):
            low, high = (len(places) * (number + add) // times for add in (0, 1))
            place = places[self._draw.randrange(low, max(high, low + 1))]
            root = self._half_done(instant.component)
            outcome = Outcome(instant.name, how=[f"{self._points[instant.scope][place]} ({place})"])
            kill = Kill(instant.scope, place, whole=number % 2 == 1)
            self._run_and_kill(root, outcome, lambda run: run.wait(_LIMIT_SECONDS), before=kill)
            if not outcome.kills:
                outcome.said = "it was not killed"
            yield self._ended(root, outcome)

    def in_transform(self, times: int) -> Iterator[Outcome]:
        """Kills in turn one of Beam's workers and the run, some time after the workers were started."""
        workers = ("--set", "beam.workers=2")
        root = self._half_done("Transform")
        run = self._start(root, *workers)
        started = _when_worker(run)
        while run.poll() is None and _workers(run):
            time.sleep(0.05)
        seconds = time.monotonic() - started
        assert run.wait(_LIMIT_SECONDS) == 0, run.said()
        reference = _vectors(root)
        shutil.rmtree(root)
        for number in range(times):
            root = self._half_done("Transform")
            outcome = Outcome(TRANSFORM)
            later, of_worker = self._draw.uniform(0, 0.9 * seconds), number % 2 == 0

            def kill(run: forked.Run, later: float = later, of_worker: bool = of_worker) -> None:
                _when_worker(run)
                time.sleep(later)
                processes = _workers(run) if of_worker else [run.pid]
                for process in processes[:1]:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(process, signal.SIGKILL)
                run.wait(_LIMIT_SECONDS)

            outcome.how.append(f"{'a worker' if of_worker else 'the run'} after {later:.2f} s of {seconds:.2f}")
            self._run_and_kill(root, outcome, kill, *workers)
            yield self._ended(root, outcome, *workers, reference=reference)

    def at_random(self, times: int) -> Iterator[Outcome]:
        """Kills runs at any time, from nothing on, and up to twice again."""
        for _ in range(times):
            root = self._root()
            outcome = Outcome(RANDOM)
            for _ in range(self._draw.randint(1, 3)):
                later = self._draw.uniform(0, self._seconds)

                def kill(run: forked.Run, later: float = later) -> None:
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        run.wait(later)
                    if run.poll() is None:
                        run.kill() if self._draw.random() < 0.5 else os.kill(run.pid, signal.SIGKILL)
                    run.wait(_LIMIT_SECONDS)

                outcome.how.append(f"after {later:.2f} s")
                self._run_and_kill(root, outcome, kill)
            yield self._ended(root, outcome)

    def _root(self) -> pathlib.Path:
        return self._folder / f"trial-{uuid.uuid4().hex[:8]}"

    def _start(self, root: pathlib.Path, *settings: str, **how: Any) -> forked.Run:
        words = ["--config", str(self._folder / "config.yaml"), "--set", f"root={root}", *settings]
        environment = {"COLUMNS": "200", _TRIAL: root.name}
        return forked.start(words, environment=environment, **how)

    def _undisturbed(self, name: str, before: Callable[[], None] | None = None) -> None:
        run = self._start(self._folder / name, before=before)
        assert run.wait(_LIMIT_SECONDS) == 0, run.said()

    def _half_done(self, component: str) -> pathlib.Path:
        """A copy of the root of a run that was ended just before a component."""
        kept = self._folder / f"before-{component}"
        if not kept.exists():
            run = self._start(kept, before=Kill(component, 0))
            assert run.wait(_LIMIT_SECONDS) == -signal.SIGKILL, run.said()
        root = self._root()
        shutil.copytree(kept, root, symlinks=True)
        return root

    def _run_and_kill(
        self,
        root: pathlib.Path,
        outcome: Outcome,
        kill: Callable[[forked.Run], Any],
        *settings: str,
        before: Callable[[], None] | None = None,
    ) -> None:
        run = self._start(root, *settings, before=before)
        try:
            kill(run)
        except subprocess.TimeoutExpired:
            outcome.left.append("the run itself, which goes on for ever")
            run.kill()
            run.wait(_LIMIT_SECONDS)
        outcome.kills += run.returncode != 0
        is_told = run.returncode == 1 and "worker process of Beam" in run.said()[1]
        if run.returncode not in (0, -signal.SIGKILL) and not is_told:
            outcome.said = f"exit code {run.returncode}: {run.said()[1][-500:]}"
        if lives := _orphans(run, root.name):
            outcome.left.append(f"{len(lives)} processes: {lives}")

    def _ended(
        self, root: pathlib.Path, outcome: Outcome, *settings: str, reference: dict[str, str] | None = None
    ) -> Outcome:
        """Runs to the end, and looks at what is there."""
        run = self._start(root, *settings)
        try:
            code = run.wait(_LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            run.kill()
            code = run.wait(_LIMIT_SECONDS)
        if code:
            outcome.said += f"exit code {code}: {run.said()[1][-500:]}"
        outcome.is_same = _vectors(root) == (reference or _vectors(self._folder / "reference"))
        outcome.is_served = _serves(root)
        outcome.left += left_over(root / NAME)
        if outcome.is_good:
            shutil.rmtree(root)
        return outcome


def left_over(run_folder: pathlib.Path) -> list[str]:
    """What a run that has ended should not have left in its folder."""
    leftovers = [
        str(path.relative_to(run_folder))
        for path in run_folder.rglob("*")
        if any(fnmatch.fnmatch(path.name, pattern) for pattern in _UNFINISHED)
    ]
    leftovers += [str(path.relative_to(run_folder)) for path in (run_folder / layout.CHECKPOINTS).glob("*")]
    if not (run_folder / layout.METADATA).exists():
        return [*leftovers, "no metadata"]
    with contextlib.closing(sqlite3.connect(run_folder / layout.METADATA)) as metadata:
        known = {uri for (uri,) in metadata.execute("select uri from Artifact")}
        at_work = metadata.execute("select id from Execution where last_known_state in (1, 2)").fetchall()
    leftovers += [f"execution {number} at work" for (number,) in at_work]
    artifact_folders = [str(path) for path in (run_folder / layout.ARTIFACTS).glob("*/*/*")]
    return leftovers + [f"{path}, which no metadata know" for path in artifact_folders if path not in known]


def _write_project(folder: pathlib.Path) -> None:
    draw = random.Random(0)
    topics = [words.split() for words in _TOPICS.values()]
    documents = []
    for _ in range(300):
        topic = draw.choice(topics)
        documents.append(" ".join(draw.choice(topic if draw.random() < 0.6 else _COMMON.split()) for _ in range(60)))
    (folder / "corpus.txt").write_text("\n".join(documents) + "\n")
    pairs = [
        f"{a}\t{b}\t{9.0 if one is two else 1.0}"
        for one in topics
        for two in topics
        for a, b in zip(one, two[1:], strict=False)
    ]
    (folder / "topics.tsv").write_text("\n".join(pairs) + "\n")
    (folder / "config.yaml").write_text(f"""
name: {NAME}
corpus: {{paths: [{folder}/corpus.txt], shards: 3}}
skipgram: {{min_count: 2, subsampling: 0.01, window: 3}}
trainer: {{dimensions: 16, epochs: 3, steps_per_call: 200, block_length: 16, blocks_per_step: 2, deterministic: true,
  checkpoint_seconds: 0}}
evaluator: {{benchmarks: [{folder}/topics.tsv], thresholds: {{topics: 0.3}}, bootstrap_samples: 100}}
""")


def _vectors(root: pathlib.Path) -> dict[str, str]:
    """A digest per file of vectors."""
    folder = root / NAME / layout.VECTORS
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.glob("*"))}


def _serves(root: pathlib.Path) -> bool:
    """Whether there is one version, which can be loaded and knows a word."""
    import tensorflow as tf
    import tensorflow_text  # noqa: F401  (the ops of the served model)

    versions = list((root / NAME / "serving_model").glob("*"))
    if len(versions) != 1:
        return False
    try:
        answer = tf.saved_model.load(str(versions[0])).signatures["serving_default"](words=tf.constant(["the"]))
    except (tf.errors.OpError, OSError, KeyError, ValueError):
        return False
    return bool(answer["known"][0])


def _processes(session: int, trial: str) -> dict[int, str]:
    """The command lines of a session's processes, and of those that were started in a trial."""
    command_lines = {}
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, _, its_session = stat.read_text().rpartition(")")[2].split()[:4]
            environment = stat.with_name("environ").read_bytes().split(b"\0")
            if state != "Z" and (int(its_session) == session or f"{_TRIAL}={trial}".encode() in environment):
                command_lines[int(stat.parent.name)] = stat.with_name("cmdline").read_text().replace("\0", " ")
    return command_lines


def _workers(run: forked.Run) -> list[int]:
    return [process for process, command in _processes(run.pid, "").items() if "sdk_worker_main" in command]


def _when_worker(run: forked.Run) -> float:
    """Waits for Beam's first worker."""
    while run.poll() is None and not _workers(run):
        time.sleep(0.02)
    return time.monotonic()


def _orphans(run: forked.Run, trial: str) -> dict[int, str]:
    """What goes on after the end of a run."""
    until = time.monotonic() + _GRACE_SECONDS
    while (still_running := _processes(run.pid, trial)) and time.monotonic() < until:
        time.sleep(0.05)
    return still_running


def table(outcomes: Sequence[Outcome]) -> str:
    """A row per instant, as Markdown."""
    header = ["killed", "trials", "kills", "ended well", "same bits", "one version, served", "something left over"]
    rows = []
    for name in dict.fromkeys(outcome.instant for outcome in outcomes):
        of_it = [outcome for outcome in outcomes if outcome.instant == name]
        counts = (
            len(of_it),
            sum(outcome.kills for outcome in of_it),
            sum(not outcome.said for outcome in of_it),
            sum(outcome.is_same for outcome in of_it),
            sum(outcome.is_served for outcome in of_it),
            sum(bool(outcome.left) for outcome in of_it),
        )
        rows.append([name, *map(str, counts)])
    return markdown.table(header, rows)


def main() -> int:
    """Does all of it, and prints what came of it; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=arguments.count(), default=10, help="trials per instant")
    parser.add_argument("--random", type=arguments.count(0), default=20, help="trials at random")
    parser.add_argument("--seed", type=arguments.count(0), default=0)
    options = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="reliability-"))
    rehearsal = Rehearsal(folder, options.seed)
    outcomes = []
    for outcome in itertools.chain(
        *(rehearsal.at(instant, options.times) for instant in INSTANTS),
        rehearsal.in_transform(options.times),
        rehearsal.at_random(options.random),
    ):
        outcomes.append(outcome)
        if not outcome.is_good:
            print(outcome, file=sys.stderr, flush=True)
    print(table(outcomes))
    if all(outcome.is_good for outcome in outcomes):
        shutil.rmtree(folder)
        return 0
    print(f"what failed is kept in {folder}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
