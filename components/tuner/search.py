"""The search: KerasTuner asks for settings, each trial trains with them, and a kill costs one trial's last seconds."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from typing import Any

import keras_tuner
import numpy as np
import pydantic
from absl import logging
from keras_tuner import oracles
from keras_tuner.engine import base_tuner
from keras_tuner.engine import trial as trials

from word2vec import progress, tuning, whole_files
from word2vec.errors import UserError, reason
from word2vec.settings import LARGEST_SEED
from word2vec.training.training import DivergedError
from word2vec.tuning import Choice, Range, TunerSettings

# What the score is called, and the file of the state.
_SCORE, _STATE = "score", "state.json"

# After so many draws of what was tried KerasTuner takes all values for tried. Its own 20 are too few for the last ones.
_MOST_DRAWS = 1000

# From the settings that a trial tries, by the names of trainer's settings, to its score; raises `DivergedError` or
# `pydantic.ValidationError` if they are no good.
Try = Callable[[Mapping[str, Any]], float]


class Search(base_tuner.BaseTuner):
    """Tries settings one after the other, and keeps what it knows after each trial.

    KerasTuner keeps its state too, in several files, which a kill between or within two of them would spoil. So this
    keeps all of it in one file, which takes the place of the one before when it is whole. A trial that was killed is
    the next one to be tried, and its training goes on from its own checkpoint.

    Args:
        settings: of the search.
        attempt: trains with some settings, and scores what came out.
        epochs: those of a training, if nothing else is said.
        folder: where the state is kept, of the same settings and inputs alone.
        scratch: a folder for KerasTuner's own files.
    """

    def __init__(self, settings: TunerSettings, attempt: Try, epochs: int, *, folder: str, scratch: str):
        super().__init__(_oracle(settings, epochs), directory=scratch, project_name="word2vec_tuner", overwrite=True)
        self._settings, self._attempt, self._folder = settings, attempt, folder
        self._failures: list[str] = []
        self._take_up()

    def run_trial(self, trial: trials.Trial, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Trains once; see `keras_tuner.Tuner.run_trial`."""
        try:
            return {_SCORE: self._attempt(_tried(trial))}
        except (DivergedError, pydantic.ValidationError) as error:
            self._failures.append(_why(error))
            raise keras_tuner.errors.FailedTrialError(self._failures[-1]) from error
        except Exception as error:  # of which KerasTuner would make a failed trial
            raise keras_tuner.errors.FatalError(str(error)) from error

    def search(self, *args: Any, **kwargs: Any) -> None:
        """Makes all trials; see `keras_tuner.Tuner.search`.

        Raises:
            UserError: none of the trials could be trained, or whatever a training raised.
        """
        try:
            super().search(*args, **kwargs)
        except keras_tuner.errors.FatalError as error:
            raise (error.__cause__ or error) from None
        os.remove(os.path.join(self._folder, _STATE))
        os.rmdir(self._folder)
        if not self._completed():
            raise UserError(
                f"tuner: none of {len(self.oracle.trials)} trials could be trained. The last one: {self._failures[-1]}"
            )

    def on_trial_begin(self, trial: trials.Trial) -> None:
        """Tells of it."""
        super().on_trial_begin(trial)
        progress.tell_trial(self._progress(trial))

    def on_trial_end(self, trial: trials.Trial) -> None:
        """Keeps what is known, and tells of it."""
        super().on_trial_end(trial)
        state = {
            "oracle": self.oracle.get_state(),
            "trials": [each.get_state() for each in self.oracle.trials.values()],
        }
        os.makedirs(self._folder, exist_ok=True)
        whole_files.write_text(os.path.join(self._folder, _STATE), json.dumps({**state, "failures": self._failures}))
        progress.tell_trial(self._progress(self.oracle.get_trial(trial.trial_id), has_ended=True))

    def get_best_hyperparameters(self, num_trials: int = 1) -> list[keras_tuner.HyperParameters]:
        """The best first; of hyperband's trials, those with the most epochs come before all others."""
        best = sorted(
            self._completed(), key=lambda trial: (-trial.hyperparameters.values.get(tuning.EPOCHS, 0), -trial.score)
        )
        return [trial.hyperparameters for trial in best[:num_trials]]

    def _completed(self) -> list[trials.Trial]:
        return [each for each in self.oracle.trials.values() if each.status == trials.TrialStatus.COMPLETED]

    def _take_up(self) -> None:
        """Goes on where the same search was killed."""
        state = whole_files.read_json(os.path.join(self._folder, _STATE), dict)
        if not state:
            return
        known = map(trials.Trial.from_state, state["trials"])
        self.oracle.trials = {trial.trial_id: trial for trial in known}
        self.oracle.set_state(state["oracle"])
        self._failures = state["failures"]
        logging.info("The search goes on after %d trials.", len(self.oracle.trials))

    def _progress(self, trial: trials.Trial, *, has_ended: bool = False) -> progress.TrialProgress:
        failed = has_ended and trial.status != trials.TrialStatus.COMPLETED
        return progress.TrialProgress(
            number=int(trial.trial_id) + 1,
            trials=self._settings.trials or 0,
            settings=tuning.text(_tried(trial)),
            score=trial.score if has_ended and not failed else None,
            best=max((each.score for each in self._completed()), default=None),
            failure=self._failures[-1] if failed else "",
        )


