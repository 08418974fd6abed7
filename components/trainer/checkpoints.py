"""Checkpoints of a training: all that its result depends on, to go on from after an interruption."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from components.errors import UserError

TABLES = ("target", "context", "bias")


def key(name: str) -> str:
    """The key of a variable in a checkpoint."""
    return f"{name}/.ATTRIBUTES/VARIABLE_VALUE"


def plain_message(error: Exception) -> str:
    """The first line of TensorFlow's message, without the names of its operations."""
    text = getattr(error, "message", str(error)).strip().splitlines()[0]
    return re.sub(r"\{\{.*?\}\}\s*|\s*\[Op:.*", "", text)


class Checkpoints:
    """The newest checkpoint in a folder. Of several workers all read, and the chief alone writes.

    Args:
        folder: where they are.
        vocabulary: a fingerprint of the words, which a checkpoint must share.
        writes: whether this process is the one that writes.
    """

    def __init__(self, folder: str, *, vocabulary: str = "", writes: bool = True):
        self._folder, self._writes = folder, writes
        self._vocabulary = tf.Variable(vocabulary, dtype=tf.string)
        self._checkpoint: tf.train.Checkpoint | None = None

    def track(self, state: Mapping[str, Any]) -> None:
        """Says what a checkpoint holds: trackable objects by name."""
        self._checkpoint = tf.train.Checkpoint(**state, vocabulary=self._vocabulary)
        self._manager = tf.train.CheckpointManager(self._checkpoint, self._folder, max_to_keep=1)

    def restore(self) -> bool:
        """Takes over the newest checkpoint's values, if there is one.

        Raises:
            UserError: it is of another vocabulary or of other shapes.
        """
        path = self._manager.latest_checkpoint
        if path is None:
            return False
        self._check(path)
        self._checkpoint.restore(path).assert_existing_objects_matched()
        return True

    def _check(self, path: str) -> None:
        reader = tf.train.load_checkpoint(path)
        words = reader.get_tensor(key("vocabulary")).decode()
        if words != self._vocabulary.numpy().decode():
            raise UserError(
                f"{path}: the checkpoint is of another vocabulary. Remove {self._folder}, or train elsewhere"
            )
        shapes = reader.get_variable_to_shape_map()
        for name in TABLES:
            table = getattr(self._checkpoint, name, None)
            if table is not None and shapes.get(key(name)) != list(table.shape):
                raise UserError(
                    f"{path}: the checkpoint's {name} vectors are of the shape {shapes.get(key(name))}, expected "
                    f"{list(table.shape)}. Set trainer.dimensions back, or remove {self._folder}"
                )

    def save(self, step: int) -> None:
        """Writes a checkpoint, and only then removes the one before.

        Raises:
            UserError: it can't be written; the one before is still there.
        """
        if not self._writes:
            return
        before = self._manager.latest_checkpoint
        try:
            self._manager.save(step)
        except (tf.errors.OpError, OSError) as error:
            for path in tf.io.gfile.glob(os.path.join(self._folder, f"ckpt-{step}*")):
                (tf.io.gfile.rmtree if tf.io.gfile.isdir(path) else tf.io.gfile.remove)(path)
            kept = f"the last good one is {os.path.basename(before)}" if before else "there is none yet"
            raise UserError(
                f"{self._folder}: the checkpoint at step {step:,} could not be written: "
                f"{plain_message(error)}. Free some space and run the same command again; {kept}"
            ) from None
