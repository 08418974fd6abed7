from __future__ import annotations

import threading

import numpy as np
import pytest
import tensorflow as tf

from word2vec.settings import TrainerSettings
from word2vec.training import blocks, compiled_steps, model, optimizers, samplers


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


def test_a_variable_of_half_precision_is_changed_where_it_is():
    variable = tf.Variable(tf.constant([[1.0, 2.0], [3.0, 4.0]], tf.float16))
    array = compiled_steps.in_place(variable)
    assert array.dtype == np.uint16
    array.view(np.float16)[1] = 0.5
    assert variable.numpy().tolist() == [[1, 2], [0.5, 0.5]]


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
        ({"strategy": "multi_worker"}, None),
        ({"blocks_per_step": 8}, "blocks_per_step = 8"),
    ],
)
def test_what_the_compiled_kernel_does_not_know_is_said_early(setting, why):
    assert TrainerSettings(**setting).why_not_compiled() == why
    if why is None:
        TrainerSettings(kernel="compiled", **setting)
    else:
        with pytest.raises(ValueError, match=f"kernel = compiled: does not know {why}. Set kernel=auto"):
            TrainerSettings(kernel="compiled", **setting)


@pytest.mark.parametrize(
    ("setting", "why"),
    [
        ({"kernel": "tensorflow"}, "kernel = tensorflow"),
        ({"loss": "full_softmax"}, "loss = full_softmax"),
        ({"precision": "bfloat16"}, "precision = bfloat16"),
    ],
)
def test_tables_of_half_precision_are_the_compiled_kernels_alone(setting, why):
    with pytest.raises(ValueError, match=f"table_precision = float16: only the compiled kernel .* with {why}"):
        TrainerSettings(table_precision="float16", **setting)
    TrainerSettings(table_precision="float16", optimizer="adagrad")


def test_who_interrupts_does_not_wait_for_the_rest_of_the_round(monkeypatch):
    made = model.Word2Vec(
        9, 8, window=2, block_length=4, blocks_per_step=1, sampler=samplers.make("unigram", np.arange(9, 0, -1), 0.75)
    )
    rate = optimizers.LinearDecay(0.1, 0.1, 10**9)
    made.compile(optimizer=optimizers.make("sgd", rate))
    made.optimizer.build([table.embeddings for table in made.tables])
    begun, interrupted, pieces = threading.Event(), threading.Event(), []

    def train(*_, begin, end, **__):
        pieces.append(end - begin)
        begun.set()
        interrupted.wait(2)
        return end - begin

    monkeypatch.setattr(compiled_steps.kernel, "train", train)
    # Clearing what is left is what follows an interruption; only then the piece that was begun may end.
    monkeypatch.setattr(compiled_steps.collections, "deque", lambda items: _Queue(items, interrupted))

    def data():
        for number in range(8):
            yield blocks.Documents(np.zeros(400, np.int32), np.array([0, 400]), None, 0, (1, number))
        assert begun.wait(60)
        raise KeyboardInterrupt

    # The first round takes the first five; the rest, and the interruption, come while it trains.
    steps = compiled_steps.CompiledSteps(made, rate, streams=1, steps_per_call=500)
    with pytest.raises(KeyboardInterrupt):
        list(steps.rounds(data(), skip=0, done=0))
    assert pieces == [100]


class _Queue(list):
    """A queue that tells when it was cleared."""

    def __init__(self, items, cleared):
        super().__init__(items)
        self._cleared = cleared

    def popleft(self):
        return self.pop(0)

    def clear(self):
        super().clear()
        self._cleared.set()
