"""What `--follow` does while it waits; tests/e2e/test_spans.py has it with whole runs."""

from __future__ import annotations

import types

import pytest

import local_runner
from pipeline import config_files, console, preflight


class EnoughError(Exception):
    """Ends what would go on for ever."""


def test_who_waits_looks_at_the_files_alone(tmp_path, monkeypatch):
    """The benchmarks' 20,000 lines would be a third of a core's work at a look per second."""
    text, checks, runs, looks = tmp_path / "text.txt", [], [], []
    text.write_text("a text\n")
    config = config_files.load(
        None, values={"name": "tiny", "root": str(tmp_path / "runs"), "corpus.paths": [str(tmp_path / "*.txt")]}
    )
    check = preflight.check
    monkeypatch.setattr(preflight, "check", lambda config: checks.append(len(looks)) or check(config))

    def look_again(seconds):
        looks.append(seconds)
        if len(looks) == 4:
            text.write_text("another text\n")
        if len(looks) == 6:
            raise EnoughError

    monkeypatch.setattr(
        local_runner, "time", types.SimpleNamespace(sleep=look_again)
    )  # threads of other tests sleep too
    screen = console.screen()
    with pytest.raises(EnoughError):
        local_runner._follow(config, lambda inputs: runs.append(inputs.fingerprints), 7, screen, screen)
    assert checks == [0, 4]
    assert len(set(runs)) == 2
    assert looks == [7] * 6
