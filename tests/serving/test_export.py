from __future__ import annotations

import numpy as np
import pyarrow.parquet
import pytest
from gensim.models import KeyedVectors

from serving import export
from tests.serving.conftest import VECTORS, WORDS
from word2vec import vectors

COUNTS = [900 - 10 * place for place in range(len(WORDS))]


@pytest.fixture
def model(versions_folder):
    return str(versions_folder / "7")


def test_load(model):
    found = export.load(model)
    assert (found.words.words, found.words.counts.tolist()) == (WORDS, COUNTS)
    np.testing.assert_allclose(found.table, VECTORS, rtol=1e-6)


def test_every_form(model, tmp_path, capsys):
    assert tuple(vectors.FORMS) == export.FORMS
    folder = tmp_path / "out"
    assert export.main(["--model", model, "--to", str(folder), "--form", *export.FORMS]) == 0
    assert sorted(capsys.readouterr().out.splitlines()) == sorted(str(path) for path in folder.iterdir())
    table = export.load(model).table

    keyed = KeyedVectors.load(str(folder / vectors.KEYED_VECTORS))
    assert keyed.index_to_key == WORDS
    assert [keyed.get_vecattr(word, "count") for word in WORDS] == COUNTS
    np.testing.assert_array_equal(keyed.vectors, table)

    rows = pyarrow.parquet.read_table(folder / vectors.PARQUET).to_pydict()
    assert (rows["word"], rows["count"]) == (WORDS, COUNTS)
    np.testing.assert_array_equal(np.array(rows["vector"], np.float32), table)

    for name, binary in ((vectors.TEXT, False), (vectors.BINARY, True)):
        read = KeyedVectors.load_word2vec_format(str(folder / name), binary=binary)
        np.testing.assert_array_equal(read.vectors, table)


def test_large_keyed_vectors_are_several_files(tmp_path):
    """gensim keeps tables of more than 10 MB in files of their own."""
    from word2vec.vocabulary import Vocabulary

    words = Vocabulary([f"w{number}" for number in range(110_000)], np.arange(110_000, 0, -1))
    table = np.random.default_rng(0).normal(size=(110_000, 100)).astype(np.float32)
    paths = vectors.write_keyed_vectors(str(tmp_path), words, table)
    assert len(paths) > 1
    assert sorted(paths) == sorted(str(path) for path in tmp_path.iterdir())
    np.testing.assert_array_equal(KeyedVectors.load(paths[0]).vectors, table)


def test_what_is_no_model_is_said(tmp_path, capsys):
    assert export.main(["--model", str(tmp_path), "--to", str(tmp_path / "out"), "--form", "parquet"]) == 1
    assert capsys.readouterr().err.startswith(f"error: {tmp_path}: not a pushed version")
    assert not (tmp_path / "out").exists()


def test_a_classifier_on_the_vectors(model, tmp_path):
    """The example of docs/serving.md."""
    import keras

    keras.utils.set_random_seed(1)
    lookup, embedding = export.load(model).layers()
    classifier = keras.Sequential(
        [lookup, embedding, keras.layers.GlobalAveragePooling1D(), keras.layers.Dense(1, "sigmoid")]
    )
    classifier.compile(optimizer=keras.optimizers.Adam(0.1), loss="binary_crossentropy", metrics=["accuracy"])
    drinks, people = ["Tea, COFFEE", "coffee", "the <b>tea</b>"], ["king", "a Woman", "the man, the queen of nowhere"]
    texts, labels = np.array([[text] for text in drinks + people], object), np.array([1, 1, 1, 0, 0, 0])
    import tensorflow as tf

    texts = tf.constant(texts)
    classifier.fit(texts, labels, epochs=40, verbose=0)
    assert classifier.evaluate(texts, labels, verbose=0)[1] == 1.0
    ids = lookup(tf.constant([["Tea nothing"]]))
    assert ids.numpy().tolist() == [[WORDS.index("tea") + 2, 1]]
    np.testing.assert_allclose(embedding(ids).numpy()[0], [VECTORS[5], np.zeros(12)], rtol=1e-6)
