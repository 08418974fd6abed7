"""What a search found: the trials, and the settings of the best one."""

from __future__ import annotations

import json
import os
from typing import Any

import pydantic
import tensorflow as tf

from word2vec import tuning

# As TFX's Tuner names its files.
_BEST, _TRIALS = "best_hyperparameters.txt", "tuner_results.json"
_ID, _SCORE = "trial_id", "score"


class Trial(pydantic.BaseModel):
    """A training that was tried: its settings by the names of trainer's, and its score."""

    settings: dict[str, Any]
    score: float


class Tuning(pydantic.BaseModel):
    """What a search found.

    Attributes:
        settings: of the best trial, by the names of trainer's settings; the model was trained with them.
        score: of that trial.
        trials: all that were trained, the best first.
    """

    settings: dict[str, Any]
    score: float
    trials: list[Trial]


def read(hyperparameters: str, results: str) -> Tuning:
    """Reads the Tuner's artifacts.

    Args:
        hyperparameters: the folder of `best_hyperparameters`.
        results: the folder of `tuner_results`.
    """
    best = _read(hyperparameters, _BEST)
    found = [
        (row, {key: value for key, value in row.items() if key not in (_ID, _SCORE)}) for row in _read(results, _TRIALS)
    ]
    score = next(row[_SCORE] for row, values in found if values == best["values"])
    trials = [Trial(settings=tuning.tried({"values": values}), score=row[_SCORE]) for row, values in found]
    return Tuning(settings=tuning.tuned(best), score=score, trials=trials)


def read_best(hyperparameters: str) -> dict[str, Any]:
    """The best settings alone, by the names of trainer's settings."""
    return tuning.tuned(_read(hyperparameters, _BEST))


def _read(folder: str, name: str) -> Any:
    with tf.io.gfile.GFile(os.path.join(folder, name)) as file:
        return json.load(file)
