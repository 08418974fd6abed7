"""The training loop: epochs over the pairs, progress, and checkpoints to go on from."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, Protocol

import tensorflow as tf
from absl import logging

from word2vec import progress
from word2vec.errors import UserError
from word2vec.training.blocks import Batch, Blocks
from word2vec.training.checkpoints import Checkpoints, plain_message
from word2vec.training.model import Word2Vec


class DivergedError(UserError):
    """The loss is no longer a number."""


class Schedule(NamedTuple):
    """How long to train.

    Attributes:
        epochs: passes over the pairs.
        checkpoint_seconds: the time between two checkpoints.
    """

    epochs: int
    checkpoint_seconds: float


class Round(NamedTuple):
    """What was done between two looks at the clock.

    Attributes:
        steps: how many updates.
        loss: the sum over the pairs of the steps that were measured.
        pairs: what the loss was summed over; 0 if no step was measured.
        positions: how many positions it trained on.
        waited: the seconds that a stream waited for data.
    """

    steps: int
    loss: float
    pairs: float
    positions: int
    waited: float


class Steps(Protocol):
    """What trains a model: `tensorflow_steps.TensorFlowSteps` or `compiled_steps.CompiledSteps`."""

    def rounds(self, data: Any, *, skip: int, done: int) -> Iterator[Round]:
        """Trains on the rest of an epoch. Between two rounds nothing runs: the model may be looked at and saved.

        The optimizer's iterations, which the learning rate follows, are those of all steps then.

        Args:
            data: of the epoch.
            skip: steps of it that were done before.
            done: steps of the whole training that were done before.
        """


class Training:
    """Trains a model, from its newest checkpoint if there is one.

    Args:
        model: compiled.
        steps: train it.
        schedule: how long.
        epoch_steps: int64 variable, about how many steps an epoch has; the first epoch counts them.
        words_per_position: words of the text for each position that subsampling kept, for the speed that is shown.
        checkpoints: hold all that the result depends on.
        logs: the folder of the TensorBoard logs; None for none.
        workers: how many have tables of their own, and make each step together.
    """

    def __init__(
        self,
        model: Word2Vec,
        steps: Steps,
        schedule: Schedule,
        *,
        epoch_steps: tf.Variable,
        words_per_position: float,
        checkpoints: Checkpoints,
        logs: str | None,
        workers: int = 1,
    ):
        self._workers, self._steps_of = workers, tf.Variable(workers, dtype=tf.int64)
        self._model, self._how, self._schedule = model, steps, schedule
        self._words_per_position = words_per_position
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
                "workers": self._steps_of,
                "epoch_steps": epoch_steps,
            }
        )
        self._writer = tf.summary.create_file_writer(logs) if logs else tf.summary.create_noop_writer()

    @property
    def steps(self) -> int:
        """The steps done."""
        return int(self._steps)

    def run(self, of_epoch: Callable[..., Any]) -> None:
        """Trains until the last epoch is done.

        Args:
            of_epoch: makes the data for an `epoch`, counted from 0; always the same for the same epoch.

        Raises:
            DivergedError: the loss is no longer a number.
            UserError: there is not a single pair, a checkpoint can't be written or read, or another worker has gone.
        """
        if self._checkpoints.restore():
            self._count_as_before()
            logging.info("Going on from the checkpoint at step %d.", self.steps)
        self._started, self._positions_before = time.perf_counter(), int(self._positions)
        saved = time.perf_counter()
        try:
            while (epoch := int(self._epoch)) < self._schedule.epochs:
                for done in self._how.rounds(of_epoch(epoch=epoch), skip=int(self._step_in_epoch), done=self.steps):
                    self._count(done)
                    self._tell(done)
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

    def _count_as_before(self) -> None:
        """Goes on at the same part of an epoch, if there are more or fewer workers than at the checkpoint.

        Then some documents are left out in this epoch, and others come twice.
        """
        before = int(self._steps_of)
        if before == self._workers:
            return
        counts = self._steps, self._step_in_epoch, self._epoch_steps, self._model.optimizer.iterations
        for count in counts:
            count.assign(int(count) * before // self._workers)
        self._steps_of.assign(self._workers)
        progress.note(f"goes on with {self._workers} workers in the place of {before}")

    def _count(self, done: Round) -> None:
        self._steps.assign_add(done.steps)
        self._step_in_epoch.assign_add(done.steps)
        self._positions.assign_add(done.positions)

    def _end_epoch(self) -> None:
        if not int(self._positions):
            raise UserError(
                "there is not a single skip-gram pair: no document has two words of the vocabulary. "
                "Give more text, or lower skipgram.min_count or raise skipgram.subsampling"
            )
        self._epoch_steps.assign(self._step_in_epoch)
        self._epoch.assign_add(1)
        self._step_in_epoch.assign(0)

    def _tell(self, done: Round) -> None:
        if not done.pairs:
            return
        loss = float(done.loss / done.pairs)
        learning_rate = float(self._model.optimizer.learning_rate)
        if not math.isfinite(loss):
            raise DivergedError(
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
                float(done.waited),
            )
        )
        with self._writer.as_default(step=self.steps):
            tf.summary.scalar("loss", loss)
            tf.summary.scalar("learning_rate", learning_rate)
            tf.summary.scalar("words_per_second", speed)


def mean_loss(model: Word2Vec, batches: tf.data.Dataset) -> float:
    """The mean loss over all pairs of a dataset of `Batch`es, always with the same noise."""

    @tf.function(reduce_retracing=True)
    def total() -> tuple[tf.Tensor, tf.Tensor]:
        loss, pairs = tf.constant(0.0, tf.float64), tf.constant(0.0, tf.float64)
        for batch in batches:
            result = model.loss_on_batch_of_blocks(as_batch(batch))
            loss += tf.cast(result.loss, tf.float64)
            pairs += tf.cast(result.pairs, tf.float64)
        return loss, pairs

    loss, pairs = total()
    return float(loss) / max(float(pairs), 1e-9)


def _all(variables: list[tf.Variable]) -> tf.train.Checkpoint:
    return tf.train.Checkpoint(**{str(place): variable for place, variable in enumerate(variables)})


def as_batch(structure: tuple[tf.Tensor, Iterable[tf.Tensor]]) -> Batch:
    """tf.data keeps the types of named tuples; distributed iterators do not."""
    step, blocks = structure
    return Batch(step, Blocks(*blocks))
