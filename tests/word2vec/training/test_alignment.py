from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
from hypothesis import given, settings

from word2vec.training import alignment
from word2vec.vocabulary import Vocabulary


def orthogonal(dimensions, seed):
    matrix, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(dimensions, dimensions)))
    return matrix


def test_a_quarter_turn_is_found_by_hand():
    vectors = np.array([[1, 0], [0, 2], [3, 3]], np.float32)
    onto = np.array([[0, 1], [-1, 0], [-1, 1]], np.float32)  # each a quarter turn to the left, of another length
    np.testing.assert_allclose(alignment.rotation(vectors, onto), [[0, 1], [-1, 0]], atol=1e-12)


@given(st.integers(1, 6), st.integers(6, 40), st.integers(0, 1000))
def test_what_was_turned_is_turned_back(dimensions, words, seed):
    rng = np.random.default_rng(seed)
    before = rng.normal(size=(words, dimensions)).astype(np.float32)
    lengths = rng.uniform(0.1, 10, (words, 1)).astype(np.float32)
    after = (before @ orthogonal(dimensions, seed) * lengths).astype(np.float32)
    turned = alignment.turn(after, alignment.rotation(after, before))
    np.testing.assert_allclose(alignment.cosines(turned, before), 1, atol=1e-5)


@settings(deadline=None)
@given(st.integers(1, 300), st.integers(0, 1000))
def test_cosines_and_scores_within_a_model_stay(dimensions, seed):
    rng = np.random.default_rng(seed)
    target, context, before = rng.normal(size=(3, 50, dimensions)).astype(np.float32)
    by = alignment.rotation(target, before)
    np.testing.assert_allclose(by @ by.T, np.eye(dimensions), atol=1e-9)
    turned, turned_context = alignment.turn(target, by), alignment.turn(context, by)
    of = alignment.unit
    np.testing.assert_allclose(of(turned) @ of(turned).T, of(target) @ of(target).T, atol=1e-6)
    scores = target @ context.T
    np.testing.assert_allclose(turned @ turned_context.T, scores, atol=1e-5 * max(np.abs(scores).max(), 1))


def test_no_other_turn_is_nearer():
    rng = np.random.default_rng(1)
    vectors, onto = rng.normal(size=(2, 30, 4))
    best = alignment.cosines(vectors @ alignment.rotation(vectors, onto), onto).mean()
    for seed in range(200):
        assert alignment.cosines(vectors @ orthogonal(4, seed), onto).mean() <= best + 1e-12


def test_words_that_both_know_well_come_first(monkeypatch):
    words = Vocabulary(["the", "new", "cat", "dog", "rare"], np.array([90, 50, 40, 40, 5]))
    before = Vocabulary(["the", "dog", "cat", "gone", "rare"], np.array([100, 60, 40, 30, 20]))
    places, places_before = alignment.shared(words, before)
    assert [words.words[place] for place in places] == ["the", "cat", "dog", "rare"]
    assert [before.words[place] for place in places_before] == ["the", "cat", "dog", "rare"]
    monkeypatch.setattr(alignment, "MOST_WORDS", 2)
    assert alignment.shared(words, before)[0].tolist() == [0, 2]


def test_models_without_a_word_in_common():
    places, places_before = alignment.shared(
        Vocabulary(["a", "b"], np.array([2, 1])), Vocabulary(["c", "d"], np.array([2, 1]))
    )
    assert places.tolist() == places_before.tolist() == []


def test_a_word_without_a_direction_is_left_out():
    vectors = np.array([[1, 0], [0, 0], [0, 1]], np.float32)
    np.testing.assert_allclose(alignment.rotation(vectors, vectors), np.eye(2), atol=1e-12)
