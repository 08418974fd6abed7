"""What can be tuned is checked by the settings' own types and limits, before anything is trained."""

from __future__ import annotations

import pytest

from word2vec import tuning
from word2vec.errors import UserError
from word2vec.settings import TrainerSettings
from word2vec.tuning import Choice, Range, TunerSettings

# What says how fast and where a model is made, or from what it starts.
NEVER = {
    "subwords", "steps_per_call", "precision", "table_precision", "kernel", "strategy", "exchange_positions",
    "deterministic", "checkpoint_seconds",
    "warm_start", "warm_start_learning_rate", "warm_start_epochs", "align", "max_drift", "seed",
}  # fmt: skip


def test_each_setting_of_the_trainer_can_be_tuned_or_never():
    assert set(TrainerSettings.model_fields) == {*tuning.TUNABLE, *NEVER}
    assert not {*tuning.TUNABLE} & NEVER


@pytest.mark.parametrize(
    ("name", "values", "found"),
    [
        ("dimensions", [100, 200], Choice((100, 200))),
        ("learning_rate", [1, 2], Choice((1.0, 2.0))),
        ("learning_rate", [0.01, 1, "log"], Range(0.01, 1.0, "log")),
        ("warmup_steps", [0, 100, "linear"], Range(0, 100, "linear")),
        ("optimizer", ["sgd", "adagrad"], Choice(("sgd", "adagrad"))),
        ("remove_accidental_hits", [True, False], Choice((True, False))),
    ],
)
def test_values_get_the_types_of_their_setting(name, values, found):
    parsed = tuning.parse(name, values)
    assert parsed == found
    assert list(map(type, parsed)) == list(map(type, found))
    assert list(map(type, parsed.ends)) == list(map(type, found.ends))


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("learning_rat", [1, 2], "learning_rat: trainer has no such setting. Did you mean learning_rate"),
        ("seed", [1, 2], "seed: cannot be tuned"),
        ("strategy", ["auto", "one_device"], "strategy: cannot be tuned"),
        ("subwords", [{}, {}], "subwords: cannot be tuned"),
        ("learning_rate", [0.1, 20], "learning_rate = 20: input should be less than or equal to 10"),
        ("learning_rate", [0.1, 20, "log"], "learning_rate = 20: input should be less than or equal to 10"),
        ("learning_rate", [float("nan"), 1], "finite number"),
        ("dimensions", [100.5, 200], "dimensions = 100.5: input should be a valid integer"),
        ("dimensions", [True, 200], "dimensions = True: expected a number"),
        ("optimizer", ["sgd", "sdg"], "optimizer = 'sdg': input should be 'sgd', 'adagrad' or 'adam'"),
        ("dimensions", [100], "dimensions: expected two different values or more"),
        ("dimensions", [100, 100, 200], "dimensions: expected two different values or more"),
        ("dimensions", [], "dimensions: expected two different values or more"),
        ("dimensions", [200, 100, "log"], r"dimensions: 200 is not below 100. Expected \[least, greatest, log\]"),
        ("warmup_steps", [0, 100, "log"], "warmup_steps: 0 has no logarithm"),
        ("optimizer", ["adagrad", "sgd", "log"], "optimizer: has no numbers between two values"),
        ("remove_accidental_hits", [False, True, "linear"], "remove_accidental_hits: has no numbers"),
    ],
)
def test_what_can_not_be_tried_is_said_in_one_line(name, values, message):
    with pytest.raises(ValueError, match=message) as error:
        tuning.parse(name, values)
    assert "\n" not in str(error.value)


def test_it_may_be_written_with_dots_and_has_one_order():
    one = TunerSettings.model_validate({"trainer.negatives": [5, 10], "trainer.epochs": [1, 2], "trials": 3})
    other = TunerSettings(trainer={"epochs": [1, 2], "negatives": [5, 10]}, trials=3)
    assert one == other
    assert list(one.trainer) == list(other.trainer) == ["epochs", "negatives"]
    assert TunerSettings.model_validate(one.model_dump()) == one


TRIED = {"learning_rate": [0.01, 0.1, "log"]}


@pytest.mark.parametrize(
    ("tuner", "trainer", "message"),
    [
        ({}, {}, "tuner.trials = 3: there is nothing to tune"),
        ({"trainer": TRIED}, {"strategy": "multi_worker"}, "trainer.strategy"),
        (
            {"trainer": TRIED, "algorithm": "hyperband"},
            {"epochs": 2},
            "trainer.epochs, which is 2. Expected at least 3",
        ),
        ({"trainer": {"epochs": [3, 9]}, "algorithm": "hyperband"}, {}, "tuner.trainer.epochs: hyperband decides"),
        (
            {"trainer": TRIED, "algorithm": "hyperband"},
            {"warm_start": True, "warm_start_epochs": 1},
            "trainer.warm_start_epochs: hyperband decides",
        ),
        (
            {"trainer": {"dimensions": [8, 9]}},
            {"warm_start": True},
            "tuner.trainer.dimensions: with trainer.warm_start",
        ),
        ({"trainer": {"dimensions": [8, 9]}}, {"align": "last_blessed"}, "tuner.trainer.dimensions: with"),
        (
            {"trainer": TRIED},
            {"warm_start": True, "warm_start_learning_rate": 0.1},
            "trainer.warm_start_learning_rate takes its place",
        ),
        (
            {"trainer": {"learning_rate": [1e-3, 0.1, "log"], "min_learning_rate": [1e-4, 1e-2]}},
            {},
            r"learning_rate 0.001, min_learning_rate 0.01 cannot be: min_learning_rate \(0.01\) is above learning_rate",
        ),
        (
            {"trainer": {"optimizer": ["sgd", "adam"]}},
            {"kernel": "compiled"},
            "optimizer adam cannot be: kernel = comp",
        ),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(tuner, trainer, message):
    with pytest.raises(UserError, match=message) as error:
        tuning.check(TunerSettings(trials=3, **tuner), TrainerSettings(**trainer))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("algorithm", ["random", "bayesian", "hyperband"])
def test_settings_that_fit_together_are_not(algorithm):
    tuning.check(TunerSettings(trials=3, trainer=TRIED, algorithm=algorithm), TrainerSettings(epochs=3))


def test_without_trials_nothing_is_looked_at():
    tuning.check(TunerSettings(), TrainerSettings(strategy="multi_worker"))


def test_what_was_found_takes_the_places_of_settings():
    found = tuning.tuned({"values": {"trainer.optimizer": "adagrad", "tuner/epochs": 2}, "space": []})
    assert found == {"optimizer": "adagrad"}
    made = tuning.combined(TrainerSettings(epochs=7), found)
    assert (made.optimizer, made.epochs, made.first_learning_rate) == ("adagrad", 7, 0.1)
