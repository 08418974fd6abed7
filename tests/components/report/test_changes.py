from __future__ import annotations

import numpy as np

from components.report import changes
from word2vec.vocabulary import Vocabulary

WORDS = ["the", "cat", "dog", "tea", "milk", "cell", "phone", "prison"]
COUNTS = np.arange(80, 0, -10)


def vectors():
    """Two kinds of words lie together each, and `cell` with the prison."""
    draw = np.random.default_rng(1)
    table = np.zeros((8, 6)) + draw.normal(size=(8, 6)) * 0.05
    for place, axis in enumerate([0, 1, 1, 2, 2, 3, 4, 3]):
        table[place, axis] += 1
    return table.astype(np.float32)


def test_a_word_that_is_used_in_another_way_is_found_whatever_the_space():
    before, now = vectors(), vectors()
    now[5, 3], now[5, 4] = now[5, 4], now[5, 3]  # `cell` is a phone now
    turn, _ = np.linalg.qr(np.random.default_rng(2).normal(size=(6, 6)))
    words = Vocabulary(WORDS, COUNTS)
    found = changes.between(words, (now @ turn).astype(np.float32), words, before)
    first = found.moved[0]
    assert (first.word, first.before[0], first.now[0]) == ("cell", "prison", "phone")
    assert first.cosine < 0.7 < found.moved[1].cosine
    assert (found.new, found.gone, found.divergence) == ({}, {}, 0)


def test_new_and_gone_words_the_most_frequent_first():
    now = Vocabulary(["the", "selfie", "cat", "tweet"], np.array([9, 7, 5, 3]))
    before = Vocabulary(["the", "fax", "cat"], np.array([9, 8, 5]))
    found = changes.between(now, np.eye(4, dtype=np.float32), before, np.eye(3, dtype=np.float32))
    assert list(found.new.items()) == [("selfie", 7), ("tweet", 3)]
    assert found.gone == {"fax": 8}
    assert found.moved == []  # vectors of other lengths
