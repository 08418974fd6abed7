from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from word2vec import pairs, sif

COUNTS = np.array([500, 300, 100, 50, 30, 20])


def write(path, documents):
    with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
        for ids in documents:
            feature = tf.train.Feature(int64_list=tf.train.Int64List(value=ids))
            features = tf.train.Features(feature={spec.value_key: feature for spec in pairs.features().values()})
            writer.write(tf.train.Example(features=features).SerializeToString())


@pytest.mark.parametrize("subsampling", [0.0, 0.01])
def test_the_common_component_is_the_first_singular_vector(tmp_path, monkeypatch, subsampling):
    monkeypatch.setattr(sif, "_AT_ONCE", 7)
    draw = np.random.default_rng(1)
    vectors = draw.normal([1, 0, 0, 0], size=(6, 4)).astype(np.float32)
    documents = [draw.integers(0, 6, size).tolist() for size in draw.integers(0, 9, 40)]
    write(tmp_path / "a.gz", documents[:25])
    write(tmp_path / "b.gz", documents[25:])
    found = sif.common_component([str(tmp_path / "a.gz"), str(tmp_path / "b.gz")], vectors, COUNTS, subsampling)
    share = COUNTS / COUNTS.sum()
    kept = np.minimum(np.sqrt(subsampling / share) + subsampling / share, 1) if subsampling else np.ones(6)
    weights = 1e-3 / (1e-3 + share) / kept
    rows = [
        (weights[ids, np.newaxis] * vectors[ids]).sum(0) / (1 / kept[ids]).sum() for ids in map(list, documents) if ids
    ]
    _, _, right = np.linalg.svd(np.array(rows))
    assert abs(float(found @ right[0])) == pytest.approx(1, abs=1e-5)
    assert found.sum() >= 0


def test_it_reads_as_many_words_as_are_enough(tmp_path, monkeypatch):
    monkeypatch.setattr(sif, "_AT_ONCE", 2)
    vectors = np.random.default_rng(1).normal([1, 0, 0, 0], size=(6, 4)).astype(np.float32)
    documents = [[0, 1], [2, 3, 4], [5, 0, 2], [1], [4, 4], [3, 5]]
    write(tmp_path / "all.gz", documents)
    write(tmp_path / "first.gz", documents[:4])
    every, first = ([str(tmp_path / f"{name}.gz")] for name in ("all", "first"))
    expected = sif.common_component(first, vectors, COUNTS, 0)
    assert not np.array_equal(sif.common_component(every, vectors, COUNTS, 0), expected)
    monkeypatch.setattr(sif, "WORDS", 6)  # two documents have five
    np.testing.assert_array_equal(sif.common_component(every, vectors, COUNTS, 0), expected)


def test_of_no_words_there_is_nothing_in_common(tmp_path):
    write(tmp_path / "a.gz", [[], []])
    found = sif.common_component([str(tmp_path / "a.gz")], np.ones((6, 4), np.float32), COUNTS, 0)
    np.testing.assert_array_equal(found, np.zeros(4))
