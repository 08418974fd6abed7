"""Starts a training from the vectors of an earlier model."""

from __future__ import annotations

import os

import numpy as np
import tensorflow as tf
from absl import logging

from word2vec import saved_model_layout, vocabulary
from word2vec.errors import UserError
from word2vec.training import checkpoints
from word2vec.training.model import SkipGram

# Beside the SavedModel, in the Trainer's model artifact.
FOLDER = "checkpoint"


def load(base_model: str, words: vocabulary.Vocabulary, model: SkipGram) -> None:
    """Takes over the rows of the words that both models have; the others start fresh.

    Args:
        base_model: the folder of the earlier model's SavedModel, in the Trainer's artifact.
        words: of the new model.
        model: the new model.

    Raises:
        UserError: the earlier model's vectors are of another length, or it has no checkpoint that can be read.
    """
    artifact = os.path.dirname(base_model.rstrip("/"))
    path = checkpoints.copied(os.path.join(artifact, FOLDER))
    if path is None:
        raise UserError(f"{base_model}: no checkpoint beside this model to start from. Set trainer.warm_start=false")
    before = vocabulary.read(saved_model_layout.vocabulary(base_model))
    places = {word: place for place, word in enumerate(before.words)}
    old_rows = np.array([places.get(word, -1) for word in words.words])
    try:
        tables = _read(path, [table.name for table in model.tables])
    except (tf.errors.OpError, IndexError, RuntimeError, ValueError) as error:
        raise UserError(
            f"{path}: the checkpoint to start from is damaged: {checkpoints.plain_message(error)}. Remove {artifact}, "
            "then the training starts from the blessed model before it; or set trainer.warm_start=false"
        ) from None
    for table in model.tables:
        if table.name not in tables:
            continue  # a bias that only the new model learns
        old, new = tables[table.name], table.embeddings.numpy()
        if old.shape[1] != new.shape[1]:
            raise UserError(
                f"trainer.dimensions = {new.shape[1]}: the last blessed model, to start from, has {old.shape[1]}. "
                f"Set trainer.dimensions={old.shape[1]}, or trainer.warm_start=false"
            )
        new[old_rows >= 0] = old[old_rows[old_rows >= 0]]
        table.embeddings.assign(new)
    logging.info("%d of %d words start from the vectors of %s.", (old_rows >= 0).sum(), len(words), base_model)


def _read(path: str, names: list[str]) -> dict[str, np.ndarray]:
    """The tables of these names that a checkpoint has."""
    reader = tf.train.load_checkpoint(path)
    keys = {name: saved_model_layout.key(name) for name in names}
    return {name: reader.get_tensor(key) for name, key in keys.items() if reader.has_tensor(key)}
