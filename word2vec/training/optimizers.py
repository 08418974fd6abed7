"""Keras optimizers for tables of which a step touches a few rows: what an update costs is O(rows touched).

They take gradients as `tf.IndexedSlices` and, like every Keras optimizer, work under every `tf.distribute` strategy,
which hands all replicas' rows to each replica.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from word2vec import settings

# Slots to look for repeated ids in: a power of 2, more than a step has ids, and few enough for the cache.
_SLOTS = 2**14


class LinearDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Rises from 0 over the first steps, then falls linearly, as word2vec's does.

    Args:
        initial: the learning rate after the warm-up.
        minimum: it never falls below this.
        epoch_steps: int64 [], of an epoch; a variable, if the number becomes known while training.
        epochs: after so many it would reach 0.
        warmup_steps: how many steps it rises; 0 for none.
    """

    def __init__(
        self, initial: float, minimum: float, epoch_steps: tf.Variable | int, *, epochs: int = 1, warmup_steps: int = 0
    ):
        self.initial, self.minimum, self.epoch_steps = initial, minimum, epoch_steps
        self.epochs, self.warmup_steps = epochs, warmup_steps

    def __call__(self, step: Any) -> tf.Tensor:
        """The learning rate of a step, counted from 0: float32 []."""
        step = tf.cast(step, tf.float64)
        falling = self.initial * (1 - step / (self.epochs * tf.cast(self.epoch_steps, tf.float64)))
        rising = self.initial * (step + 1) / max(self.warmup_steps, 1)
        return tf.cast(tf.maximum(tf.where(step < self.warmup_steps, rising, falling), self.minimum), tf.float32)

    def get_config(self) -> dict[str, Any]:
        """Keras' own; `epoch_steps` as it is now."""
        return {
            "initial": self.initial,
            "minimum": self.minimum,
            "epoch_steps": int(self.epoch_steps),
            "epochs": self.epochs,
            "warmup_steps": self.warmup_steps,
        }


