from __future__ import annotations

import collections
import functools
import math

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from tensorflow_transform.tf_metadata import dataset_metadata

from components.skipgram import preprocessing
from word2vec import pairs, text, vocabulary

SETTINGS = {"window": 4, "min_count": 2, "max_vocabulary": None, "subsampling": 0.0, "seed": 3, "phrases": None}


def transform(tmp_path, documents, **settings):
    """Runs the preprocessing_fn; returns the vocabulary and [(token_ids, radii)], a pair a document."""
    metadata = dataset_metadata.DatasetMetadata.from_feature_spec({"text": tf.io.FixedLenFeature([], tf.string)})
    function = functools.partial(preprocessing.preprocessing_fn, custom_config={**SETTINGS, **settings})
    with tft_beam.Context(temp_dir=str(tmp_path / "temp")):
        (rows, _), transform_fn = (
            [{"text": row} for row in documents],
            metadata,
        ) | tft_beam.AnalyzeAndTransformDataset(function)
        transform_fn | tft_beam.WriteTransformFn(str(tmp_path / "graph"))
    graph = tft.TFTransformOutput(str(tmp_path / "graph"))
    assert graph.transformed_feature_spec() == pairs.features()
    read = functools.partial(vocabulary.read, graph.vocabulary_file_by_name(vocabulary.ASSET))
    values = [tuple(row[stored.value_key].tolist() for stored in pairs.features().values()) for row in rows]
    return read, values


def test_vocabulary_by_falling_frequency(tmp_path):
    read, rows = transform(tmp_path, ["b a a", "c a b", "once", "", "Zzz \u65e5\u65e5"])
    words = read()
    assert vocabulary.read_tokens(str(next((tmp_path / "graph").rglob(vocabulary.TOKENS_ASSET)))) == 10
    assert (words.words, words.counts.tolist()) == (["a", "\u65e5", "b"], [3, 2, 2])
    ids = {word: index for index, word in enumerate(words.words)}
    assert [row[0] for row in rows] == [[ids["b"], 0, 0], [0, ids["b"]], [], [], [ids["\u65e5"]] * 2]
    assert all(1 <= radius <= 4 for _, radii in rows for radius in radii)


def test_maximum_size(tmp_path):
    read, _ = transform(tmp_path, ["a a a b b c c d d d d"], max_vocabulary=2)
    assert read().words == ["d", "a"]


def test_no_vocabulary_is_said(tmp_path):
    read, rows = transform(tmp_path, ["each word once"])
    with pytest.raises(vocabulary.UserError, match=r"skipgram\.min_count"):
        read()
    assert rows == [([], [])]


def test_the_same_pairs_as_in_plain_python(tmp_path, documents):
    documents = [*documents[:60], "", "onlyonce"]
    read, rows = transform(tmp_path, documents, min_count=1, subsampling=1e-2)
    tokens = [[token.decode() for token in row.tolist()] for row in text.tokenize(tf.constant(documents)).numpy()]
    counts = collections.Counter(token for row in tokens for token in row)
    total = sum(counts.values())
    ids = {word: index for index, word in enumerate(read().words)}
    for document, row, (token_ids, radii) in zip(documents, tokens, rows, strict=True):
        splits = tf.constant([0, len(row)], tf.int64)
        keep = pairs.uniform(tf.constant([document]), splits, 3, pairs.SUBSAMPLING).numpy()
        reach = pairs.uniform(tf.constant([document]), splits, 3, pairs.RADIUS).numpy()
        expected = []
        for place, token in enumerate(row):
            ratio = 1e-2 * total / counts[token]
            if keep[place] < min(math.sqrt(ratio) + ratio, 1):
                expected.append((ids[token], 1 + int(reach[place] * 4)))
        assert list(zip(token_ids, radii, strict=True)) == expected


def test_subsampling_keeps_the_share_that_it_says(tmp_path, documents):
    read, rows = transform(tmp_path, documents, min_count=1, subsampling=1e-2)
    words = read()
    kept = np.bincount(np.concatenate([token_ids for token_ids, _ in rows]).astype(int), minlength=len(words))
    expected = (
        words.counts * pairs.keep_probability(tf.constant(words.counts), tf.constant(words.counts.sum()), 1e-2).numpy()
    )
    np.testing.assert_allclose(kept, expected, atol=4 * np.sqrt(expected).max())
