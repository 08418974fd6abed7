from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from pipeline import forks

ROOT = pathlib.Path(__file__).parents[2]

left = []


def test_what_a_run_leaves_in_its_process_goes_with_it(tmp_path):
    def run():
        left.append(os.getpid())
        with (tmp_path / "seen").open("a") as file:
            print(len(left), os.getpid(), file=file)
        return 3

    assert [forks.call(run), forks.call(run)] == [3, 3]
    (first, first_process), (second, second_process) = map(str.split, (tmp_path / "seen").read_text().splitlines())
    assert first == second == "1"
    assert first_process != second_process
    assert left == []


def test_one_that_crashes_ends_itself_alone():
    assert forks.call(lambda: os.kill(os.getpid(), signal.SIGKILL)) == -signal.SIGKILL


def test_what_waits_for_the_end_of_a_process_is_done(tmp_path):
    def run():
        import atexit

        atexit.register((tmp_path / "ended").touch)
        return 0

    assert forks.call(run) == 0
    assert (tmp_path / "ended").exists()


PARENT = """
    import pathlib, signal, sys, time
    from pipeline import forks

    signal.signal(signal.SIGINT, signal.default_int_handler)  # what runs in a shell's background ignores it
    folder = pathlib.Path(sys.argv[1])

    def run():
        (folder / "started").touch()
        try:
            for _ in range(300):
                time.sleep(0.1)
        finally:
            (folder / "tidied").touch()

    try:
        forks.call(run)
    except KeyboardInterrupt:
        (folder / f"tidied before the end: {(folder / 'tidied').exists()}").touch()
"""


@pytest.fixture
def parent(tmp_path):
    command = [sys.executable, "-c", textwrap.dedent(PARENT), str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, start_new_session=True) as process:
        until = time.monotonic() + 30
        while not (tmp_path / "started").exists() and time.monotonic() < until:
            time.sleep(0.05)
        yield process
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def gone(group, seconds=10):
    """Whether all processes of a group end."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("send", [os.kill, os.killpg])
def test_an_interrupt_of_one_or_both_tidies_up_once(parent, send, tmp_path):
    send(parent.pid, signal.SIGINT)
    parent.wait(10)
    assert gone(parent.pid)
    assert {path.name for path in tmp_path.iterdir()} == {"started", "tidied", "tidied before the end: True"}


AT_ONCE = """
    import os, signal
    from pipeline import forks

    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.register_at_fork(after_in_child=lambda: os.kill(os.getpid(), signal.SIGINT))
    print(forks.call(lambda: 5))
"""


def test_an_interrupt_in_the_instant_of_forking_is_the_parents_alone():
    program = [sys.executable, "-c", textwrap.dedent(AT_ONCE)]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert (done.stdout, done.stderr) == ("5\n", "")


def test_no_fork_outlives_its_parent(parent, tmp_path):
    parent.kill()
    parent.wait(10)
    assert gone(parent.pid)
    assert {path.name for path in tmp_path.iterdir()} == {"started"}
