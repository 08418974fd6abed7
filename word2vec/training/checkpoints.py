"""Checkpoints of a training: all that its result depends on, to go on from after an interruption.

Each is a folder of its own, `step-N`, which is written beside and renamed, so that it is whole or not there. Its
manifest has the sizes of its files and the digest of TensorFlow's index, in which there is a checksum of each tensor:
what was damaged later is found before anything of it is taken. The last two are kept, for that case.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from word2vec import progress
from word2vec.errors import UserError, reason
from word2vec.saved_model_layout import key

TABLES = ("target", "context", "bias")
MANIFEST = "manifest.json"
KEPT = 2

_PREFIX = "ckpt"
_FOLDER = re.compile(r"step-(\d+)")

# A folder with such an ending is being written or removed; where nobody is at work, a kill has left it.
_NEW, _REMOVED = ".new", ".removed"

# What TensorFlow raises when it reads damaged files.
_UNREADABLE = (tf.errors.OpError, OSError, IndexError, RuntimeError, ValueError)


def plain_message(error: Exception) -> str:
    """Why something failed, without the names of TensorFlow's operations."""
    return re.sub(r"\{\{.*?\}\}\s*|\s*\[Op:.*", "", reason(error))


def damage(folder: str) -> str | None:
    """What is wrong with a checkpoint's folder, for people; None if it is whole.

    All of it is read.
    """
    try:
        sizes, digest = _manifest(folder)
        for name, size in sizes.items():
            path = os.path.join(folder, name)
            if not tf.io.gfile.exists(path):
                return f"{name} is missing"
            if (length := tf.io.gfile.stat(path).length) != size:
                return f"{name} has {length:,} bytes of {size:,}"
        if _digest(folder) != digest:
            return f"{_PREFIX}.index was changed"
        reader = tf.train.load_checkpoint(_prefix(folder))
        for name in reader.get_variable_to_shape_map():
            reader.get_tensor(name)
    except _UNREADABLE as error:
        return plain_message(error)
    return None


def remove(folder: str) -> None:
    """Removes a folder of checkpoints, or one of them: killed meanwhile, it leaves nothing that looks like one."""
    gone = folder.rstrip("/") + _REMOVED
    _remove_tree(gone)
    tf.io.gfile.rename(folder, gone)
    _remove_tree(gone)


def sweep(folder: str) -> None:
    """Removes what kills have left in a folder of checkpoints, or of such folders; nobody else may write there."""
    if not tf.io.gfile.isdir(folder):
        return
    for name in _names(folder):
        if name.endswith((_NEW, _REMOVED)):
            _remove_tree(os.path.join(folder, name))


