"""No question is in both halves."""

from __future__ import annotations

import pytest

from components.questions import files, halves
from word2vec.errors import UserError
from word2vec.questions import Question

BUILTIN = ("google_analogies", "wordsim353", "simlex999")


@pytest.fixture(scope="module")
def asked():
    return files.read_all([f"builtin://{name}" for name in BUILTIN])


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1])
def test_each_question_is_in_one_half_and_they_are_halves_of_each_benchmark(asked, seed):
    gate, tuning = halves.split(asked, seed)
    assert sorted(map(repr, (*gate, *tuning))) == sorted(map(repr, asked))
    for name in BUILTIN:
        sizes = [sum(question.benchmark == name for question in half) for half in (gate, tuning)]
        assert 0.8 < sizes[0] / sizes[1] < 1.25, name


def test_no_words_are_asked_for_in_both(asked):
    words = [
        {frozenset(word.casefold() for word in question.words) for question in half} for half in halves.split(asked, 1)
    ]
    assert not words[0] & words[1]


def test_a_question_stays_in_its_half_whatever_else_is_asked(asked):
    gate, tuning = halves.split(asked, 1)
    known = set(gate)
    assert halves.split(asked[::3], 1) == (
        [question for question in asked[::3] if question in known],
        [question for question in asked[::3] if question not in known],
    )
    assert halves.split(asked, 2) != (gate, tuning)


def make(benchmark, section="all"):
    return Question(benchmark, section, ("a", "b"), 1.0)


@pytest.mark.parametrize(
    ("thresholds", "weights", "gate", "tuning", "message"),
    [
        (["a"], ["c"], [make("a")], [make("b")], "tuner.weights.c is for no benchmark. There are a, b"),
        (["b"], [], [make("a")], [make("b")], "evaluator.thresholds.b: all its questions are in the half"),
        (["a/x"], [], [make("a", "y")], [make("a", "x")], "evaluator.thresholds.a/x: all its questions"),
        (["a"], [], [make("a")], [], "tuner.trials: no question is in the half that is for tuning"),
    ],
)
def test_who_has_nothing_to_judge_by_is_told(thresholds, weights, gate, tuning, message):
    with pytest.raises(UserError, match=message):
        halves.check(thresholds, weights, gate, tuning)


def test_both_halves_with_questions_are_good():
    halves.check(["a", "a/all"], ["b"], [make("a")], [make("b")])
