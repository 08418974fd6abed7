from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from components.trainer import compiled_steps, kernel_choice
from pipeline.configs import TrainerConfig


@pytest.mark.parametrize("shape", [(99, 8), (99,), (20_000, 128)])
def test_a_variable_is_changed_where_it_is(shape):
    start = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    variable = tf.Variable(start + 1)
    array = compiled_steps.in_place(variable)
    np.testing.assert_array_equal(array, start + 1)
    array[3] = 7
    np.testing.assert_array_equal(variable.numpy()[3], np.full(shape[1:], 7))
    np.testing.assert_array_equal(variable.numpy()[4:], start[4:] + 1)
    assert start[3].max() < 7


def test_a_variable_that_is_copied_when_read_is_refused():
    variable = tf.Variable(tf.zeros([4, 2]))
    variable.scatter_nd_add([[0]], tf.ones([1, 2]))
    with pytest.raises(RuntimeError, match="copies"):
        compiled_steps.in_place(variable)


@pytest.mark.parametrize(
    ("setting", "why"),
    [
        ({}, None),
        ({"optimizer": "adagrad", "sampler": "adaptive", "bias": "learned", "blocks_per_step": 1}, None),
        ({"loss": "full_softmax"}, "loss = full_softmax"),
        ({"optimizer": "adam"}, "optimizer = adam"),
        ({"precision": "float16"}, "precision = float16"),
        ({"strategy": "multi_worker"}, "strategy = multi_worker"),
        ({"blocks_per_step": 8}, "blocks_per_step = 8"),
    ],
)
def test_what_the_compiled_kernel_does_not_know_is_said_early(setting, why):
    assert kernel_choice.why_not_compiled(TrainerConfig(**setting).model_dump()) == why
    if why is None:
        TrainerConfig(kernel="compiled", **setting)
    else:
        with pytest.raises(ValueError, match=f"kernel = compiled: does not know {why}. Set kernel=auto"):
            TrainerConfig(kernel="compiled", **setting)
