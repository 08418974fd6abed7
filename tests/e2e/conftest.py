"""One run of the whole pipeline on a corpus that the tests write; the tests look at what it left."""

from __future__ import annotations

import dataclasses
import gzip
import json
import os
import pathlib
import subprocess
import sys

import pytest

import local_runner
from benchmarks import forked
from tests.conftest import TOPICS, make_documents

ROOT = pathlib.Path(__file__).parent.parent.parent
WIDE = {"COLUMNS": "200"}


@dataclasses.dataclass(frozen=True)
class Project:
    """A folder with a corpus, a benchmark and settings, in which runs are made."""

    folder: pathlib.Path

    def arguments(self, *arguments: str) -> list[str]:
        return ["--config", str(self.folder / "config.yaml"), *arguments]

    def command(self, *arguments: str) -> list[str]:
        """For a process that starts from nothing, as a person starts it."""
        return [sys.executable, str(ROOT / "local_runner.py"), *self.arguments(*arguments)]

    def start(self, *arguments: str, **how) -> forked.Run:
        """Starts a run in a process that has imported everything already; `how` is for `forked.start`."""
        return forked.start(self.arguments(*arguments), **{"environment": WIDE, **how})

    def run(self, *arguments: str, check: bool = True, timeout: float = 300, **how) -> subprocess.CompletedProcess:
        """Such a run to its end."""
        done = forked.run(self.arguments(*arguments), timeout=timeout, **{"environment": WIDE, **how})
        assert not check or done.returncode == 0, done.stdout + done.stderr + self.log()
        return done

    def run_from_nothing(self, *arguments: str, timeout: float = 300) -> subprocess.CompletedProcess:
        done = subprocess.run(
            self.command(*arguments), cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False,
            env={**os.environ, **WIDE},
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr + self.log()
        return done

    def run_here(self, capfd: pytest.CaptureFixture, *arguments: str) -> subprocess.CompletedProcess:
        """In this process, which has the libraries imported already: for what a run says before it trains."""
        capfd.readouterr()
        code = local_runner.main(self.arguments(*arguments))
        said = capfd.readouterr()
        return subprocess.CompletedProcess(arguments, code, said.out, said.err)

    def log(self, name: str = "tiny") -> str:
        """The end of a run's log."""
        return self.whole_log(name)[-5000:]

    def whole_log(self, name: str = "tiny") -> str:
        path = self.folder / "runs" / name / "run.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def artifact(self, component: str, key: str, name: str = "tiny") -> pathlib.Path:
        """The newest artifact of a component."""
        folder = self.folder / "runs" / name / "artifacts" / component / key
        return max(folder.iterdir(), key=lambda path: int(path.name))

    def pushed(self, name: str = "tiny") -> list[pathlib.Path]:
        folder = self.folder / "runs" / name / "serving_model"
        return sorted(folder.iterdir()) if folder.exists() else []


def make_project(folder: pathlib.Path) -> Project:
    documents = make_documents(400)
    (folder / "corpus").mkdir()
    with gzip.open(folder / "corpus" / "a.txt.gz", "wt") as file:
        file.write("\n".join(documents[:200]) + "\n\n")
    (folder / "corpus" / "b.jsonl").write_text(
        "\n".join(json.dumps({"text": text}) for text in documents[200:]) + '\n{"id": 1}\n'
    )
    pairs = [
        f"{a}\t{b}\t{9.0 if one is two else 1.0}"
        for one in TOPICS.values()
        for two in TOPICS.values()
        for a, b in zip(one, two[1:], strict=False)
    ]
    (folder / "topics.tsv").write_text("\n".join(pairs) + "\ncat\tunheardof\t5\n")
    (folder / "quads.txt").write_text(
        ": first\ncat dog bread cheese\n: second\ncat dog train plane\ncat dog train unheardof\n"
    )
    (folder / "config.yaml").write_text(f"""
name: tiny
root: {folder}/runs
corpus: {{paths: [{folder}/corpus], shards: 3, splits: {{train: 9, eval: 1}}}}
skipgram: {{min_count: 2, subsampling: 0.01, window: 3}}
trainer: {{dimensions: 16, epochs: 6, steps_per_call: 20, block_length: 16, deterministic: true}}
evaluator:
  benchmarks: [{folder}/topics.tsv, {folder}/quads.txt]
  thresholds: {{topics: {{lower_bound: 0.5, absolute: -0.1}}}}
""")
    return Project(folder)


@pytest.fixture(scope="session")
def project(tmp_path_factory) -> Project:
    return make_project(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="session")
def first_run(project) -> str:
    """What the first run printed."""
    return project.run_from_nothing().stdout
