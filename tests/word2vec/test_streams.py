"""How a program leaves. How it starts, writes and fails is tested where there are programs that do."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest

from word2vec import streams

LEAVES = """
import atexit, sys, threading, time
from word2vec import streams

class Slow:
    def __del__(self):
        print("taken apart")

slow = Slow()
atexit.register(print, "at the end")
threading.Thread(target=lambda: (time.sleep(0.2), print("a thread"))).start()
print("written", end=" ")
{before}
streams.leave(7)
"""


def run(before: str = "") -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-c", LEAVES.format(before=before)]
    return subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)


def test_threads_and_what_is_due_come_before_the_end_and_nothing_is_taken_apart():
    left = run()
    assert (left.returncode, left.stdout, left.stderr) == (7, "written a thread\nat the end\n", "")


def test_streams_that_are_closed_do_not_matter():
    assert run("threading.enumerate()[-1].join(); sys.stdout.close(); sys.stderr.close()").returncode == 7


PROGRAM = """
from word2vec import streams
if __name__ == "__main__":
    print("it ran")
    streams.leave(0)
"""

OTHER = """
import runpy, sys
try:
    runpy.run_path(sys.argv[1], run_name="__main__")
except SystemExit as ended:
    print("and ended with", ended.code)
"""


@pytest.mark.parametrize("how", [["other.py"], ["-m", "other"], ["-m", "cProfile", "other.py"]], ids=" ".join)
def test_a_program_within_another_ends_itself_alone(how, tmp_path):
    """As TFX's command line runs `local_runner.py`."""
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "other.py").write_text(OTHER)
    done = within(tmp_path, *how, "program.py")
    assert done.stdout.startswith("it ran\nand ended with 0\n"), done.stderr


@pytest.mark.parametrize("how", [["program.py"], ["-m", "program"]], ids=" ".join)
def test_a_program_of_its_own_leaves(how, tmp_path):
    (tmp_path / "program.py").write_text(f"slow = type('Slow', (), {{'__del__': lambda _: print('no')}})()\n{PROGRAM}")
    done = within(tmp_path, *how)
    assert (done.returncode, done.stdout, done.stderr) == (0, "it ran\n", "")


def within(folder: pathlib.Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(pathlib.Path(streams.__file__).parents[1])}
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
