"""Trials are the same with the same settings, also where the search was killed in between."""

from __future__ import annotations

import json

import pytest
from tfx.components.tuner import executor
from tfx.types import standard_artifacts

from components.tuner import results
from components.tuner.search import Search
from word2vec import progress
from word2vec.errors import UserError
from word2vec.settings import TrainerSettings
from word2vec.training.training import DivergedError
from word2vec.tuning import TunerSettings, combined

SPACE = {"learning_rate": [0.001, 1.0, "log"], "dimensions": [8, 64, "linear"], "optimizer": ["sgd", "adagrad"]}
ALGORITHMS = ("random", "bayesian", "hyperband")

# Bayesian is random for three trials, and takes a second for each one after.
FEW = {"bayesian": {"trainer": {name: SPACE[name] for name in ("learning_rate",)}, "trials": 5}}


def score(values):
    """The best is at a learning rate of 0.1 and 40 dimensions."""
    return 1 - abs(values["learning_rate"] - 0.1) - abs(values.get("dimensions", 40) - 40) / 100


class Attempts:
    """Keeps what was tried; ends as a kill does when it is to make one trial too many."""

    def __init__(self, most=10**6, score=score):
        self.tried, self._most, self._score = [], most, score

    def __call__(self, values):
        if len(self.tried) == self._most:
            raise KeyboardInterrupt
        self.tried.append(dict(values))
        return self._score(values)


@pytest.fixture
def search(tmp_path):
    def make(attempt, *, folder="kept", **settings):
        few = FEW.get(settings.get("algorithm"), {})
        settings = TunerSettings(**{"trials": 14, "trainer": SPACE, **few, **settings})
        made = Search(settings, attempt, 9, folder=str(tmp_path / folder), scratch=str(tmp_path / "scratch"))
        made.search()
        return made

    return make


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("seed", [0, 5])
def test_the_same_settings_give_the_same_trials(search, algorithm, seed):
    one, other, third = Attempts(), Attempts(), Attempts()
    for attempt, its_seed in ((one, seed), (other, seed), (third, seed + 1)):
        search(attempt, algorithm=algorithm, seed=its_seed)
    assert one.tried == other.tried != third.tried
    assert len(one.tried) == FEW.get(algorithm, {}).get("trials", 14)
    for values in one.tried:
        combined(TrainerSettings(), values)
        assert 0.001 <= values["learning_rate"] <= 1
        assert isinstance(values.get("dimensions", 8), int)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("done", [0, 1, 4])
def test_a_search_that_was_killed_goes_on_as_one_that_was_not(search, algorithm, done, tmp_path):
    whole = Attempts()
    best = search(whole, folder="other", algorithm=algorithm).get_best_hyperparameters()[0].values
    killed, rest = Attempts(most=done), Attempts()
    with pytest.raises(KeyboardInterrupt):
        search(killed, algorithm=algorithm)
    resumed = search(rest, algorithm=algorithm)
    assert killed.tried + rest.tried == whole.tried
    assert resumed.get_best_hyperparameters()[0].values == best
    assert not (tmp_path / "kept").exists()


