"""The vectors of a SavedModel, and which space they are in, without loading what asks for them."""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np
import tensorflow as tf

from word2vec import saved_model_layout, vocabulary
from word2vec.settings import Architecture, SubwordSettings
from word2vec.subwords import Buckets

# Within a SavedModel, where TF Serving does not look: what a later training starts from (`training.warm_start`).
START = os.path.join("assets.extra", "start")

_MANIFEST = "start.json"

# What TensorFlow raises when it reads damaged files.
UNREADABLE = (tf.errors.OpError, OSError, IndexError, KeyError, RuntimeError, TypeError, ValueError)


def read(saved_model: str) -> tuple[vocabulary.Vocabulary, np.ndarray]:
    """The words of a SavedModel and their vectors, float32 [V, D]."""
    reader = tf.train.load_checkpoint(saved_model_layout.variables(saved_model))
    unit, norms = (reader.get_tensor(saved_model_layout.key(name)) for name in ("unit", "norms"))
    return vocabulary.read(saved_model_layout.vocabulary(saved_model)), unit * norms[:, np.newaxis]


def read_buckets(saved_model: str) -> Buckets | None:
    """The rows of a SavedModel's n-grams, float32 [G, D]; None if it has no subwords."""
    reader = tf.train.load_checkpoint(saved_model_layout.variables(saved_model))
    names = [saved_model_layout.key(name) for name in ("ngrams", "ngram_buckets", "ngram_rows")]
    if not reader.has_tensor(names[0]):
        return None
    settings, numbers, rows = (reader.get_tensor(name) for name in names)
    return Buckets(SubwordSettings.of(settings), numbers, rows.astype(np.float32))


def space_of(saved_model: str) -> str | None:
    """Which space a SavedModel's vectors are in; None if it does not say so."""
    try:
        return read_manifest(saved_model)["space"] if has_start(saved_model) else None
    except UNREADABLE:
        return None


def has_start(saved_model: str) -> bool:
    """Whether a training can start from a SavedModel."""
    return tf.io.gfile.exists(os.path.join(saved_model, START, _MANIFEST))


def read_manifest(saved_model: str) -> dict[str, Any]:
    """What `write_manifest` wrote."""
    with tf.io.gfile.GFile(os.path.join(saved_model, START, _MANIFEST)) as file:
        return json.load(file)


def write_manifest(saved_model: str, space: str, files: dict[str, Any], architecture: Architecture) -> None:
    """Says of a SavedModel which space its vectors are in, which files a training starts from, and what trained it."""
    with tf.io.gfile.GFile(os.path.join(saved_model, START, _MANIFEST), "w") as file:
        json.dump({"space": space, "architecture": architecture, "files": files}, file, indent=2)
