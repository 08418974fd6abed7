"""The artifact of the questions: a shard of tf.Examples for each split, as `word2vec.questions` makes them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import tensorflow as tf
from tfx import types
from tfx.types import artifact_utils

from components import records
from word2vec import questions

# The questions by which the gate judges, and those by which the Tuner does, if there is one.
SPLIT, TUNING = "eval", "tune"

_AT_A_TIME = 1000


def write(
    asked: Sequence[questions.Question], artifact: types.Artifact, tuning: Sequence[questions.Question] | None = None
) -> None:
    """Writes questions to an artifact's folder, and says in the artifact what is there.

    Args:
        asked: by the gate.
        artifact: says where.
        tuning: those by which the Tuner judges; None if there is no Tuner.
    """
    splits = {SPLIT: asked} if tuning is None else {SPLIT: asked, TUNING: tuning}
    records.declare(artifact, list(splits))
    for split, of_split in splits.items():
        folder = artifact_utils.get_split_uri([artifact], split)
        tf.io.gfile.makedirs(folder)
        with tf.io.TFRecordWriter(os.path.join(folder, "questions-00000-of-00001.gz"), "GZIP") as writer:
            for example in questions.serialize(of_split):
                writer.write(example)


def read(uri: str, split: str = SPLIT) -> list[bytes]:
    """The tf.Examples of a split in an artifact's folder."""
    return [record.numpy() for record in tf.data.TFRecordDataset(_files(uri, split), "GZIP")]


def pairs(uri: str) -> Iterator[questions.Pairs]:
    """The similar pairs in an artifact's folder by which the gate judges, those of many tf.Examples at a time."""
    for batch in tf.data.TFRecordDataset(_files(uri, SPLIT), "GZIP").batch(_AT_A_TIME):
        yield questions.pairs(batch)


def _files(uri: str, split: str) -> list[str]:
    return tf.io.gfile.glob(os.path.join(uri, f"Split-{split}", "*"))
