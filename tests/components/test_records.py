from __future__ import annotations

import pathlib
import random

import apache_beam as beam
import pytest
import tensorflow as tf

from components import records
from word2vec.errors import UserError
from word2vec.training import blocks


def write(folder, values, shards=4):
    with beam.Pipeline() as pipeline:
        pipeline | beam.Create(values) | records.WriteShards(str(folder), shards)
    return {path.name: path.read_bytes() for path in pathlib.Path(folder).iterdir()}


def test_the_files_depend_on_the_records_alone(tmp_path):
    values = [f"record {number}".encode() for number in range(200)] + [b"twice", b"twice", b""]
    shuffled = random.Random(1).sample(values, len(values))
    first, second = write(tmp_path / "a", values), write(tmp_path / "b", shuffled)
    assert first == second
    assert len(first) == 4
    read = [
        value.numpy()
        for path in blocks.shards_in(str(tmp_path / "a"))
        for value in tf.data.TFRecordDataset(path, "GZIP")
    ]
    assert sorted(read) == sorted(values)


def test_no_files_is_said(tmp_path):
    with pytest.raises(UserError, match="no examples here"):
        blocks.shards_in(str(tmp_path))
