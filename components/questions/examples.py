"""The artifact of the questions: one shard of tf.Examples, as `word2vec.questions` makes them, in the split `eval`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import tensorflow as tf
from tfx import types
from tfx.types import artifact_utils

from components import records
from word2vec import questions

SPLIT = "eval"

_AT_A_TIME = 1000


def write(asked: Sequence[questions.Question], artifact: types.Artifact) -> None:
    """Writes questions to an artifact's folder, and says in the artifact what is there."""
    records.declare(artifact, [SPLIT])
    folder = artifact_utils.get_split_uri([artifact], SPLIT)
    tf.io.gfile.makedirs(folder)
    with tf.io.TFRecordWriter(os.path.join(folder, "questions-00000-of-00001.gz"), "GZIP") as writer:
        for example in questions.serialize(asked):
            writer.write(example)


def pairs(uri: str) -> Iterator[questions.Pairs]:
    """The similar pairs in an artifact's folder, those of many tf.Examples at a time."""
    files = tf.io.gfile.glob(os.path.join(uri, "Split-*", "*"))
    for batch in tf.data.TFRecordDataset(files, "GZIP").batch(_AT_A_TIME):
        yield questions.pairs(batch)
