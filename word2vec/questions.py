"""The questions that a model is measured by: analogies and similar pairs, as tf.Examples.

The benchmarks' ExampleGen writes them, the served model answers them, the Evaluator's metrics score the answers.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tensorflow as tf

BENCHMARK, SECTION, KIND, WORDS, SCORE = "benchmark", "section", "kind", "words", "score"
ANALOGY, SIMILARITY = "analogy", "similarity"

# Any two pairs lie on a line.
FEWEST_PAIRS = 3

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
        return ANALOGY if len(self.words) == 4 else SIMILARITY

    def serialize(self) -> bytes:
        """As a tf.Example with `features()`."""
        import tensorflow as tf  # here, for questions are checked before a run begins, and without it

        words = [word.encode() for word in (*self.words, "", "")[:4]]
        texts = {
            BENCHMARK: [self.benchmark.encode()],
            SECTION: [self.section.encode()],
            KIND: [self.kind.encode()],
            WORDS: words,
        }
        features = {key: tf.train.Feature(bytes_list=tf.train.BytesList(value=value)) for key, value in texts.items()}
        features[SCORE] = tf.train.Feature(float_list=tf.train.FloatList(value=[self.score]))
        return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString(deterministic=True)


def features() -> dict[str, tf.io.FixedLenFeature]:
    """Of a question as a tf.Example. A pair leaves the last two of its four words empty; an analogy's score is 1."""
    import tensorflow as tf

    return {
        BENCHMARK: tf.io.FixedLenFeature([], tf.string),
        SECTION: tf.io.FixedLenFeature([], tf.string),
        KIND: tf.io.FixedLenFeature([], tf.string),
        WORDS: tf.io.FixedLenFeature([4], tf.string),
        SCORE: tf.io.FixedLenFeature([], tf.float32),
    }