class Checkpoints:
    """The newest checkpoints in a folder. Of several workers all read, and the chief alone writes.

    Args:
        folder: where they are.
        vocabulary: a fingerprint of the words, which a checkpoint must share.
        writes: whether this process is the one that writes.
        agree: gives all workers the chief's value; by default there are no others.
    """

    def __init__(
        self,
        folder: str,
        *,
        vocabulary: str = "",
        writes: bool = True,
        agree: Callable[[int], int] = lambda step: step,
    ):
        self.folder, self._writes, self._agree = folder, writes, agree
        self._vocabulary = tf.Variable(vocabulary, dtype=tf.string)
        self._checkpoint: tf.train.Checkpoint  # there is none until `track` is called

    def track(self, state: Mapping[str, Any]) -> None:
        """Says what a checkpoint holds: trackable objects by name."""
        self._checkpoint = tf.train.Checkpoint(**state, vocabulary=self._vocabulary)

    def restore(self) -> bool:
        """Takes over the values of the newest checkpoint that is whole, if there is one.

        Of one that is damaged a note is made, and it is removed.

        Raises:
            UserError: it is of another vocabulary or of other shapes, or this worker can't read what the chief did.
        """
        step = self._agree(self._newest_whole() if self._writes else -1)
        if step < 0:
            return False
        folder = self.path(step)
        try:
            reader = tf.train.load_checkpoint(_prefix(folder))
            self._check(folder, reader)
            self._checkpoint.read(_prefix(folder)).assert_existing_objects_matched()
        except (*_UNREADABLE, AssertionError) as error:
            raise UserError(
                f"{folder}: the checkpoint can't be taken over: {plain_message(error)}. Several workers need one "
                f"folder that all can read; else remove {self.folder}"
            ) from None
        return True

    def path(self, step: int) -> str:
        """The folder of a step's checkpoint."""
        return os.path.join(self.folder, f"step-{step}")

    def steps(self) -> list[int]:
        """The steps of which there are checkpoints, the newest last."""
        if not tf.io.gfile.isdir(self.folder):
            return []
        return sorted(int(match[1]) for name in _names(self.folder) if (match := _FOLDER.fullmatch(name)))

    def save(self, step: int) -> None:
        """Writes a checkpoint, and only then removes the one before the last.

        Raises:
            UserError: it can't be written; those before are still there.
        """
        if not self._writes:
            return
        folder = self.path(step)
        before = [other for other in self.steps() if other != step]
        try:
            self._write(folder)
        except (tf.errors.OpError, OSError) as error:
            _remove_tree(folder + _NEW)
            if len(before) >= KEPT:  # its room may be what is missing
                remove(self.path(before[0]))
                self.save(step)
                return
            kept = f"the last good one is {os.path.basename(self.path(before[-1]))}" if before else "there is none yet"
            raise UserError(
                f"{self.folder}: the checkpoint at step {step:,} could not be written: "
                f"{plain_message(error)}. Free some space and run the same command again; {kept}"
            ) from None
        for old in before[: 1 - KEPT]:
            remove(self.path(old))

    def _write(self, folder: str) -> None:
        new, gone = folder + _NEW, folder + _REMOVED
        _remove_tree(new)
        self._checkpoint.write(_prefix(new))
        _write_manifest(new)
        if tf.io.gfile.exists(folder):  # of the same step, before its epoch was ended
            _remove_tree(gone)
            tf.io.gfile.rename(folder, gone)
        tf.io.gfile.rename(new, folder)
        _remove_tree(gone)

    def _newest_whole(self) -> int:
        """The step of the newest checkpoint that is whole, or -1."""
        sweep(self.folder)
        steps, damaged = self.steps(), {}
        while steps and (what := damage(self.path(steps[-1]))):
            damaged[self.path(steps.pop())] = what
        instead = f"it goes on from step {steps[-1]:,}" if steps else "it starts afresh"
        for folder, what in damaged.items():
            progress.note(f"{folder}: the training's checkpoint is damaged ({what}) and is removed; {instead}")
            remove(folder)
        return steps[-1] if steps else -1

    def _check(self, folder: str, reader: tf.train.CheckpointReader) -> None:
        words = reader.get_tensor(key("vocabulary")).decode()
        if words != self._vocabulary.numpy().decode():
            raise UserError(
                f"{folder}: the checkpoint is of another vocabulary. Remove {self.folder}, or train elsewhere"
            )
        shapes = reader.get_variable_to_shape_map()
        for name in TABLES:
            table = getattr(self._checkpoint, name, None)
            if table is not None and shapes.get(key(name)) != list(table.shape):
                raise UserError(
                    f"{folder}: the checkpoint's {name} vectors are of the shape {shapes.get(key(name))}, expected "
                    f"{list(table.shape)}. Set trainer.dimensions back, or remove {self.folder}"
                )


def _prefix(folder: str) -> str:
    return os.path.join(folder, _PREFIX)


def _names(folder: str) -> list[str]:
    return [name.rstrip("/") for name in tf.io.gfile.listdir(folder)]


def _remove_tree(folder: str) -> None:
    if tf.io.gfile.isdir(folder):
        tf.io.gfile.rmtree(folder)
    elif tf.io.gfile.exists(folder):
        tf.io.gfile.remove(folder)


def _digest(folder: str) -> str:
    with tf.io.gfile.GFile(f"{_prefix(folder)}.index", "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def _write_manifest(folder: str) -> None:
    sizes = {name: tf.io.gfile.stat(os.path.join(folder, name)).length for name in sorted(_names(folder))}
    with tf.io.gfile.GFile(os.path.join(folder, MANIFEST), "w") as file:
        file.write(json.dumps({"sizes": sizes, "index_sha256": _digest(folder)}))


def _manifest(folder: str) -> tuple[dict[str, int], str]:
    """The sizes of the files by name, and the digest of the index.

    Raises:
        ValueError: it is damaged.
    """
    with tf.io.gfile.GFile(os.path.join(folder, MANIFEST), "rb") as file:
        content = file.read()
    try:
        manifest = json.loads(content)
        return {str(name): int(size) for name, size in manifest["sizes"].items()}, str(manifest["index_sha256"])
    except (ValueError, TypeError, KeyError, AttributeError):
        raise ValueError(f"{MANIFEST} is damaged") from None