def _tried(trial: trials.Trial) -> dict[str, Any]:
    """The settings that a trial tries."""
    return tuning.tried(trial.hyperparameters.get_config())


def _why(error: Exception) -> str:
    return error.errors()[0]["msg"] if isinstance(error, pydantic.ValidationError) else reason(error)


def _oracle(settings: TunerSettings, epochs: int) -> keras_tuner.Oracle:
    """What says which settings are tried next.

    Args:
        settings: of the search.
        epochs: the most of a trial.
    """
    oracle = _oracle_of(settings, epochs)
    oracle._max_collisions = _MOST_DRAWS
    return oracle


def _oracle_of(settings: TunerSettings, epochs: int) -> keras_tuner.Oracle:
    count = settings.trials or 0
    same: dict[str, Any] = {
        "objective": keras_tuner.Objective(_SCORE, "max"),
        "hyperparameters": _space(settings),
        "seed": settings.seed or LARGEST_SEED,  # KerasTuner takes 0 for none, and draws one
        "max_consecutive_failed_trials": count + 1,  # so that it is never reached: the next settings may be good
    }
    if settings.algorithm == "bayesian":
        return _Bayesian(max_trials=count, **same)
    if settings.algorithm == "hyperband":
        # Again and again, until there were so many trials.
        hyperband = _Hyperband(max_epochs=epochs, factor=tuning.FACTOR, hyperband_iterations=None, **same)
        hyperband.max_trials = count
        return hyperband
    return oracles.RandomSearchOracle(max_trials=count, **same)


def _space(settings: TunerSettings) -> keras_tuner.HyperParameters:
    space = keras_tuner.HyperParameters()
    for name, found in settings.space.items():
        if isinstance(found, Choice):
            space.Choice(tuning.GROUP + name, list(found.values))
        else:
            _add_range(space, tuning.GROUP + name, found)
    return space


def _add_range(space: keras_tuner.HyperParameters, name: str, found: Range) -> None:
    add = space.Int if isinstance(found.low, int) else space.Float
    add(name, found.low, found.high, sampling=found.scale)


class _Hyperband(oracles.HyperbandOracle):
    """Takes a trial that failed for the worst of its round, so that the best third of the others go on.

    KerasTuner waits for so many trials that have ended well, which then never come: no trial would have all epochs.
    """

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """See `keras_tuner.Oracle.populate_space`."""
        status, over = trials.TrialStatus, (trials.TrialStatus.FAILED, trials.TrialStatus.INVALID)
        failed = [(trial, trial.status, trial.score) for trial in self.trials.values() if trial.status in over]
        for trial, _, _ in failed:
            trial.status, trial.score = status.COMPLETED, -np.inf
        try:
            return super().populate_space(trial_id)
        finally:
            for trial, *before in failed:
                trial.status, trial.score = before


class _Bayesian(oracles.BayesianOptimizationOracle):
    """Draws by the number of the trial, so that a search that was killed goes on as one that was not.

    KerasTuner keeps the seed of the first draws alone.
    """

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """See `keras_tuner.Oracle.populate_space`."""
        self._random_state = np.random.RandomState((self.seed + int(trial_id)) % (LARGEST_SEED + 1))
        return super().populate_space(trial_id)
