"""Runs of the command line in processes that are forked from one that has imported everything already.

To import TensorFlow, TFX and Beam takes ten seconds, to fork two milliseconds. A run has a process, descriptors, an
environment and a session of its own all the same, and can be killed.
"""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import multiprocessing
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.context import ForkServerProcess

ROOT = pathlib.Path(__file__).parent.parent

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["benchmarks.forked_from"])


@dataclasses.dataclass
class Run:
    """A run that was started; it has `subprocess.Popen`'s ways.

    Attributes:
        args: the words of its command line.
    """

    args: list[str]
    _process: ForkServerProcess
    _folder: tempfile.TemporaryDirectory

    @property
    def pid(self) -> int:
        """The process, which leads a session and a group of its own."""
        assert self._process.pid is not None  # it was started
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """The exit code, or None."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Waits for its end.

        Raises:
            subprocess.TimeoutExpired: it goes on.
        """
        self._process.join(timeout)
        if self._process.exitcode is None:
            assert timeout is not None  # without one, it has ended
            raise subprocess.TimeoutExpired(self.args, timeout)
        return self._process.exitcode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Waits for its end; returns what it wrote to stdout and to stderr."""
        self.wait(timeout)
        return self.said()

    def said(self) -> tuple[str, str]:
        """What it has written to stdout and to stderr until now."""
        folder = pathlib.Path(self._folder.name)
        out, err = ((folder / name).read_text(errors="replace") for name in ("stdout", "stderr"))
        return out, err

    def kill(self) -> None:
        """Kills it, and what it has started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)


def start(
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str | None] | None = None,
    cwd: str | os.PathLike[str] = ROOT,
    before: Callable[[], None] | None = None,
) -> Run:
    """Starts `local_runner.py` with these arguments.

    Args:
        arguments: the command line, without the program.
        environment: variables to set, or to remove where they are None.
        cwd: the folder to run in.
        before: what the process calls first; a function of a module, for it is sent by its name.
    """
    folder = tempfile.TemporaryDirectory(prefix="forked-")
    changes = {**dict.fromkeys(set(_environment_at_start) - set(os.environ)), **os.environ, **(environment or {})}
    process = _context.Process(
        target=_main, args=(list(arguments), changes, os.fspath(cwd), folder.name, before), daemon=False
    )
    for name in ("stdout", "stderr"):
        (pathlib.Path(folder.name) / name).touch()
    process.start()
    return Run(["local_runner.py", *arguments], process, folder)


_environment_at_start = dict(os.environ)


def run(
    arguments: Sequence[str],
    *,
    timeout: float = 300,
    environment: Mapping[str, str | None] | None = None,
    cwd: str | os.PathLike[str] = ROOT,
    before: Callable[[], None] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Runs it to its end; the arguments are those of `start`."""
    started = start(arguments, environment=environment, cwd=cwd, before=before)
    try:
        code = started.wait(timeout)
    finally:
        if started.returncode is None:
            started.kill()
    return subprocess.CompletedProcess(started.args, code, *started.said())


def _main(
    arguments: list[str],
    environment: dict[str, str | None],
    cwd: str,
    folder: str,
    before: Callable[[], None] | None,
) -> None:
    """What the forked process does: what a shell does before it starts a program, then the program."""
    os.setsid()
    for target, name in ((0, os.devnull), (1, f"{folder}/stdout"), (2, f"{folder}/stderr")):
        opened = os.open(name, os.O_RDWR | os.O_APPEND)
        os.dup2(opened, target)
        os.close(opened)
    for stream, mode, number in (("stdin", "r", 0), ("stdout", "w", 1), ("stderr", "w", 2)):
        setattr(sys, stream, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 (to the end)
    for key, value in environment.items():
        os.environ.pop(key, None) if value is None else os.environ.__setitem__(key, value)
    time.tzset()
    os.chdir(cwd)
    sys.argv = [str(ROOT / "local_runner.py"), *arguments]
    import local_runner

    if before is not None:
        before()
    try:
        sys.exit(local_runner.main())
    finally:
        atexit._run_exitfuncs()  # a forked process leaves without them