class _RowOptimizer(keras.optimizers.Optimizer):
    """What these optimizers have in common.

    Args:
        rate_shares: by the name of a layer, what its learning rate is of all others' (1 where none is named).
    """

    def __init__(self, *, rate_shares: Mapping[str, float] | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self._rate_shares = dict(rate_shares or {})

    def rate_share(self, variable: keras.Variable | tf.Variable) -> float:
        """What a variable's learning rate is of the optimizer's."""
        path = self._trainable_variables[self._get_variable_index(variable)].path
        return next((share for layer, share in self._rate_shares.items() if layer in path.split("/")[:-1]), 1.0)

    def get_config(self) -> dict[str, Any]:
        """Keras' own."""
        return {**super().get_config(), "rate_shares": self._rate_shares}


class SGD(_RowOptimizer):
    """Plain stochastic gradient descent on the rows: `w -= learning_rate * g`.

    Args:
        learning_rate: a number or schedule.
        scales_loss: `scale_loss` multiplies by the learning rate, and the update is `w -= g`: the same, at a few
            products per pair instead of one for each number of each row. Whoever computes the gradients must then use
            `scale_loss`, as Keras' own training step does.
        name: Keras' own.
    """

    def __init__(self, learning_rate: Any, *, scales_loss: bool = False, name: str = "sgd", **kwargs: Any):
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        self._scales_loss = scales_loss

    def scale_loss(self, loss: Any) -> Any:
        """What the gradients must be computed of."""
        return super().scale_loss(loss * self.learning_rate if self._scales_loss else loss)

    def update_step(self, gradient: Any, variable: tf.Variable, learning_rate: Any) -> None:
        """See the class; repeated ids add up."""
        rows = _as_rows(gradient)
        values = self.rate_share(variable) * (rows.values if self._scales_loss else learning_rate * rows.values)
        # Adding to rows in place waits for each from memory; reading many, subtracting and writing them back does not,
        # and takes less than half the time. It can count an id once, so that only the others are added in place.
        once, again = _once_and_again(rows.indices)
        ids = tf.gather(rows.indices, once)
        with tf.control_dependencies([values]):  # as late as can be, for other streams write to the rows too
            before = tf.gather(variable, ids)
        moved = before - tf.gather(values, once)
        with tf.control_dependencies([variable.scatter_update(tf.IndexedSlices(moved, ids))]):
            variable.scatter_nd_sub(tf.gather(rows.indices, again)[:, tf.newaxis], tf.gather(values, again))

    def get_config(self) -> dict[str, Any]:
        """Keras' own."""
        return {**super().get_config(), "scales_loss": self._scales_loss}


class RowAdagrad(_RowOptimizer):
    """Adagrad (Duchi et al. 2011) with one accumulator per row: the sum of the mean squares of its gradients.

    `a += mean(g^2)`, `w -= learning_rate * g / (sqrt(a) + epsilon)`, with a row's gradients in a step summed before.

    Args:
        learning_rate: a number or schedule.
        initial_accumulator_value: where each accumulator starts.
        epsilon: keeps the division from zero.
        name: Keras' own.
    """

    def __init__(
        self,
        learning_rate: Any = 0.1,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        name: str = "row_adagrad",
        **kwargs: Any,
    ):
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        self._initial, self._epsilon = initial_accumulator_value, epsilon

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Makes the accumulators: float32 [rows], one per table."""
        if self.built:
            return
        super().build(variables)
        self.accumulators = [
            self.add_variable(
                (variable.shape[0],),
                name=f"{variable.name}_accumulator",
                initializer=keras.initializers.Constant(self._initial),
            )
            for variable in variables
        ]

    def update_step(self, gradient: Any, variable: tf.Variable, learning_rate: Any) -> None:
        """See the class."""
        rows = _distinct(_as_rows(gradient))
        accumulator = self.accumulators[self._get_variable_index(variable)]
        grown = tf.gather(accumulator.value, rows.indices) + tf.reduce_mean(tf.square(rows.values), -1)
        self.assign(accumulator, tf.IndexedSlices(grown, rows.indices))
        learning_rate *= self.rate_share(variable)
        step = rows.values * (learning_rate / (tf.sqrt(grown) + self._epsilon))[:, tf.newaxis]
        self.assign(variable, tf.IndexedSlices(tf.gather(variable, rows.indices) - step, rows.indices))

    def get_config(self) -> dict[str, Any]:
        """Keras' own."""
        return {**super().get_config(), "initial_accumulator_value": self._initial, "epsilon": self._epsilon}


class LazyAdam(_RowOptimizer):
    """Adam (Kingma and Ba 2015, arXiv 1412.6980, algorithm 1) for the rows that a step touches; the others rest.

    The bias correction counts the steps of the training, not those of the row.

    Args:
        learning_rate: a number or schedule.
        beta_1: of the first moment.
        beta_2: of the second moment.
        epsilon: keeps the division from zero.
        name: Keras' own.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        name: str = "lazy_adam",
        **kwargs: Any,
    ):
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        self._beta_1, self._beta_2, self._epsilon = beta_1, beta_2, epsilon

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Makes the moments: two moment tables per table."""
        if self.built:
            return
        super().build(variables)
        self._first, self._second = self.add_optimizer_variables(variables, ["first_moment", "second_moment"])

    def update_step(self, gradient: Any, variable: tf.Variable, learning_rate: Any) -> None:
        """See the class."""
        rows = _distinct(_as_rows(gradient))
        index = self._get_variable_index(variable)
        first = self._move(self._first[index], rows, self._beta_1)
        second = self._move(self._second[index], tf.IndexedSlices(tf.square(rows.values), rows.indices), self._beta_2)
        time = tf.cast(self.iterations + 1, tf.float32)
        rate = learning_rate * self.rate_share(variable) * tf.sqrt(1 - self._beta_2**time) / (1 - self._beta_1**time)
        step = rate * first / (tf.sqrt(second) + self._epsilon)
        self.assign(variable, tf.IndexedSlices(tf.gather(variable, rows.indices) - step, rows.indices))

    def _move(self, moment: keras.Variable, rows: tf.IndexedSlices, beta: float) -> tf.Tensor:
        moved = beta * tf.gather(moment.value, rows.indices) + (1 - beta) * rows.values
        self.assign(moment, tf.IndexedSlices(moved, rows.indices))
        return moved

    def get_config(self) -> dict[str, Any]:
        """Keras' own."""
        return {**super().get_config(), "beta_1": self._beta_1, "beta_2": self._beta_2, "epsilon": self._epsilon}


class RowLossScale(keras.optimizers.LossScaleOptimizer):
    """Keras' dynamic loss scaling for float16, looking at the touched rows only."""

    def scale_loss(self, loss: Any) -> Any:
        """Scales for both optimizers."""
        return super().scale_loss(self.inner_optimizer.scale_loss(loss))

    def check_finite(self, grads: Sequence[tf.IndexedSlices]) -> tf.Tensor:
        """Whether all numbers in the rows are finite: bool []."""
        return tf.reduce_all([tf.reduce_all(tf.math.is_finite(gradient.values)) for gradient in grads])


def _as_rows(gradient: Any) -> tf.IndexedSlices:
    """A dense gradient is one of all rows."""
    if isinstance(gradient, tf.IndexedSlices):
        return tf.IndexedSlices(tf.convert_to_tensor(gradient.values), tf.convert_to_tensor(gradient.indices))
    return tf.IndexedSlices(gradient, tf.range(tf.shape(gradient)[0]))


def _once_and_again(ids: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Places of ids of which none repeats another, and all the other places: int64 [n1] and [n2].

    An id's place is found again by the id's last bits. Of the ids that share them only the last place counts as the
    first kind, also if they differ: that is rare, and cheaper than to look for equal ids.
    """
    slots = tf.bitwise.bitwise_and(ids, _SLOTS - 1)
    places = tf.range(tf.size(ids))
    once = tf.gather(tf.dynamic_stitch([slots], [places]), slots) == places  # of what goes to one slot, the last stays
    return tf.where(once)[:, 0], tf.where(~once)[:, 0]


def _distinct(rows: tf.IndexedSlices) -> tf.IndexedSlices:
    """Each row once, its gradients summed."""
    ids, places = tf.unique(rows.indices)
    return tf.IndexedSlices(tf.math.unsorted_segment_sum(rows.values, places, tf.size(ids)), ids)


BY_NAME: dict[settings.Optimizer, Callable[..., keras.optimizers.Optimizer]] = {
    "sgd": functools.partial(SGD, scales_loss=True),
    "adagrad": RowAdagrad,
    "adam": LazyAdam,
}


# What each keeps, in tables of the model's size; Adagrad's number per row does not count.
TABLES: dict[settings.Optimizer, int] = {"sgd": 1, "adagrad": 1, "adam": 3}


def make(
    name: settings.Optimizer,
    learning_rate: Any,
    precision: settings.Precision = "float32",
    rate_shares: Mapping[str, float] | None = None,
) -> keras.optimizers.Optimizer:
    """The optimizer of a setting; with `float16`, under loss scaling."""
    optimizer = BY_NAME[name](learning_rate, rate_shares=rate_shares)
    return RowLossScale(optimizer) if precision == "float16" else optimizer
