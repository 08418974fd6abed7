from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time

from pipeline import orphans

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]

# A child, a grandchild, and one in a session of its own.
FAMILY = [
    sys.executable,
    "-c",
    f"import subprocess; subprocess.Popen({SLEEP}); subprocess.Popen({SLEEP}, start_new_session=True).wait()",
]


def run(told, after):
    """In a forked process: starts a family, tells the mark and the first of it, and goes on with `after`."""
    child = os.fork()
    if child:
        return child
    with contextlib.suppress(BaseException), orphans.ended_with_this_process():
        mark = os.environ[orphans.MARK]
        family = subprocess.Popen(FAMILY)
        while len(orphans.marked(mark)) < 3:
            time.sleep(0.05)
        os.write(told, f"{mark} {family.pid}".encode())
        after()
    os._exit(0)


def wait_for_none(mark):
    deadline = time.monotonic() + 10
    while orphans.marked(mark) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not orphans.marked(mark)


def test_killed_it_takes_all_that_it_started_with_it():
    ready, told = os.pipe()
    process = run(told, signal.pause)
    mark, _ = os.read(ready, 1000).decode().split()
    assert len(orphans.marked(mark)) == 3
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    assert wait_for_none(mark)


def test_at_its_end_it_leaves_them_alone():
    ready, told = os.pipe()
    process = run(told, lambda: None)
    mark, _ = os.read(ready, 1000).decode().split()
    os.waitpid(process, 0)
    time.sleep(0.5)
    found = orphans.marked(mark)
    for one in found:
        os.kill(one, signal.SIGKILL)
    assert len(found) == 3
    assert not orphans.marked("another")
