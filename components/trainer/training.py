"""The training loop: epochs over the blocks, a falling learning rate, progress, and checkpoints to go on from."""

from __future__ import annotations

import concurrent.futures
import math
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from absl import logging

from components import progress
from components.errors import UserError
from components.trainer import strategies
from components.trainer.blocks import Batch, Blocks
from components.trainer.checkpoints import Checkpoints, plain_message
from components.trainer.model import SkipGram, StepResult

EpochBatches = Callable[[int], tf.data.Dataset]

# The loss is measured at one step in so many: measuring it costs an eighth of a step.
MEASURED_EVERY = 16


class Schedule(NamedTuple):
    """How long to train, and how.

    Attributes:
        epochs: passes over the pairs.
        steps_per_call: steps that TensorFlow does before Python looks at the clock.
        checkpoint_seconds: the time between two checkpoints.
        deterministic: one exact stream of steps, also where several would be faster.
    """

    epochs: int
    steps_per_call: int
    checkpoint_seconds: float
    deterministic: bool


class Call(NamedTuple):
    """What the steps of one call did: their sums, the seconds they waited for data, and whether there may be more."""

    done: StepResult
    waited: tf.Tensor
    more: tf.Tensor


class Training:
    """Trains a model under a strategy, from its newest checkpoint if there is one.

    Args:
        model: made in the strategy's scope, and compiled.
        strategy: trains it.
        schedule: how long and how.
        epoch_steps: int64 variable, about how many steps an epoch has; the first epoch counts them.
        words_per_position: words of the text for each position that subsampling kept, for the speed that is told.
        checkpoints: hold all that the result depends on.
        logs: the folder of the TensorBoard logs; None for none.
    """

    def __init__(
        self,
        model: SkipGram,
        strategy: tf.distribute.Strategy,
        schedule: Schedule,
        *,
        epoch_steps: tf.Variable,
        words_per_position: float,
        checkpoints: Checkpoints,
        logs: str | None,
    ):
        self._model, self._strategy, self._schedule = model, strategy, schedule
        self._words_per_position = words_per_position
        self._streams = strategies.streams(strategy, deterministic=schedule.deterministic)
        self._epoch_steps = epoch_steps
        self._steps, self._epoch, self._step_in_epoch, self._positions = (
            tf.Variable(0, dtype=tf.int64) for _ in range(4)
        )
        self._checkpoints = checkpoints
        self._checkpoints.track(
            {
                **{table.name: table.embeddings.value for table in model.tables},
                "optimizer": _all([variable.value for variable in model.optimizer.variables]),
                "sampler": _all(model.sampler.variables),
                "steps": self._steps,
                "epoch": self._epoch,
                "step_in_epoch": self._step_in_epoch,
                "positions": self._positions,
                "epoch_steps": epoch_steps,
            }
        )
        self._writer = tf.summary.create_file_writer(logs) if logs else tf.summary.create_noop_writer()

    @property
    def steps(self) -> int:
        """The steps done."""
        return int(self._steps)

    def run(self, epoch_batches: EpochBatches) -> None:
        """Trains until the last epoch is done.

        Args:
            epoch_batches: makes the dataset of `Batch`es for an epoch, counted from 0; always the same for the same
                epoch.

        Raises:
            UserError: the loss is no longer a number, there is not a single pair, a checkpoint can't be written or
                read, or another worker has gone.
        """
        if self._checkpoints.restore():
            logging.info("Going on from the checkpoint at step %d.", self.steps)
        self._started, self._positions_before = time.perf_counter(), int(self._positions)
        saved = time.perf_counter()
        try:
            while (epoch := int(self._epoch)) < self._schedule.epochs:
                batches = epoch_batches(epoch).skip(int(self._step_in_epoch)).batch(self._schedule.steps_per_call)
                for call in self._rounds(iter(strategies.distribute(self._strategy, batches.prefetch(8)))):
                    self._tell(call)
                    self._model.sampler.refresh()
                    if time.perf_counter() - saved > self._schedule.checkpoint_seconds:
                        self._checkpoints.save(self.steps)
                        saved = time.perf_counter()
                self._end_epoch()
        except (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError) as error:
            raise UserError(
                f"training stopped at step {self.steps:,}: another worker has gone ({plain_message(error)}). "
                "Start all workers again with the same command: they go on from the last checkpoint"
            ) from None
        self._checkpoints.save(self.steps)

    def _end_epoch(self) -> None:
        if not int(self._positions):
            raise UserError(
                "there is not a single skip-gram pair: no document has two words of the vocabulary. "
                "Give more text, or lower skipgram.min_count or raise skipgram.subsampling"
            )
        self._epoch_steps.assign(self._step_in_epoch)
        self._epoch.assign_add(1)
        self._step_in_epoch.assign(0)

    def _rounds(self, iterator: Iterator[Batch]) -> Iterator[Call]:
        """Yields what all streams together did in a call each, until the iterator is at its end.

        Between two rounds nothing runs: that is when it may be looked at and saved.
        """
        with concurrent.futures.ThreadPoolExecutor(self._streams) as pool:
            more = True
            while more:
                if self._streams == 1:
                    calls = [self._train_steps(iterator)]
                else:
                    calls = list(pool.map(lambda _: self._train_steps(iterator), range(self._streams)))
                    # Keras reads, adds and writes: two streams at the same time count only once.
                    self._model.optimizer.iterations.assign(self._steps)
                calls = [tf.nest.map_structure(lambda x: x.numpy(), call) for call in calls]
                more = all(call.more for call in calls)
                sums = StepResult(*(sum(values) for values in zip(*(call.done for call in calls), strict=True)))
                yield Call(sums, np.mean([call.waited for call in calls]), more)

    @tf.function(reduce_retracing=True)
    def _train_steps(self, iterator: Iterator[Batch]) -> Call:
        """The steps of one element, in one call, so that Python's share of the time is none.

        They end early when the loss is no longer a number.
        """
        asked = tf.timestamp()
        with tf.control_dependencies([asked]):
            following = iterator.get_next_as_optional()
            more = following.has_value()
        with tf.control_dependencies([more]):
            waited = tf.timestamp() - asked
        total = StepResult(tf.constant(0.0), tf.constant(0.0), tf.constant(0, tf.int64))
        if more:
            stack = following.get_value()
            steps = tf.size(self._strategy.experimental_local_results(stack[0])[0])
            done = tf.constant(0)
            while done < steps and tf.math.is_finite(total.loss):
                measure = (done % MEASURED_EVERY == 0) | (done == steps - 1)
                result = self._strategy.run(self._train_step, args=(stack, done, measure))
                sums = (self._strategy.reduce("SUM", value, axis=None) for value in result)
                total = StepResult(*(a + b for a, b in zip(total, sums, strict=True)))
                done += 1
            self._steps.assign_add(tf.cast(done, tf.int64))
            self._step_in_epoch.assign_add(tf.cast(done, tf.int64))
            self._positions.assign_add(total.positions)
        return Call(total, waited, more)

    def _train_step(self, stack: Batch, place: tf.Tensor, measure: tf.Tensor) -> StepResult:
        """One step, of the batches that are stacked in an element."""
        batch = tf.nest.map_structure(lambda stacked: stacked[place], stack)
        return self._model.train_on_batch_of_blocks(_batch(batch), measure)

    def _tell(self, call: Call) -> None:
        if not call.done.pairs:
            return
        loss = float(call.done.loss / call.done.pairs)
        learning_rate = float(self._model.optimizer.learning_rate)
        if not math.isfinite(loss):
            raise UserError(
                f"training diverged: the loss is {loss} at step {self.steps:,}, with a learning rate of "
                f"{learning_rate:.4g}. Lower trainer.learning_rate or trainer.blocks_per_step, or raise "
                f"trainer.shared_negatives; then run again. The last checkpoint, from before, is left as it was"
            )
        seconds = time.perf_counter() - self._started
        positions = int(self._positions) - self._positions_before
        share = min(self.steps / (int(self._epoch_steps) * self._schedule.epochs), 1.0)
        speed = positions * self._words_per_position / seconds
        done_before = self._positions_before / max(int(self._positions), 1) * share
        left = (1 - share) * seconds / max(share - done_before, 1e-9)
        progress.tell(
            progress.TrainingProgress(
                share,
                self.steps,
                int(self._epoch) + 1,
                self._schedule.epochs,
                speed,
                loss,
                learning_rate,
                left,
                float(call.waited),
            )
        )
        with self._writer.as_default(step=self.steps):
            tf.summary.scalar("loss", loss)
            tf.summary.scalar("learning_rate", learning_rate)
            tf.summary.scalar("words_per_second", speed)


def mean_loss(model: SkipGram, batches: tf.data.Dataset) -> float:
    """The mean loss over all pairs of a dataset of `Batch`es, always with the same noise."""

    @tf.function(reduce_retracing=True)
    def total() -> tuple[tf.Tensor, tf.Tensor]:
        loss, pairs = tf.constant(0.0, tf.float64), tf.constant(0.0, tf.float64)
        for batch in batches:
            result = model.loss_on_batch_of_blocks(_batch(batch))
            loss += tf.cast(result.loss, tf.float64)
            pairs += tf.cast(result.pairs, tf.float64)
        return loss, pairs

    loss, pairs = total()
    return float(loss) / max(float(pairs), 1e-9)


def _all(variables: list[tf.Variable]) -> tf.train.Checkpoint:
    return tf.train.Checkpoint(**{str(place): variable for place, variable in enumerate(variables)})


def _batch(structure: tuple) -> Batch:
    """tf.data keeps the types of named tuples; distributed iterators do not."""
    step, blocks = structure
    return Batch(step, Blocks(*blocks))
