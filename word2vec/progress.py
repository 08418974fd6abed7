"""Progress of a long piece of work, and notes on it, told by log records.

Whoever wants to show them (a progress bar, a metrics exporter) adds a handler to this logger and asks `of(record)`,
which is None for a note; everyone else finds plain lines in the log.
"""

from __future__ import annotations

import dataclasses
import logging

_LOGGER = logging.getLogger("word2vec.progress")


@dataclasses.dataclass(frozen=True)
class TrainingProgress:
    """How far a training is.

    Attributes:
        share: of the whole work, from 0 to 1.
        step: steps done.
        epoch: counted from 1.
        epochs: in all.
        words_per_second: words of the text, as they were before subsampling, over the time of this session.
        loss: the mean over the latest pairs.
        learning_rate: of the next step.
        seconds_left: an estimate.
        seconds_waited: how long the latest steps waited for data.
    """

    share: float
    step: int
    epoch: int
    epochs: int
    words_per_second: float
    loss: float
    learning_rate: float
    seconds_left: float
    seconds_waited: float


@dataclasses.dataclass(frozen=True)
class TrialProgress:
    """How far the search for better settings is: a trial begins, or has ended.

    Attributes:
        number: the trial's, from 1.
        trials: in all, at most.
        settings: that it tries, for people.
        score: its own; None while it is not over, or if it failed.
        best: the best score so far, this trial's included; None if there is none yet.
        failure: why it failed, if it did.
    """

    number: int
    trials: int
    settings: str
    score: float | None = None
    best: float | None = None
    failure: str = ""

    @property
    def has_ended(self) -> bool:
        """Whether the trial is over."""
        return self.score is not None or bool(self.failure)

    def __str__(self) -> str:
        begun = f"trial {self.number} of {self.trials}: {self.settings}"
        if self.failure:
            return f"{begun}: failed: {self.failure}"
        return begun if self.score is None else f"{begun}: score {self.score:.3f}, the best so far {self.best:.3f}"


def add_handler(handler: logging.Handler) -> None:
    """Lets a handler hear of progress."""
    _LOGGER.setLevel(logging.INFO)
    _LOGGER.addHandler(handler)


def remove_handler(handler: logging.Handler) -> None:
    """Undoes `add_handler`."""
    _LOGGER.removeHandler(handler)


def leave_to_handlers() -> None:
    """Keeps it out of the log, for what another process has written there already."""
    _LOGGER.propagate = False


def of(record: logging.LogRecord) -> TrainingProgress | TrialProgress | None:
    """The progress that a record tells; None if it is a note."""
    return vars(record)["progress"]  # what `extra` adds is an attribute that LogRecord's own type lacks


def note(text: str) -> None:
    """Tells what a person should know of a run that goes on: one line, as what was damaged and what is done instead."""
    _LOGGER.warning("%s", text, extra={"progress": None})


def tell(progress: TrainingProgress) -> None:
    """Tells how far the training is."""
    _LOGGER.info(
        "epoch %d of %d, step %d, %.1f %%, %.0f words/s, loss %.4f, learning rate %.5f, %.0f s left",
        progress.epoch,
        progress.epochs,
        progress.step,
        100 * progress.share,
        progress.words_per_second,
        progress.loss,
        progress.learning_rate,
        progress.seconds_left,
        extra={"progress": progress},
    )


def tell_trial(trial: TrialProgress) -> None:
    """Tells that a trial begins or has ended."""
    _LOGGER.info("%s", trial, extra={"progress": trial})
