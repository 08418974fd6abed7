"""Runs in processes of their own, each forked from one that has imported already what a run needs.

To import TensorFlow, TFX and Beam takes ten seconds, to fork two milliseconds. What a run leaves behind in its process
goes with it, so that the thousandth run is as fast as the first; and one that crashes ends nobody else.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import NoReturn

from word2vec import importing, streams

# What a run imports, before and while it runs.
MODULES = (
    "tensorflow_text",
    "components.infra_validator.executor",
    "components.trainer.run_fn",
    "components.tuner.tuner_fn",
    "components.skipgram.preprocessing",
    "pipeline.beam_workers",
    "pipeline.cleaning",
    "pipeline.lineage",
    "pipeline.local",
    "pipeline.pipeline",
    "pipeline.summary",
    "keras.src.backend.tensorflow.trainer",
)

_INTERRUPTS = {signal.SIGINT, signal.SIGTERM}

_context = multiprocessing.get_context("fork")


def prepare() -> None:
    """Imports what a run needs, and starts nothing: a process with threads at work cannot be forked safely."""
    with importing.quickly():
        for name in MODULES:
            importlib.import_module(name)


def call(function: Callable[[], int]) -> int:
    """Calls a function in a fork of this process, and waits for its end.

    The fork ends when this process does, however that ends. It is interrupted (`KeyboardInterrupt`) when this process
    is, and only by it: a terminal's Ctrl-C reaches both, and one that comes twice would disturb its tidying up.

    Args:
        function: gives the exit code.

    Returns:
        The fork's exit code, or less than 0 for the signal that ended it, as `subprocess.Popen.returncode`.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    process = _context.Process(target=_run, args=(function,))
    try:
        with _interrupts_waiting():
            process.start()
        process.join()
    except KeyboardInterrupt:
        if process.pid is not None:
            process.terminate()
            process.join()
        raise
    assert process.exitcode is not None  # it was joined
    return process.exitcode


@contextlib.contextmanager
def _interrupts_waiting() -> Iterator[None]:
    """Has interrupts wait, in this process and in what it forks: before its own way to take them, a fork has ours."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _INTERRUPTS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _run(function: Callable[[], int]) -> NoReturn:
    signal.signal(signal.SIGINT, _ignore)  # and not SIG_IGN, which programs that it starts would inherit
    signal.signal(signal.SIGTERM, _interrupt)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _INTERRUPTS)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        sys.exit(function())
    except KeyboardInterrupt:  # this is told where it was interrupted
        sys.exit(streams.INTERRUPTED)
    finally:
        atexit._run_exitfuncs()  # a forked process leaves without them


def _ignore(number: int, frame: FrameType | None) -> None:
    pass


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None  # it was forked
    parent.join()
    os.kill(os.getpid(), signal.SIGKILL)
