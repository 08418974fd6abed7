"""How a program leaves. How it starts, writes and fails is tested where there are programs that do."""

from __future__ import annotations

import subprocess
import sys

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