def test_what_is_damaged_is_not_taken_up(search, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        search(Attempts(most=3))
    state = tmp_path / "kept" / "state.json"
    state.write_text(state.read_text()[:100])
    again, whole = Attempts(), Attempts()
    search(again)
    search(whole, folder="other")
    assert again.tried == whole.tried


def test_a_training_that_diverges_is_a_failed_trial(search, monkeypatch):
    told = []
    monkeypatch.setattr(progress, "tell_trial", told.append)

    def diverges(values):
        if values["optimizer"] == "adagrad":
            raise DivergedError("training diverged: the loss is nan")
        return score(values)

    attempts = Attempts(score=diverges)
    made = search(attempts)
    assert len(attempts.tried) == 14
    assert made.get_best_hyperparameters()[0].values["trainer.optimizer"] == "sgd"
    ended = [each for each in told if each.has_ended]
    assert [each.number for each in ended] == list(range(1, 15))
    assert {bool(each.failure) for each in ended} == {True, False}
    assert all(("adagrad" in each.settings) == bool(each.failure) for each in ended)
    scores = [each.score for each in ended if each.score is not None]
    assert ended[-1].best == max(scores)
    assert "failed: training diverged: the loss is nan" in next(str(each) for each in ended if each.failure)


def test_where_all_diverge_there_is_one_line(search, tmp_path):
    def diverges(values):
        raise DivergedError("training diverged: the loss is nan")

    with pytest.raises(UserError, match=r"none of 4 trials could be trained\. The last one: training diverged"):
        search(diverges, trials=4)
    assert not (tmp_path / "kept").exists()


@pytest.mark.parametrize("error", [UserError("the disk is full"), MemoryError("of none"), KeyError("a")])
def test_any_other_error_ends_the_search(search, error):
    def fails(values):
        raise error

    with pytest.raises(type(error)) as raised:
        search(fails)
    assert raised.value is error


def test_fewer_values_than_trials_are_tried_once_each(search):
    attempts = Attempts(score=lambda values: values["dimensions"])
    made = search(attempts, trainer={"dimensions": [8, 16, 24]}, trials=9)
    assert sorted(values["dimensions"] for values in attempts.tried) == [8, 16, 24]
    assert made.get_best_hyperparameters()[0].values == {"trainer.dimensions": 24}


def test_all_values_are_tried_where_there_are_trials_enough(search):
    attempts = Attempts(score=lambda values: values["dimensions"])
    search(attempts, trainer={"dimensions": [*range(8, 18)], "negatives": [2, 3, 4, 5]}, trials=60)
    assert len(attempts.tried) == 40


@pytest.mark.parametrize("failing", [{4}, {2, 4, 7}])
def test_hyperbands_best_have_all_epochs_where_others_diverge(search, failing):
    class Some(Attempts):
        def __call__(self, values):
            super().__call__(values)
            if len(self.tried) in failing:
                raise DivergedError("training diverged: the loss is nan")
            return score(values)

    whole = Some()
    best = search(whole, algorithm="hyperband", trials=13).get_best_hyperparameters()[0].values
    assert [values["epochs"] for values in whole.tried] == [1] * 9 + [3] * 3 + [9]
    first = [score(values) for number, values in enumerate(whole.tried[:9], 1) if number not in failing]
    assert sorted(map(score, whole.tried[9:12]), reverse=True) == pytest.approx(sorted(first, reverse=True)[:3])
    assert best["tuner/epochs"] == 9


def test_hyperband_gives_the_best_more_epochs_and_takes_one_of_those(search):
    attempts = Attempts(score=lambda values: score(values) - values["epochs"])  # more epochs are worse
    made = search(attempts, algorithm="hyperband", trials=30)
    epochs = [values["epochs"] for values in attempts.tried]
    assert min(epochs) == 1
    assert max(epochs) == 9
    best = made.get_best_hyperparameters()[0].values
    longest = [values for values in attempts.tried if values["epochs"] == 9]
    assert best["trainer.dimensions"] == max(longest, key=score)["dimensions"]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_tfx_writes_what_is_read(search, algorithm, tmp_path):
    artifacts = standard_artifacts.HyperParameters(), standard_artifacts.TunerResults()
    for artifact, name in zip(artifacts, ("best", "results"), strict=True):
        artifact.uri = str(tmp_path / name)
    attempts = Attempts()
    made = search(attempts, algorithm=algorithm)
    executor.write_best_hyperparameters(made, {"best_hyperparameters": [artifacts[0]], "tuner_results": [artifacts[1]]})
    found = results.read(*(artifact.uri for artifact in artifacts))
    assert results.read_best(artifacts[0].uri) == found.settings
    assert set(found.settings) == set(FEW.get(algorithm, {}).get("trainer", SPACE))
    assert found.score == pytest.approx(score(found.settings))
    assert sorted(json.dumps(trial.settings, sort_keys=True) for trial in found.trials) == sorted(
        json.dumps(values, sort_keys=True) for values in attempts.tried
    )
