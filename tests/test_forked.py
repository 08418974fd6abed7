"""A forked run is as one that was started from a shell."""

from __future__ import annotations

import os
import signal
import sys
import time

import pytest

from benchmarks import forked


def tell() -> None:
    """Instead of the program."""
    print("out", sys.argv[1:], os.environ.get("ONE"), os.environ.get("TWO"), os.getcwd())
    print("err", os.getsid(0) == os.getpid(), "tensorflow" in sys.modules, "tfx" in sys.modules, file=sys.stderr)
    sys.exit(7)


def sleep() -> None:
    print("asleep", flush=True)
    time.sleep(600)


def test_it_has_its_words_environment_folder_streams_and_exit_code(tmp_path, monkeypatch):
    monkeypatch.setenv("TWO", "2")
    done = forked.run(["a b", "ü"], environment={"ONE": "1", "TWO": None}, cwd=tmp_path, before=tell)
    assert done.stdout == f"out ['a b', 'ü'] 1 None {tmp_path}\n"
    assert done.stderr == "err True True True\n"
    assert done.returncode == 7


def test_it_ends_as_the_program_does():
    done = forked.run(["--set", "trainer.epoch=1"])
    assert (done.returncode, done.stdout) == (1, "")
    assert "trainer.epoch: there is no such setting" in done.stderr
    assert forked.run(["--nonsense"]).returncode == 1


def test_it_can_be_killed():
    run = forked.start([], before=sleep)
    until = time.monotonic() + 60
    while "asleep" not in run.said()[0]:
        assert time.monotonic() < until
        time.sleep(0.05)
    assert run.poll() is None
    run.kill()
    assert run.wait(60) == -signal.SIGKILL
    with pytest.raises(ProcessLookupError):
        os.killpg(run.pid, 0)
