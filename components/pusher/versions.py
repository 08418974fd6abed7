"""The versions of a model, below the folder to which they are pushed."""

from __future__ import annotations

import hashlib
import os
import re

import tensorflow as tf

from word2vec import progress, version_folders
from word2vec.warmup import EXTRA

IDENTITY = "fingerprint.pb"  # TensorFlow writes it with each SavedModel; no two have the same

# Whether it is there tells that a version was rolled back.
WITHDRAWN = os.path.join(EXTRA, "rolled_back.json")

_SHARD = r"variables\.data-[0-9]{5}-of-[0-9]{5}"


def find(folder: str) -> dict[int, str]:
    """The names of the versions, whole or not, by their numbers, the smallest first."""
    return dict(version_folders.listed(folder))


def newest_other(folder: str, model: str) -> str:
    """The newest version that is not the candidate itself, which a run that the cache has answered has had pushed.

    A version that was rolled back does not count.

    Args:
        folder: of the versions.
        model: the candidate's `identity`.

    Returns:
        The version's name; empty if there is none.
    """
    for name in reversed(find(folder).values()):
        pushed = os.path.join(folder, name)
        if not is_finished(pushed) or identity(pushed) == model or is_withdrawn(pushed):
            continue
        if _has_weights(pushed):
            return name
        progress.note(f"{pushed}: the last pushed model has lost its weights; the one before it is taken")
    return ""


def is_finished(version: str) -> bool:
    """Whether a version has the file that is written last."""
    return tf.io.gfile.exists(os.path.join(version, version_folders.MARK))


def is_withdrawn(version: str) -> bool:
    """Whether a version was rolled back."""
    return tf.io.gfile.exists(os.path.join(version, WITHDRAWN))


def withdraw(version: str, why: str) -> None:
    """Marks a version as one that was rolled back; `why` is kept with it."""
    path = os.path.join(version, WITHDRAWN)
    tf.io.gfile.makedirs(os.path.dirname(path))
    with tf.io.gfile.GFile(path, "w") as file:
        file.write(why)


def _has_weights(version: str) -> bool:
    """Whether all files of a SavedModel's variables are there."""
    folder = os.path.join(version, "variables")
    names = set(tf.io.gfile.listdir(folder)) if tf.io.gfile.isdir(folder) else set()
    shards = next((int(name.rpartition("-of-")[2]) for name in names if re.fullmatch(_SHARD, name)), 0)
    wanted = {"variables.index", *(f"variables.data-{shard:05d}-of-{shards:05d}" for shard in range(shards))}
    return shards > 0 and wanted <= names


def identity(saved_model: str) -> str:
    """Tells an exported model from every other one, and is the same for its copies; empty if it has none."""
    path = os.path.join(saved_model, IDENTITY)
    if not tf.io.gfile.exists(path):
        return ""
    with tf.io.gfile.GFile(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()[:16]
