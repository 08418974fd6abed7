"""Ends what a run has started when the run is killed: Beam's workers and job servers, and the Trainer's processes.

None of them would notice. A process of its own holds a pipe to the run, whose end is the run's end, and then kills the
processes that carry the run's mark in their environment. It needs Linux' /proc; elsewhere it finds nothing.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator

MARK = "WORD2VEC_RUN"

_ENDED = b"ended"


@contextlib.contextmanager
def ended_with_this_process() -> Iterator[None]:
    """Lets no process outlive this one that is started in its context, if this one is killed."""
    os.environ[MARK] = uuid.uuid4().hex
    command = [sys.executable, "-I", "-S", os.path.abspath(__file__), os.environ[MARK]]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/", env={},
        start_new_session=True,
    ) as watcher:  # fmt: skip
        try:
            yield
        finally:
            os.environ.pop(MARK, None)
            with contextlib.suppress(BrokenPipeError):
                watcher.communicate(_ENDED)


def marked(mark: str) -> list[int]:
    """The processes of this user that carry a mark."""
    wanted = f"{MARK}={mark}".encode()
    processes = []
    for name in os.listdir("/proc") if os.path.isdir("/proc") else []:
        with contextlib.suppress(OSError):  # of somebody else, or just ended
            if name.isdigit():
                with open(f"/proc/{name}/environ", "rb") as file:
                    if wanted in file.read().split(b"\0"):
                        processes.append(int(name))
    return processes


def _kill(mark: str) -> None:
    """Kills the marked ones, until no more are found: one may have been starting another."""
    while processes := marked(mark):
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        time.sleep(0.1)


if __name__ == "__main__":
    if sys.stdin.buffer.read() != _ENDED:
        _kill(sys.argv[1])
