"""One run at a time in a folder."""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import os
import shlex
import socket
import sys
import time
from collections.abc import Iterator

from pipeline import layout
from word2vec.errors import UserError

# A process that is forked shares its parent's lock, and would hold it beyond the parent's death.
_descriptors: set[int] = set()


def _close_in_child() -> None:
    while _descriptors:
        os.close(_descriptors.pop())


os.register_at_fork(after_in_child=_close_in_child)


class BusyError(UserError):
    """Another run is at work in a folder."""


def _take(descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        time.sleep(0.1)  # who only looks (`is_held`) has gone by then
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def is_held(folder: str) -> bool:
    """Whether a run is at work in a folder."""
    try:
        descriptor = os.open(os.path.join(folder, layout.LOCK), os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False


@contextlib.contextmanager
def held(folder: str) -> Iterator[None]:
    """Keeps other runs out of a folder, which is made if it is not there; the process' death releases it.

    A file system without locks, as some network ones, keeps nobody out.

    Args:
        folder: of a run.

    Raises:
        BusyError: another run is at work there.
    """
    os.makedirs(folder, exist_ok=True)
    descriptor = os.open(os.path.join(folder, layout.LOCK), os.O_RDWR | os.O_CREAT, 0o644)
    _descriptors.add(descriptor)
    try:
        try:
            _take(descriptor)
        except BlockingIOError:
            holder = os.read(descriptor, 1000).decode(errors="replace").strip() or "it has not said who it is"
            raise BusyError(
                f"{folder}: another run is at work in this folder: {holder}. Wait until it has ended"
            ) from None
        except OSError:
            pass
        started = datetime.datetime.now().isoformat(sep=" ", timespec="seconds")
        os.ftruncate(descriptor, 0)
        command = shlex.join(sys.argv)[:500]
        holder = f"process {os.getpid()} on {socket.gethostname()}, since {started}: {command}\n"
        os.write(descriptor, holder.encode(errors="replace"))
        yield
    finally:
        if descriptor in _descriptors:
            _descriptors.remove(descriptor)
            os.close(descriptor)
