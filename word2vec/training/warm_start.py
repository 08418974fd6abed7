"""What a later training starts from: kept in a SavedModel, beside what is served.

The target vectors are served; TF Serving never reads the rest, in `assets.extra/start`: the context vectors, at half
their size, a learned bias, and which space the vectors are in. bfloat16 has float32's range and 8 bits of precision:
the vectors are rounded by at most 0.4 %, less than a word moves at the first few pairs.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
import tensorflow as tf
from absl import logging

from word2vec import saved_vectors, vocabulary
from word2vec.errors import UserError, reason
from word2vec.settings import Architecture, SubwordSettings
from word2vec.subwords import Buckets, Subwords
from word2vec.training import alignment
from word2vec.training.model import Word2Vec

_DTYPES: Mapping[str, Any] = {"context": ml_dtypes.bfloat16, "bias": np.float32}
_AT_ONCE = 65_536  # rows


class Start(NamedTuple):
    """A model to start from, or to lie in one space with.

    Attributes:
        words: its vocabulary.
        tables: target and context vectors, float32 [V, D], and a learned bias, float32 [V, 1], by their names.
        space: which one the vectors are in: versions of the same space can be compared.
        architecture: that they were trained in.
        buckets: the rows of the n-grams of which the target vectors are made; None where they are rows of their own.
    """

    words: vocabulary.Vocabulary
    tables: dict[str, np.ndarray]
    space: str
    architecture: Architecture
    buckets: Buckets | None = None


def write(saved_model: str, tables: Mapping[str, np.ndarray], space: str, architecture: Architecture) -> None:
    """Adds to a SavedModel what it does not serve.

    Args:
        saved_model: its folder.
        tables: context vectors, float32 [V, D], and perhaps a bias, float32 [V, 1], by their names.
        space: see `Start`.
        architecture: likewise.
    """
    folder = os.path.join(saved_model, saved_vectors.START)
    tf.io.gfile.makedirs(folder)
    files = {}
    for name, table in tables.items():
        digest = hashlib.sha256()
        with tf.io.gfile.GFile(os.path.join(folder, name), "wb") as file:
            for begin in range(0, len(table), _AT_ONCE):
                rows = table[begin : begin + _AT_ONCE].astype(_DTYPES[name]).tobytes()
                digest.update(rows)
                file.write(rows)
        files[name] = {"shape": list(table.shape), "sha256": digest.hexdigest()}
    saved_vectors.write_manifest(saved_model, space, files, architecture)


def read(saved_model: str, *, vectors_alone: bool = False) -> Start:
    """Reads a model to start from.

    Args:
        saved_model: the folder of its SavedModel.
        vectors_alone: whether the target vectors are enough.

    Raises:
        UserError: it was made without what a training starts from, or is damaged.
    """
    if not saved_vectors.has_start(saved_model):
        raise UserError(
            f"{saved_model}: this model has nothing to start from, as earlier releases made them. "
            "Set trainer.warm_start=false and trainer.align=none for one run"
        )
    try:
        manifest = saved_vectors.read_manifest(saved_model)
        words, target = saved_vectors.read(saved_model)
        tables = {"target": target}
        if not vectors_alone:
            tables |= {name: _read(saved_model, name, facts) for name, facts in manifest["files"].items()}
        buckets = None if vectors_alone else saved_vectors.read_buckets(saved_model)
        return Start(words, tables, manifest["space"], manifest.get("architecture", "skipgram"), buckets)
    except saved_vectors.UNREADABLE as error:
        raise UserError(
            f"{saved_model}: the model to start from is damaged: {reason(error)}. Remove it, then the training starts "
            "from the blessed model before it; or set trainer.warm_start=false and trainer.align=none"
        ) from None


def _read(saved_model: str, name: str, facts: Mapping[str, Any]) -> np.ndarray:
    with tf.io.gfile.GFile(os.path.join(saved_model, saved_vectors.START, name), "rb") as file:
        content = file.read()
    if hashlib.sha256(content).hexdigest() != facts["sha256"]:
        raise ValueError(f"{name} was changed, or is not whole")
    return np.frombuffer(content, _DTYPES[name]).reshape(facts["shape"]).astype(np.float32)


def check_dimensions(start: Start, dimensions: int) -> None:
    """Makes sure that a model's vectors are of a length.

    Raises:
        UserError: they are not.
    """
    there = start.tables["target"].shape[1]
    if there != dimensions:
        raise UserError(
            f"trainer.dimensions = {dimensions}: the last blessed model, to start from, has {there}. "
            f"Set trainer.dimensions={there}, or trainer.warm_start=false and trainer.align=none"
        )


def check_same_kind(start: Start, architecture: Architecture, subwords: SubwordSettings | None) -> None:
    """Makes sure that a model can be gone on with: vectors of another kind of model have another scale and other rows.

    Args:
        start: the earlier model.
        architecture: of the new one.
        subwords: likewise.

    Raises:
        UserError: it cannot.
    """
    if start.architecture != architecture:
        raise UserError(
            f"trainer.architecture = {architecture}: the last blessed model, to start from, is {start.architecture}. "
            f"Set trainer.architecture={start.architecture}, or trainer.warm_start=false"
        )
    there = start.buckets.settings if start.buckets else None
    if there != subwords:
        one, other = (_named(settings) for settings in (subwords, there))
        raise UserError(
            f"trainer.subwords = {one}: the last blessed model, to start from, has {other}. "
            f"Set trainer.subwords={other}, or trainer.warm_start=false"
        )


def _named(subwords: SubwordSettings | None) -> str:
    if subwords is None:
        return "null"
    return f"{{min: {subwords.min}, max: {subwords.max}, buckets: {subwords.buckets}}}"


def load(start: Start, words: vocabulary.Vocabulary, model: Word2Vec) -> None:
    """Takes over the rows of the words and n-grams that both models have; the others start fresh.

    Args:
        start: the earlier model, of the same kind (`check_same_kind`); its vectors are as long as the new one's.
        words: of the new model.
        model: the new model.
    """
    places = {word: place for place, word in enumerate(start.words.words)}
    old_rows = np.array([places.get(word, -1) for word in words.words])
    for table in model.tables:
        if table.name not in start.tables:
            continue  # a bias that only the new model learns
        new, old = table.embeddings.numpy(), start.tables[table.name]
        if table is model.target and model.subwords and start.buckets:
            before = Subwords.of(start.words.words, model.subwords.settings)
            old = before.own_rows(old, start.buckets.rows)
            _, here, there = np.intersect1d(model.subwords.buckets, start.buckets.numbers, return_indices=True)
            new[len(words) + here] = start.buckets.rows[there]
        new[: len(words)][old_rows >= 0] = old[old_rows[old_rows >= 0]]
        table.embeddings.assign(new)
    logging.info("%d of %d words start from an earlier model's vectors.", (old_rows >= 0).sum(), len(words))


def rotation(start: Start, words: vocabulary.Vocabulary, target: np.ndarray) -> np.ndarray | None:
    """What turns a new model's vectors into an earlier one's space; None if they have no word in common.

    Args:
        start: the earlier model.
        words: of the new one.
        target: its vectors, float32 [V, D].
    """
    places, places_before = alignment.shared(words, start.words)
    if not len(places):
        return None
    return alignment.rotation(target[places], start.tables["target"][places_before])
