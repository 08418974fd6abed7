"""Phrases, beside gensim's on the same tokens."""

from __future__ import annotations

import itertools

import pytest
import tensorflow as tf
from gensim.models.phrases import Phrases

from tests.components.skipgram.test_preprocessing import transform
from word2vec import text

CHOICES = [
    {"min_count": 2, "threshold": 1.0, "scoring": "default"},
    {"min_count": 3, "threshold": 4.0, "scoring": "default"},
    {"min_count": 2, "threshold": 0.3, "scoring": "npmi"},
]


@pytest.fixture(scope="module")
def texts(documents):
    """Words as chance has them, and some that belong together; some of these overlap."""
    planted = ["New York City", "Los Angeles", "new york", "hong kong and new york", "a b a b a", ""]
    return [f"{document} {planted[place % len(planted)]}" for place, document in enumerate(documents[:150])] + [
        "",
        "one",
    ]


def tokens_of(documents):
    return [[token.decode() for token in row.tolist()] for row in text.tokenize(tf.constant(documents)).numpy()]


@pytest.mark.parametrize(("settings", "passes"), [(CHOICES[0], 1), *((each, 2) for each in CHOICES)], ids=str)
def test_phrases_are_gensims(tmp_path, texts, settings, passes):
    read, rows = transform(tmp_path, texts, min_count=1, phrases={**settings, "passes": passes})
    sentences = tokens_of(texts)
    for number in range(1, passes + 1):
        theirs = Phrases(sentences, **settings, connector_words=frozenset())
        lines = next((tmp_path / "graph").rglob(f"phrases_{number}")).read_text().splitlines()
        ours = {pair: float(score) for score, _, pair in (line.partition(" ") for line in lines)}
        expected = {
            "+".join(pair): score
            for sentence in sentences
            for pair in itertools.pairwise(sentence)
            if (score := theirs.score_candidate(*pair, [])[1]) is not None
        }
        assert expected or number == 2
        assert ours == pytest.approx(expected)
        sentences = [theirs[sentence] for sentence in sentences]
    words = read().words
    assert [[words[number] for number in ids] for ids, _ in rows] == sentences
    assert "los_angeles" in words
    assert passes == 1 or "new_york_city" in words
