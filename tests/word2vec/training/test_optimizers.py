from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from word2vec.training import optimizers

IDS, ROWS = [3, 1, 3], np.array([[1.0, 2.0], [0.5, -1.0], [0.25, 0.5]], np.float32)
SUMMED = np.array([[0, 0], [0.5, -1], [0, 0], [1.25, 2.5], [0, 0]], np.float32)
START = np.arange(10, dtype=np.float32).reshape(5, 2)


def updated(optimizer, steps=1, gradient=None):
    table = keras.Variable(START)
    optimizer.build([table])
    for _ in range(steps):
        optimizer.apply([tf.IndexedSlices(ROWS, IDS) if gradient is None else gradient], [table])
    return table.numpy()


def test_sgd_adds_repeated_rows_up():
    np.testing.assert_allclose(updated(optimizers.SGD(0.1)), START - 0.1 * SUMMED)
    np.testing.assert_allclose(updated(optimizers.SGD(0.1), gradient=tf.constant(SUMMED)), START - 0.1 * SUMMED)


def test_sgd_tells_repeated_ids_from_those_that_share_their_last_bits():
    ids = np.array([5, 5 + 2**14, 7, 5, 5 + 2**15, 7, 5 + 2**14])
    start, rows = np.zeros((2**16, 2), np.float32), np.arange(14, dtype=np.float32).reshape(7, 2)
    table = keras.Variable(start)
    optimizer = optimizers.SGD(1.0)
    optimizer.build([table])
    optimizer.apply([tf.IndexedSlices(rows, tf.constant(ids, tf.int32))], [table])
    np.subtract.at(start, ids, rows)
    np.testing.assert_array_equal(table.numpy(), start)


def test_sgd_that_scales_the_loss_gives_the_same():
    optimizer = optimizers.SGD(0.1, scales_loss=True)
    rows = tf.IndexedSlices(optimizer.scale_loss(1.0) * ROWS, IDS)
    np.testing.assert_allclose(updated(optimizer, gradient=rows), START - 0.1 * SUMMED, rtol=1e-6)


def test_row_adagrad_by_hand():
    """Two equal steps: the accumulators of rows 1 and 3 grow by the mean squares of their summed gradients."""
    optimizer = optimizers.RowAdagrad(0.1, initial_accumulator_value=0.5)
    expected, accumulator = START.copy(), np.full(5, 0.5)
    for _ in range(2):
        accumulator += (SUMMED**2).mean(1)
        expected -= 0.1 * SUMMED / (np.sqrt(accumulator)[:, None] + 1e-7)
    np.testing.assert_allclose(updated(optimizer, steps=2), expected, rtol=1e-6)


def test_lazy_adam_is_adam_where_it_touches():
    """Rows 1 and 3 are touched at every step, so they move as under Keras' Adam; the others not at all."""
    dense = updated(keras.optimizers.Adam(0.1), steps=4, gradient=tf.constant(SUMMED))
    lazy = updated(optimizers.LazyAdam(0.1), steps=4)
    np.testing.assert_allclose(lazy[[1, 3]], dense[[1, 3]], rtol=1e-5)
    np.testing.assert_array_equal(lazy[[0, 2, 4]], START[[0, 2, 4]])


def test_lazy_adam_leaves_the_moments_of_untouched_rows():
    optimizer = optimizers.LazyAdam(0.1)
    table = keras.Variable(START)
    optimizer.build([table])
    optimizer.apply([tf.IndexedSlices(ROWS, IDS)], [table])
    after = table.numpy()
    optimizer.apply([tf.IndexedSlices(ROWS[:1], [0])], [table])
    np.testing.assert_array_equal(table.numpy()[1:], after[1:])


@pytest.mark.parametrize("name", ["sgd", "adagrad", "adam"])
def test_nothing_dense_is_computed(name):
    """What an update costs must not depend on the table: no operation puts out all its rows."""
    rows = 12_345
    table = keras.Variable(np.zeros((rows, 2), np.float32))
    optimizer = optimizers.make(name, 0.1)
    optimizer.build([table])
    apply = tf.function(lambda values, ids: optimizer.apply([tf.IndexedSlices(values, ids)], [table]))
    graph = apply.get_concrete_function(tf.TensorSpec([None, 2]), tf.TensorSpec([None], tf.int32)).graph
    assert any("Scatter" in operation.type for operation in graph.get_operations())
    dense = [
        operation.name
        for operation in graph.get_operations()
        for output in operation.outputs
        if output.shape.rank and output.shape[0] == rows
    ]
    assert not dense


def test_loss_scaling_skips_a_step_that_overflows_and_lowers_the_scale():
    optimizer = optimizers.make("adagrad", 0.1, "float16")
    table = keras.Variable(START)
    optimizer.build([table])
    scale = float(optimizer.scale_loss(1.0))
    optimizer.apply([tf.IndexedSlices(ROWS * np.float32(np.inf), IDS)], [table])
    np.testing.assert_array_equal(table.numpy(), START)
    assert float(optimizer.scale_loss(1.0)) == scale / 2
    optimizer.apply([tf.IndexedSlices(ROWS * scale / 2, IDS)], [table])
    np.testing.assert_allclose(table.numpy(), updated(optimizers.RowAdagrad(0.1)), rtol=1e-5)


def test_the_learning_rate_rises_and_falls():
    schedule = optimizers.LinearDecay(0.1, 0.01, tf.Variable(50, dtype=tf.int64), epochs=2, warmup_steps=4)
    rates = [float(schedule(step)) for step in (0, 1, 3, 4, 50, 99, 1000)]
    np.testing.assert_allclose(rates, [0.025, 0.05, 0.1, 0.096, 0.05, 0.01, 0.01], rtol=1e-6)
    again = optimizers.LinearDecay(**schedule.get_config())
    assert float(again(50)) == pytest.approx(0.05)


@pytest.mark.parametrize("name", ["sgd", "adagrad", "adam"])
def test_a_layer_can_have_its_own_share_of_the_learning_rate(name):
    """A layer with a share of 3 moves as far as without at 3 times the rate; the other one as ever."""

    def moved(rate, shares):
        tables = [keras.layers.Embedding(5, 2, "zeros", name=layer) for layer in ("bias", "context")]
        for table in tables:
            table.build()
        variables = [table.embeddings for table in tables]
        optimizer = optimizers.make(name, rate, rate_shares=shares)
        optimizer.build(variables)
        scale = float(optimizer.scale_loss(1.0))
        optimizer.apply([tf.IndexedSlices(scale * ROWS, IDS)] * 2, variables)
        return [variable.numpy() for variable in variables]

    bias, context = moved(0.1, {"bias": 3.0})
    np.testing.assert_allclose(bias, moved(0.3, None)[0], rtol=1e-6)
    np.testing.assert_allclose(context, moved(0.1, None)[1], rtol=1e-6)
    again = type(optimizers.make(name, 0.1)).from_config(
        optimizers.make(name, 0.1, rate_shares={"bias": 3.0}).get_config()
    )
    assert again._rate_shares == {"bias": 3.0}
