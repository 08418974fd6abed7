"""Every choice that a setting has is known to what makes it, and to nothing else."""

from __future__ import annotations

import inspect
import typing

import pytest

from word2vec import settings
from word2vec.training import architectures, losses, model, optimizers, samplers, window_weights


@pytest.mark.parametrize(
    ("choices", "known"),
    [
        (settings.Architecture, architectures.BY_NAME),
        (settings.Loss, losses.BY_NAME),
        (settings.Sampler, samplers.BY_NAME),
        (settings.Optimizer, optimizers.BY_NAME),
        (settings.Optimizer, optimizers.TABLES),
        (settings.Optimizer, settings.LEARNING_RATES),
        (settings.WindowWeights, window_weights.BY_NAME),
    ],
)
def test_choices_are_those_that_can_be_made(choices, known):
    assert set(typing.get_args(choices)) == set(known)


@pytest.mark.parametrize(
    ("given", "rate"),
    [
        ({}, 0.03),
        ({"architecture": "cbow"}, 0.06),
        ({"architecture": "cbow", "optimizer": "adagrad"}, 0.1),
        ({"architecture": "cbow", "learning_rate": 0.02}, 0.02),
        ({"optimizer": "adam"}, 0.001),
    ],
)
def test_where_no_learning_rate_is_set(given, rate):
    assert settings.TrainerSettings(**given).first_learning_rate == rate


def test_the_models_defaults_are_the_settings():
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(model.Word2Vec).parameters.items()
        if parameter.default is not inspect.Parameter.empty and name != "dtype"
    }
    made = settings.TrainerSettings()
    assert defaults == {name: getattr(made, name) for name in defaults}
    assert len(defaults) == 11
