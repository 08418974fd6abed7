"""The questions that a model is measured by: analogies and similar pairs, many of them in each tf.Example.

QuestionExampleGen writes them, the served model answers them, the Evaluator's metrics score the answers. Each
tf.Example costs them more than a question in it does.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import tensorflow as tf

BENCHMARK, SECTION, KIND, WORDS, SCORE = "benchmark", "section", "kind", "words", "score"
ANALOGY, SIMILARITY = "analogy", "similarity"

# Any two pairs lie on a line.
FEWEST_PAIRS = 3

# The words of a question in a tf.Example; a pair leaves the last two empty.
WORDS_EACH = 4

# Questions that a tf.Example has at most.
MOST_TOGETHER = 256

# What the served model answers to a question, in this order.
ANSWERS = COSINE, RANK_3COSADD, RANK_3COSMUL = "cosine", "rank_3cosadd", "rank_3cosmul"


@dataclasses.dataclass(frozen=True)
class Question:
    """An analogy (a : b :: c : d) or a pair of words with the similarity that people gave it."""

    benchmark: str
    section: str
    words: tuple[str, ...]
    score: float

    @property
    def kind(self) -> str:
        """`ANALOGY` for four words, else `SIMILARITY`."""
        return ANALOGY if len(self.words) == WORDS_EACH else SIMILARITY


def serialize(questions: Iterable[Question]) -> Iterator[bytes]:
    """The questions as tf.Examples with `features()`: those of one benchmark, section and kind together, in order."""
    together: dict[tuple[str, str, str], list[Question]] = {}
    for question in questions:
        together.setdefault((question.benchmark, question.section, question.kind), []).append(question)
    for key, group in together.items():
        for start in range(0, len(group), MOST_TOGETHER):
            yield _serialized(*key, group[start : start + MOST_TOGETHER])


def _serialized(benchmark: str, section: str, kind: str, questions: Sequence[Question]) -> bytes:
    import tensorflow as tf  # here, for questions are checked before a run begins, and without it

    words = [word for question in questions for word in (*question.words, "", "")[:WORDS_EACH]]
    texts = {BENCHMARK: [benchmark], SECTION: [section], KIND: [kind], WORDS: words}
    features = {
        key: tf.train.Feature(bytes_list=tf.train.BytesList(value=[text.encode() for text in value]))
        for key, value in texts.items()
    }
    scores = [question.score for question in questions]
    features[SCORE] = tf.train.Feature(float_list=tf.train.FloatList(value=scores))
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString(deterministic=True)


def features() -> dict[str, tf.io.FixedLenFeature | tf.io.RaggedFeature]:
    """Of a tf.Example with n questions: 4n words, of which a pair leaves the last two empty; n scores, analogies' 1."""
    import tensorflow as tf

    return {
        BENCHMARK: tf.io.FixedLenFeature([], tf.string),
        SECTION: tf.io.FixedLenFeature([], tf.string),
        KIND: tf.io.FixedLenFeature([], tf.string),
        WORDS: tf.io.RaggedFeature(tf.string),
        SCORE: tf.io.RaggedFeature(tf.float32),
    }


class Pairs(NamedTuple):
    """The pairs of some tf.Examples.

    Attributes:
        examples: string [m], those tf.Examples that have pairs.
        benchmarks: string [n], of which each pair is.
        words: string [n, 2].
        scores: float [n].
        counts: int64 [m], how many of the pairs are in each tf.Example.
    """

    examples: tf.Tensor
    benchmarks: tf.Tensor
    words: tf.Tensor
    scores: tf.Tensor
    counts: tf.Tensor


def pairs(examples: tf.Tensor) -> Pairs:
    """The pairs among the questions of serialized tf.Examples, string [n]."""
    import tensorflow as tf

    kinds = tf.io.parse_example(examples, {KIND: features()[KIND]})[KIND]
    examples = tf.boolean_mask(examples, kinds == SIMILARITY)
    parsed = tf.io.parse_example(examples, features())
    scores = parsed[SCORE]
    return Pairs(
        examples,
        tf.repeat(parsed[BENCHMARK], scores.row_lengths()),
        tf.reshape(parsed[WORDS].flat_values, [-1, WORDS_EACH])[:, :2],
        scores.flat_values,
        scores.row_lengths(),
    )
