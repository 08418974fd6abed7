from __future__ import annotations

import errno
import fcntl
import os
import signal

import pytest

from pipeline import lock
from word2vec.errors import UserError


def test_the_second_run_hears_who_is_at_work_and_death_lets_it_in(tmp_path):
    folder = str(tmp_path / "runs" / "tiny")
    ready, told = os.pipe()
    holder = os.fork()
    if holder == 0:
        with lock.held(folder):
            os.write(told, b"x")
            signal.pause()
    os.read(ready, 1)
    try:
        with pytest.raises(
            UserError, match=rf"tiny: another run is at work .*: process {holder} on .*, since 2\d\d\d-"
        ):
            lock.held(folder).__enter__()
        assert lock.is_held(folder)
        with lock.held(str(tmp_path / "runs" / "other")):
            pass
    finally:
        os.kill(holder, signal.SIGKILL)
        os.waitpid(holder, 0)
    assert not lock.is_held(folder)
    assert not lock.is_held(str(tmp_path / "never"))
    for _ in range(2):
        with lock.held(folder):
            pass


def test_a_file_system_without_locks(tmp_path, monkeypatch):
    def unsupported(*_):
        raise OSError(errno.ENOTSUP, "")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with lock.held(str(tmp_path)):
        pass
