"""One run at a time in a folder."""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import os
import socket
from collections.abc import Iterator

from components.errors import UserError

FILE = "run.lock"


@contextlib.contextmanager
def held(folder: str) -> Iterator[None]:
    """Keeps other runs out of a folder, which is made if it is not there; the process' death releases it.

    A file system without locks, as some network ones, keeps nobody out.

    Args:
        folder: of a run.

    Raises:
        UserError: another run is at work there.
    """
    os.makedirs(folder, exist_ok=True)
    descriptor = os.open(os.path.join(folder, FILE), os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 1000).decode(errors="replace").strip() or "it has not said who it is"
            raise UserError(
                f"{folder}: another run is at work in this folder: {holder}. Wait until it has ended, or give this one "
                "another name (--name)"
            ) from None
        except OSError:
            pass
        started = datetime.datetime.now().isoformat(sep=" ", timespec="seconds")
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}, since {started}\n".encode())
        yield
    finally:
        os.close(descriptor)
