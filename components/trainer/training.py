"""The training loop: epochs over the blocks, a falling learning rate, progress, and checkpoints to go on from."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import tensorflow as tf
from absl import logging

from components import progress
from components.errors import UserError
from components.trainer.blocks import Blocks
from components.trainer.model import SkipGram, StepResult

EpochBlocks = Callable[[int], tf.data.Dataset]


class Schedule(NamedTuple):
    """How long to train, and how fast.

    Attributes:
        epochs: passes over the pairs.
        learning_rate: at the start; it falls linearly with the positions trained on.
        min_learning_rate: it never falls below this.
        steps_per_call: steps that TensorFlow does before Python looks at the clock.
        checkpoint_seconds: the time between two checkpoints.
    """

    epochs: int
    learning_rate: float
    min_learning_rate: float
    steps_per_call: int
    checkpoint_seconds: float


class Training:
    """Trains a model under a strategy, from its newest checkpoint if there is one.

    Args:
        model: made in the strategy's scope.
        strategy: trains it.
        schedule: how long and how fast.
        epoch_positions: about how many positions an epoch has; the first epoch counts them.
        words_per_position: words of the text for each position that subsampling kept, for the speed that is told.
        checkpoints: the folder of the checkpoints; they hold all that the result depends on.
        logs: the folder of the TensorBoard logs.
    """

    def __init__(
        self,
        model: SkipGram,
        strategy: tf.distribute.Strategy,
        schedule: Schedule,
        *,
        epoch_positions: float,
        words_per_position: float,
        checkpoints: str,
        logs: str,
    ):
        self._model, self._strategy, self._schedule = model, strategy, schedule
        self._words_per_position = words_per_position
        self._step = tf.Variable(0, dtype=tf.int64)
        self._epoch = tf.Variable(0, dtype=tf.int64)
        self._step_in_epoch = tf.Variable(0, dtype=tf.int64)
        self._positions = tf.Variable(0, dtype=tf.int64)
        self._epoch_positions = tf.Variable(max(epoch_positions, 1.0), dtype=tf.float64)
        state = {
            "target": model.target.value,
            "context": model.context.value,
            "bias": model.bias.value,
            "step": self._step,
            "epoch": self._epoch,
            "step_in_epoch": self._step_in_epoch,
            "positions": self._positions,
            "epoch_positions": self._epoch_positions,
        }
        self._checkpoints = tf.train.CheckpointManager(tf.train.Checkpoint(**state), checkpoints, max_to_keep=1)
        self._writer = tf.summary.create_file_writer(logs)

    def run(self, epoch_blocks: EpochBlocks) -> None:
        """Trains until the last epoch is done.

        Args:
            epoch_blocks: makes the dataset of `Blocks` for an epoch, counted from 0; always the same for the same
                epoch.

        Raises:
            UserError: the loss is no longer a number, or there is not a single pair.
        """
        if self._checkpoints.restore_or_initialize():
            logging.info("Going on from the checkpoint at step %d.", int(self._step))
        self._started, self._positions_before = time.perf_counter(), int(self._positions)
        saved = time.perf_counter()
        while (epoch := int(self._epoch)) < self._schedule.epochs:
            iterator = iter(self._distribute(epoch_blocks(epoch), int(self._step_in_epoch)))
            for result in self._calls(iterator):
                self._tell(result)
                if time.perf_counter() - saved > self._schedule.checkpoint_seconds:
                    self._checkpoints.save(int(self._step))
                    saved = time.perf_counter()
            self._epoch.assign_add(1)
            self._step_in_epoch.assign(0)
            self._epoch_positions.assign(tf.cast(self._positions, tf.float64) / tf.cast(self._epoch, tf.float64))
        if not int(self._positions):
            raise UserError(
                "there is not a single skip-gram pair: no document has two words of the vocabulary. "
                "Give more text, or lower skipgram.min_count or raise skipgram.subsampling"
            )
        self._checkpoints.save(int(self._step))

    def _distribute(self, blocks: tf.data.Dataset, done: int) -> tf.data.Dataset:
        replicas = self._strategy.num_replicas_in_sync
        return self._strategy.distribute_datasets_from_function(lambda context: blocks.skip(done * replicas))

    def _calls(self, iterator: Iterator[Blocks]) -> Iterator[StepResult]:
        """Yields the sums over each call's steps, until the iterator is at its end."""
        more = True
        while more:
            result, more = self._train_steps(iterator)
            yield StepResult(*(value.numpy() for value in result))

    @tf.function(reduce_retracing=True)
    def _train_steps(self, iterator: Iterator[Blocks]) -> tuple[StepResult, tf.Tensor]:
        """Several steps in one call: their sums, and whether there may be more.

        In one call, so that Python's share of the time is none.
        """
        total = StepResult(tf.constant(0.0), tf.constant(0, tf.int64), tf.constant(0, tf.int64))
        done, more = tf.constant(0), tf.constant(True)
        while done < self._schedule.steps_per_call and more:
            blocks = iterator.get_next_as_optional()
            more = blocks.has_value()
            if more:
                result = self._strategy.run(
                    self._model.train_on_blocks, args=(Blocks(*blocks.get_value()), self.learning_rate(), self._step)
                )
                sums = StepResult(*(self._strategy.reduce("SUM", value, axis=None) for value in result))
                total = StepResult(total.loss + sums.loss, total.pairs + sums.pairs, total.positions + sums.positions)
                self._step.assign_add(1)
                self._step_in_epoch.assign_add(1)
                self._positions.assign_add(sums.positions)
                done += 1
        return total, more

    def learning_rate(self) -> tf.Tensor:
        """The learning rate now: float []."""
        share = tf.cast(self._positions, tf.float64) / (self._epoch_positions * self._schedule.epochs)
        rate = self._schedule.learning_rate * (1 - share)
        return tf.cast(tf.maximum(rate, self._schedule.min_learning_rate), tf.float32)

    def _tell(self, result: StepResult) -> None:
        if not result.pairs:
            return
        loss = float(result.loss / result.pairs)
        if not math.isfinite(loss):
            raise UserError(
                f"training diverged: the loss is {loss} at step {int(self._step):,}. "
                f"Lower trainer.learning_rate (now {self._schedule.learning_rate}) "
                f"or trainer.blocks_per_step, or raise trainer.shared_negatives; then run again"
            )
        seconds = time.perf_counter() - self._started
        positions = int(self._positions) - self._positions_before
        share = min(int(self._positions) / float(self._epoch_positions * self._schedule.epochs), 1.0)
        left = float(self._epoch_positions) * self._schedule.epochs - int(self._positions)
        speed = positions * self._words_per_position / seconds
        progress.tell(
            progress.TrainingProgress(
                share,
                int(self._step),
                int(self._epoch) + 1,
                self._schedule.epochs,
                speed,
                loss,
                max(left, 0) * seconds / positions,
            )
        )
        with self._writer.as_default(step=int(self._step)):
            tf.summary.scalar("loss", loss)
            tf.summary.scalar("learning_rate", self.learning_rate())
            tf.summary.scalar("words_per_second", speed)


def mean_loss(model: SkipGram, blocks: tf.data.Dataset) -> float:
    """The mean loss over all pairs of a dataset of `Blocks`, always with the same noise."""

    @tf.function(reduce_retracing=True)
    def total() -> tuple[tf.Tensor, tf.Tensor]:
        loss, pairs = tf.constant(0.0, tf.float64), tf.constant(0, tf.int64)
        for step, batch in blocks.enumerate():
            result = model.loss_on_blocks(Blocks(*batch), step)
            loss += tf.cast(result.loss, tf.float64)
            pairs += result.pairs
        return loss, pairs

    loss, pairs = total()
    return float(loss) / max(int(pairs), 1)
