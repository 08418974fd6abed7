"""Steps of the TensorFlow model: on GPUs, under every strategy, and for what the compiled kernel does not do."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from word2vec.training import strategies, training
from word2vec.training.blocks import Batch
from word2vec.training.model import StepResult, Word2Vec

# The loss is measured at one step in so many: measuring it costs an eighth of a step.
MEASURED_EVERY = 16


class Call(NamedTuple):
    """What the steps of one call did: their number and sums, the seconds waited for data, and whether to go on."""

    steps: tf.Tensor
    done: StepResult
    waited: tf.Tensor
    more: tf.Tensor


class TensorFlowSteps:
    """Trains a model under a strategy; see `training.Steps`.

    Args:
        model: made in the strategy's scope, and compiled.
        strategy: trains it.
        streams: how many streams of steps train at the same time.
        steps_per_call: steps that TensorFlow does before Python looks at the clock.
    """

    def __init__(self, model: Word2Vec, strategy: tf.distribute.Strategy, *, streams: int, steps_per_call: int):
        self._model, self._strategy = model, strategy
        self._streams, self._steps_per_call = streams, steps_per_call

    def rounds(self, data: tf.data.Dataset, *, skip: int, done: int) -> Iterator[training.Round]:
        """See `training.Steps`; the data are `Batch`es."""
        stacks = data.skip(skip).batch(self._steps_per_call).prefetch(8)
        iterator = iter(strategies.distribute(self._strategy, stacks))
        with concurrent.futures.ThreadPoolExecutor(self._streams) as pool:
            more = True
            while more:
                if self._streams == 1:
                    calls = [self.train_steps(iterator)]
                else:
                    calls = list(pool.map(lambda _: self.train_steps(iterator), range(self._streams)))
                calls = [tf.nest.map_structure(lambda x: x.numpy(), call) for call in calls]
                more = all(call.more for call in calls)
                sums = StepResult(*(sum(values) for values in zip(*(call.done for call in calls), strict=True)))
                steps, waited = int(sum(call.steps for call in calls)), float(np.mean([call.waited for call in calls]))
                done += steps
                if self._streams > 1:
                    # Keras reads, adds and writes: two streams at the same time count only once.
                    self._model.optimizer.iterations.assign(done)
                yield training.Round(steps, float(sums.loss), float(sums.pairs), int(sums.positions), waited)

    @tf.function(reduce_retracing=True)
    def train_steps(self, iterator: tf.data.Iterator | tf.distribute.DistributedIterator) -> Call:
        """The steps of one element, in one call, so that Python's share of the time is none.

        They end early when the loss is no longer a number.
        """
        asked = tf.timestamp()
        with tf.control_dependencies([asked]):
            following = iterator.get_next_as_optional()
            more = following.has_value()
        with tf.control_dependencies([more]):
            waited = tf.timestamp() - asked
        total, done = StepResult(tf.constant(0.0), tf.constant(0.0), tf.constant(0, tf.int64)), tf.constant(0)
        if more:
            stack = following.get_value()
            steps = tf.size(self._strategy.experimental_local_results(stack[0])[0])
            while done < steps and tf.math.is_finite(total.loss):
                measure = (done % MEASURED_EVERY == 0) | (done == steps - 1)
                result = self._strategy.run(self._train_step, args=(stack, done, measure))
                sums = (self._strategy.reduce("SUM", value, axis=None) for value in result)
                total = StepResult(*(a + b for a, b in zip(total, sums, strict=True)))
                done += 1
        return Call(done, total, waited, more)

    def _train_step(self, stack: Batch, place: tf.Tensor, measure: tf.Tensor) -> StepResult:
        """One step, of the batches that are stacked in an element."""
        batch = tf.nest.map_structure(lambda stacked: stacked[place], stack)
        return self._model.train_on_batch_of_blocks(training.as_batch(batch), measure)
