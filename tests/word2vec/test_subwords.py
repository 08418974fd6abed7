"""Subwords, beside gensim's fastText and fastText itself."""

from __future__ import annotations

import hypothesis
import numpy as np
import pytest
import tensorflow as tf
from gensim.models import fasttext as gensims
from hypothesis import strategies

from word2vec import subwords, vectors
from word2vec.settings import SubwordSettings
from word2vec.subwords import Buckets, Subwords
from word2vec.vocabulary import Vocabulary

WORDS = ["cat", "cats", "catalog", "a", "東京", "naïve", "banana", "don't", "bananas", "𐐀x"]


def buckets_of(words, settings):
    return subwords.buckets_of(tf.constant(words, tf.string), settings).to_list()


def test_fnv_1a():
    """Of 32 bits, as its authors list it: of "a" and "foobar", between the marks that one n-gram leaves off."""
    assert buckets_of(["xay"], SubwordSettings(min=1, max=1, buckets=2**31 - 1))[0][1] == 0xE40C292C % (2**31 - 1)
    settings = SubwordSettings(min=6, max=6, buckets=2**31 - 1)
    assert buckets_of(["foobar"], settings)[0][1] == 0xBF9CF968 % (2**31 - 1)


def test_the_n_grams_of_a_word():
    """<c, <ca, <cat, ca, cat, cat>, at, at>, t>, as `fasttext.get_subwords` lists them."""
    settings = SubwordSettings(min=2, max=4, buckets=10**9)
    names = ["<c", "<ca", "<cat", "ca", "cat", "cat>", "at", "at>", "t>"]
    assert buckets_of(["cat"], settings) == [[gensims.ft_hash_bytes(name.encode()) % 10**9 for name in names]]
    assert buckets_of([], settings) == []
    assert buckets_of(["", "a"], settings)[0] == [gensims.ft_hash_bytes(b"<>") % 10**9]


letters = strategies.characters(exclude_categories=["Cs"], exclude_characters="\0")


@hypothesis.given(
    strategies.lists(strategies.text(letters, max_size=12), max_size=5),
    strategies.integers(1, 5),
    strategies.integers(0, 3),
    strategies.integers(1, 2**31 - 1),
)
@hypothesis.settings(deadline=None)
def test_the_buckets_are_fasttexts(words, shortest, more, buckets):
    settings = SubwordSettings(min=shortest, max=shortest + more, buckets=buckets)
    expected = [gensims.ft_ngram_hashes(word, shortest, shortest + more, buckets) for word in words]
    assert buckets_of(words, settings) == expected


def make(settings, dimensions=5):
    """Words, their subwords, a table, and the vectors that these make."""
    words = Vocabulary(WORDS, np.arange(len(WORDS), 0, -1))
    made = Subwords.of(WORDS, settings)
    table = np.random.default_rng(1).normal(size=(made.size, dimensions)).astype(np.float32)
    return words, made, table, made.compose(table)


@pytest.mark.parametrize("settings", [SubwordSettings(), SubwordSettings(min=1, max=2, buckets=7)], ids=str)
def test_vectors_are_means_of_rows(settings, monkeypatch):
    monkeypatch.setattr(subwords, "_WORDS_AT_A_TIME", 3)
    words, made, table, found = make(settings)
    assert made.splits[0] == 0
    for place, word in enumerate(WORDS):
        rows = made.rows[made.splits[place] : made.splits[place + 1]]
        assert rows[0] == place
        grams = gensims.ft_ngram_hashes(word, settings.min, settings.max, settings.buckets)
        assert made.buckets[rows[1:] - len(words)].tolist() == grams
        np.testing.assert_allclose(found[place], table[rows].mean(0), rtol=1e-5, atol=1e-6)
    own = made.own_rows(found, table[len(words) :])
    np.testing.assert_allclose(own, table[: len(words)], atol=1e-5)
    again = Subwords.from_config(made.to_config())
    assert again.settings == settings
    for name in ("splits", "rows", "buckets"):
        np.testing.assert_array_equal(getattr(again, name), getattr(made, name))


def test_words_without_n_grams_have_their_own_rows():
    words, made, table, found = make(SubwordSettings(min=16, max=16))
    assert made.size == len(words)
    np.testing.assert_array_equal(found, table)
    np.testing.assert_array_equal(made.own_rows(found, np.zeros((0, 5), np.float32)), table)


@pytest.fixture(params=["subwords", "many buckets", "none"])
def exported(request, tmp_path):
    """A fastText file, and what it was made of."""
    settings = {
        "subwords": SubwordSettings(buckets=50),
        "many buckets": SubwordSettings(min=2, max=3, buckets=200_000),
        "none": None,
    }[request.param]
    words, made, table, found = make(settings or SubwordSettings())
    buckets = Buckets(settings, made.buckets, table[len(words) :]) if settings else None
    (path,) = vectors.write_fasttext(str(tmp_path), words, found, buckets)
    return path, words, found, buckets


def composed(word, buckets):
    settings = buckets.settings
    grams = gensims.ft_ngram_hashes(word, settings.min, settings.max, settings.buckets)
    rows = dict(zip(buckets.numbers.tolist(), buckets.rows, strict=True))
    return np.mean([rows.get(gram, np.zeros(buckets.rows.shape[1])) for gram in grams], 0)


def test_gensim_reads_the_file(exported):
    path, words, found, buckets = exported
    theirs = gensims.load_facebook_vectors(path)
    assert theirs.index_to_key == words.words
    np.testing.assert_allclose(theirs.vectors, found, atol=1e-6)
    assert [theirs.get_vecattr(word, "count") for word in words.words] == words.counts.tolist()
    if buckets:
        for word in ("catalogs", "東京都", "zzz"):
            np.testing.assert_allclose(theirs[word], composed(word, buckets), atol=1e-6)


def test_fasttext_reads_the_file(exported):
    fasttext = pytest.importorskip("fasttext", reason="make bench installs it, for it needs a compiler")
    path, words, found, buckets = exported
    theirs = fasttext.load_model(path)
    assert theirs.get_words() == words.words
    np.testing.assert_allclose([theirs.get_word_vector(word) for word in words.words], found, atol=1e-6)
    if buckets:
        for word in ("catalogs", "東京都", "zzz"):
            np.testing.assert_allclose(theirs.get_word_vector(word), composed(word, buckets), atol=1e-6)
