"""Runs the pipeline whenever there is something else to read, until it is interrupted.

Each run is a fork of the process that waits, which imports once what they all need. What fails is told, and tried again
when something has changed, or when whoever had the run's folder has left it. A run that was killed is tried once more
before, for that may have had nothing to do with its text.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import NoReturn

import rich.console

from pipeline import console, forks, lock, preflight
from pipeline.configs import Config
from pipeline.inputs import Fingerprints, Inputs
from word2vec import streams
from word2vec.errors import UserError, reason

_WAITING = "waiting for new text"


class KilledError(UserError):
    """The process of a run was killed, or could not be started."""


class Follower:
    """Looks for what is new, and runs the pipeline on it.

    Args:
        config: all settings.
        run: runs the pipeline once, as `run_in_fork` does.
        seconds: between two looks at the files.
        screen: for what a user shall know.
        errors: for what went wrong.
    """

    def __init__(
        self,
        config: Config,
        run: Callable[[Inputs], None],
        seconds: float,
        screen: rich.console.Console,
        errors: rich.console.Console,
    ):
        self._config, self._run, self._seconds = config, run, seconds
        self._screen, self._errors = screen, errors
        self._tried: Fingerprints | None = None
        self._killed: Fingerprints | None = None
        self._failure = ""

    def follow(self) -> NoReturn:
        """Goes on until it is interrupted."""
        with console.waiting(self._screen, "Starting TensorFlow and TFX …"):
            forks.prepare()
        while True:
            try:
                self._look()
            except UserError as error:
                self._failed(error)
            console.check(self._screen)
            time.sleep(self._seconds)

    def _look(self) -> None:
        """Runs if there is something that was not tried.

        Raises:
            UserError: a run cannot begin, or was killed.
        """
        if Inputs.find(self._config).fingerprints != self._tried:  # what else can be wrong is looked for only then
            inputs = preflight.check(self._config)
            is_new, self._tried = inputs.fingerprints != self._tried, inputs.fingerprints
            if is_new:  # and not gone again meanwhile
                self._run(inputs)
            self._tell(_WAITING)
        self._failure = ""

    def _failed(self, error: UserError) -> None:
        """Tells it, unless it was told at the last look, and says when it is tried again."""
        is_busy, is_killed = isinstance(error, lock.BusyError), isinstance(error, KilledError)
        once_more = is_killed and self._tried != self._killed
        if is_killed or str(error) != self._failure:
            console.fail(str(error), self._errors)
            self._tell("tried once more" if once_more else "waiting for its end" if is_busy else _WAITING)
        if once_more:
            self._killed = self._tried
        if once_more or is_busy:
            self._tried = None
        self._failure = str(error)

    def _tell(self, what: str) -> None:
        self._screen.print(console.line((f"{what}; a look every {self._seconds:g} s", "dim")))


def run_in_fork(run_folder: str, run: Callable[[], int]) -> None:
    """Runs the pipeline in a process of its own, while nobody else may do so.

    Args:
        run_folder: of the run.
        run: runs it, says itself what fails, and returns the exit code.

    Raises:
        lock.BusyError: another process runs it.
        KilledError: it was killed, and could not say so, or could not be started.
    """
    try:
        with lock.held(run_folder):
            code = forks.call(run)
    except OSError as error:
        raise KilledError(f"the run could not be started: {reason(error)}") from None
    if code == streams.INTERRUPTED:  # alone, or this process would have been interrupted too
        code = -signal.SIGTERM
    if code < 0:
        name = signal.Signals(-code).name
        why = " (the system does so when memory runs short)" if name == "SIGKILL" else ""
        raise KilledError(f"the run was ended by {name}{why}")
