"""The half of the questions by which the gate judges, and the half by which the Tuner does: none is in both."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from word2vec.errors import UserError
from word2vec.questions import Question


def split(questions: Iterable[Question], seed: int) -> tuple[list[Question], list[Question]]:
    """The gate's and the Tuner's questions, each in their order.

    Args:
        questions: of any benchmarks.
        seed: decides the halves; a question's half does not depend on the other questions.
    """
    halves: tuple[list[Question], list[Question]] = [], []
    for question in questions:
        halves[_half(question, seed)].append(question)
    return halves


def _half(question: Question, seed: int) -> int:
    """The same for all questions of the same words: (a, b) is (b, a), and c : d :: a : b is hardly another question."""
    words = " ".join(sorted(word.casefold() for word in question.words))
    return hashlib.blake2b(f"{seed} {words}".encode(), digest_size=1).digest()[0] & 1


def check(
    thresholds: Iterable[str], weights: Iterable[str], gate: Sequence[Question], tuning: Sequence[Question]
) -> None:
    """Makes sure that the gate and the Tuner have something to judge by.

    Args:
        thresholds: by benchmark or `benchmark/section`; there are questions for each.
        weights: benchmarks.
        gate: its half of the questions.
        tuning: the other half.

    Raises:
        UserError: they have not.
    """
    asked = {question.benchmark for question in (*gate, *tuning)}
    for name in weights:
        if name not in asked:
            raise UserError(f"tuner.weights.{name} is for no benchmark. There are {', '.join(sorted(asked))}")
    names = {name for question in gate for name in (question.benchmark, f"{question.benchmark}/{question.section}")}
    for threshold in thresholds:
        if threshold not in names:
            raise UserError(
                f"evaluator.thresholds.{threshold}: all its questions are in the half that is for tuning. Give more "
                "questions, or set another tuner.questions_seed"
            )
    if not tuning:
        raise UserError(
            "tuner.trials: no question is in the half that is for tuning. Give more questions, or set another "
            "tuner.questions_seed"
        )
