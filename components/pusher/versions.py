"""The versions of a model, below the folder to which they are pushed."""

from __future__ import annotations

import hashlib
import os

import tensorflow as tf

MARK = "saved_model.pb"  # the last file that a push writes
_IDENTITY = "fingerprint.pb"  # TensorFlow writes it with each SavedModel; no two have the same


def newest_other(folder: str, model: str) -> str:
    """The newest version that is not the candidate itself, which a run that the cache has answered has had pushed.

    Args:
        folder: of the versions.
        model: the candidate's `identity`.

    Returns:
        The version's name; empty if there is none.
    """
    if not tf.io.gfile.isdir(folder):
        return ""
    names = (name.rstrip("/") for name in tf.io.gfile.listdir(folder))
    for version in sorted((name for name in names if name.isdecimal()), key=int, reverse=True):
        pushed = os.path.join(folder, version)
        if tf.io.gfile.exists(os.path.join(pushed, MARK)) and identity(pushed) != model:
            return version
    return ""


def identity(saved_model: str) -> str:
    """Tells an exported model from every other one, and is the same for its copies; empty if it has none."""
    path = os.path.join(saved_model, _IDENTITY)
    if not tf.io.gfile.exists(path):
        return ""
    with tf.io.gfile.GFile(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()[:16]
