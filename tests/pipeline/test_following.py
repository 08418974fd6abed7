"""What `--follow` does while it waits; tests/e2e/test_spans.py has it with whole runs."""

from __future__ import annotations

import errno
import os
import signal
import types

import pytest

import local_runner
from components import files
from pipeline import config_files, console, following, forks, preflight


class EnoughError(Exception):
    """Ends what would go on for ever."""


@pytest.fixture(autouse=True)
def nothing_is_imported(monkeypatch):
    monkeypatch.setattr(forks, "prepare", lambda: None)


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

    monkeypatch.setattr(following, "time", types.SimpleNamespace(sleep=look_again))  # threads of other tests sleep too
    screen = console.screen()
    with pytest.raises(EnoughError):
        following.Follower(config, lambda inputs: runs.append(inputs.fingerprints), 7, screen, screen).follow()
    assert checks == [0, 4]
    assert len(set(runs)) == 2
    assert looks == [7] * 6


def test_a_run_that_is_killed_ends_nothing_and_is_tried_once_more_and_with_new_text(tmp_path, monkeypatch, capfd):
    text, looks = tmp_path / "text.txt", []
    text.write_text("a text\n")
    values = {"name": "tiny", "root": str(tmp_path / "runs"), "corpus.paths": [str(tmp_path / "*.txt")]}
    config, screen = config_files.load(None, values=values), console.screen()

    def look_again(seconds):
        looks.append((tmp_path / "runs" / "tries").read_text())
        if len(looks) == 4:
            text.write_text("another text\n")
        if len(looks) == 6:
            raise EnoughError

    def run():
        with (tmp_path / "runs" / "tries").open("a") as file:
            file.write("x")
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(following, "time", types.SimpleNamespace(sleep=look_again))
    with pytest.raises(EnoughError):
        following.Follower(
            config, lambda inputs: following.run_in_fork(config.run_folder, run), 7, screen, screen
        ).follow()
    assert looks == ["x", "xx", "xx", "xx", "xxx", "xxxx"]
    said = capfd.readouterr().out
    assert said.count("the run was ended by SIGKILL (the system does so when memory runs short)") == 4
    assert said.count("tried once more") == said.count("waiting for new text") == 2


def test_a_run_that_alone_is_told_to_end_counts_as_killed(tmp_path):
    """As by what watches over memory, or an operator: the process that waits has not been told."""

    def run():
        os.kill(os.getpid(), signal.SIGTERM)
        signal.pause()

    with pytest.raises(following.KilledError, match="the run was ended by SIGTERM"):
        following.run_in_fork(str(tmp_path), run)


def test_a_run_that_cannot_be_started_counts_as_killed(tmp_path, monkeypatch):
    def busy(_):
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(forks, "call", busy)
    with pytest.raises(following.KilledError, match="could not be started: Resource temporarily unavailable"):
        following.run_in_fork(str(tmp_path), lambda: 0)


def test_who_is_interrupted_in_beam_is_told_so_alone(capfd):
    """Beam makes an error of its own of it."""

    def interrupted():
        raise RuntimeError("KeyboardInterrupt [while running 'Transform[TransformIndex0]/Transform']")

    screen = console.screen()
    with pytest.raises(KeyboardInterrupt):
        local_runner._exit_code(interrupted, screen=screen, errors=screen, log="run.log")
    assert "the run stopped" not in capfd.readouterr().out


@pytest.mark.parametrize("corpus", ["*.txt", "{YYYY}-{MM}-{DD}.txt"])
def test_who_follows_waits_for_the_first_text(tmp_path, monkeypatch, capfd, corpus):
    """As a service that is started before the first delivery."""
    runs, looks = [], []
    values = {"name": "tiny", "root": str(tmp_path / "runs"), "corpus.paths": [str(tmp_path / corpus)]}
    config = config_files.load(None, values={**values, **({"corpus.window": 2} if "{" in corpus else {})})
    with pytest.raises(files.NoFileError, match="no file matches"):
        local_runner._checked(config, waits=False)
    assert local_runner._checked(config, waits=True) is None

    def look_again(seconds):
        looks.append(len(runs))
        if len(looks) == 3:
            (tmp_path / "2026-01-02.txt").write_text("a text\n")
        if len(looks) == 4:
            raise EnoughError

    monkeypatch.setattr(following, "time", types.SimpleNamespace(sleep=look_again))
    screen = console.screen()
    with pytest.raises(EnoughError):
        following.Follower(config, runs.append, 7, screen, screen).follow()
    assert looks == [0, 0, 0, 1]
    assert capfd.readouterr().out.count("no file matches") == 1
    assert [file.path for file in runs[0].corpus] == [str(tmp_path / "2026-01-02.txt")]
    assert "runs" not in os.listdir(tmp_path)  # nothing is left by who only waited
