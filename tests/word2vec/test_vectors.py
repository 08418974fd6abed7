from __future__ import annotations

import numpy as np
import pytest
from gensim.models import KeyedVectors
from hypothesis import given, settings
from hypothesis import strategies as st

from word2vec import vectors, vocabulary

WORDS = vocabulary.Vocabulary(["the", "naïve", "東京", "rock'n'roll"], np.array([9, 5, 3, 2]))


@pytest.mark.parametrize(("name", "binary"), [(vectors.TEXT, False), (vectors.BINARY, True)])
def test_gensim_reads_them_back_exactly(tmp_path, name, binary, monkeypatch):
    monkeypatch.setattr(vectors, "_ROWS_AT_A_TIME", 3)
    table = np.random.default_rng(0).normal(size=(4, 7)).astype(np.float32) * np.float32([1e-8, 1, 1, 1e5, 1, 1, 1])
    vectors.write(str(tmp_path), WORDS, table)
    read = KeyedVectors.load_word2vec_format(str(tmp_path / name), binary=binary)
    assert read.index_to_key == WORDS.words
    np.testing.assert_array_equal(read.vectors, table)
    assert sorted(path.name for path in tmp_path.iterdir()) == [vectors.BINARY, vectors.TEXT]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-(2.0**99), 2.0**99, width=32, allow_subnormal=False), min_size=1, max_size=8))
def test_every_number_survives_the_text(tmp_path_factory, numbers):
    folder = tmp_path_factory.mktemp("vectors")
    table = np.tile(np.float32(numbers), (4, 1))
    vectors.write(str(folder), WORDS, table)
    read = KeyedVectors.load_word2vec_format(str(folder / vectors.TEXT))
    np.testing.assert_array_equal(read.vectors, table)


def test_the_projector_gets_the_most_frequent_words(tmp_path, monkeypatch):
    monkeypatch.setattr(vectors, "PROJECTOR_WORDS", 2)
    table = np.arange(8, dtype=np.float32).reshape(4, 2)
    vectors.write_projector(str(tmp_path), WORDS, table)
    assert (tmp_path / "words.tsv").read_text() == "word\tcount\nthe\t9\nnaïve\t5\n"
    np.testing.assert_array_equal(np.loadtxt(tmp_path / "vectors.tsv", delimiter="\t"), table[:2])
    config = (tmp_path / "projector_config.pbtxt").read_text()
    assert '"vectors.tsv"' in config
    assert '"words.tsv"' in config
