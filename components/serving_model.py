"""The SavedModel that TF Serving serves and the Evaluator measures: vectors, vocabulary, and what one asks of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from components import text, vocabulary
from components.questions import FEATURES, SCORE, WORDS

# Queries whose scores with the whole vocabulary are held at a time: 64 x 1 M words x 4 bytes are 256 MB.
QUERIES_AT_A_TIME = 64


class ServingModel(tf.Module):
    """Answers questions about words; each word passes the normalisation that the corpus passed.

    Args:
        vectors: float [V, D], a row a word of the vocabulary; of a tensor no copy is made.
        vocabulary_path: the vocabulary's asset.
    """

    def __init__(self, vectors: tf.Tensor | np.ndarray, vocabulary_path: str):
        super().__init__()
        self.vectors = tf.Variable(vectors, trainable=False, name="vectors")
        # Neither a second table, as np.linalg.norm has it, nor a copy.
        table = np.asarray(memoryview(self.vectors.read_value()))
        norms = np.sqrt(np.einsum("vd,vd->v", table, table))
        self.norms = tf.Variable(np.maximum(norms, 1e-12), trainable=False, name="norms")
        self.asset = tf.saved_model.Asset(vocabulary_path)
        self.ids = vocabulary.word_table(self.asset.asset_path)
        self.words = vocabulary.id_table(self.asset.asset_path)

    def save(self, folder: str) -> None:
        """Writes the SavedModel with its signatures."""
        tf.saved_model.save(
            self,
            folder,
            signatures={
                "serving_default": self.embed,
                "most_similar": self.most_similar,
                "evaluate": self.evaluate,
            },
        )

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "words")])
    def embed(self, words: tf.Tensor) -> dict[str, tf.Tensor]:
        """The vectors of words: `embeddings` float [n, D], zero for unknown words, and `known` bool [n]."""
        ids = self.lookup(words)
        known = ids >= 0
        return {
            "embeddings": tf.where(known[:, tf.newaxis], tf.gather(self.vectors, tf.maximum(ids, 0)), 0.0),
            "known": known,
        }

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "words"), tf.TensorSpec([], tf.int32, "k")])
    def most_similar(self, words: tf.Tensor, k: tf.Tensor) -> dict[str, tf.Tensor]:
        """The words nearest by cosine, the nearest first, without the word itself.

        Args:
            words: string [n].
            k: int32 [], how many; of a smaller vocabulary, all.

        Returns:
            `neighbours` string [n, k] and `scores` float [n, k], empty and 0 for unknown words; `known` bool [n].
        """
        ids = self.lookup(words)
        known = ids >= 0
        k = tf.clip_by_value(k, 0, tf.shape(self.vectors)[0] - 1)

        def nearest(ids: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            scores = self._cosines(self.unit(ids), ids[:, tf.newaxis])
            return tuple(tf.math.top_k(scores, k))

        scores, neighbours = in_chunks(nearest, tf.maximum(ids, 0), (tf.float32, tf.int32))
        known_rows = known[:, tf.newaxis]
        return {
            "neighbours": tf.where(known_rows, self.words.lookup(tf.cast(neighbours, tf.int64)), ""),
            "scores": tf.where(known_rows, scores, 0.0),
            "known": known,
        }

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "examples")])
    def evaluate(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """Answers the Evaluator's questions, serialized as `components.questions` has them.

        Returns:
            `score` float [n]: for a pair of words their cosine; for an analogy a : b :: c : d 1 if d is, of all words
            but a, b and c, the one nearest to b - a + c (3CosAdd, Levy and Goldberg 2014, equation 3), else 0; NaN
            where one of the words is not in the vocabulary.
        """
        questions = tf.io.parse_example(examples, {key: FEATURES[key] for key in (WORDS, SCORE)})[WORDS]
        ids = tf.reshape(self.lookup(tf.reshape(questions, [-1])), [-1, 4])
        is_analogy = questions[:, 2] != ""
        covered = tf.reduce_all((ids >= 0) | ((questions == "") & ~is_analogy[:, tf.newaxis]), axis=1)
        known = tf.maximum(ids, 0)
        cosine = tf.reduce_sum(self.unit(known[:, 0]) * self.unit(known[:, 1]), -1)
        asked = tf.where(is_analogy & covered)[:, 0]
        answers = tf.cast(self._answers(tf.gather(known, asked)), tf.float32)
        right = tf.scatter_nd(asked[:, tf.newaxis], answers, tf.shape(cosine, tf.int64))
        return {"score": tf.where(covered, tf.where(is_analogy, right, cosine), float("nan"))}

    def _answers(self, ids: tf.Tensor) -> tf.Tensor:
        """Whether 3CosAdd gives d: bool [n], from a, b, c, d: int64 [n, 4]."""

        def predict(ids: tf.Tensor) -> tuple[tf.Tensor]:
            queries = self.unit(ids[:, 1]) - self.unit(ids[:, 0]) + self.unit(ids[:, 2])
            return (tf.argmax(self._cosines(queries, ids[:, :3]), -1) == ids[:, 3],)

        return in_chunks(predict, ids, (tf.bool,))[0]

    def lookup(self, words: tf.Tensor) -> tf.Tensor:
        """The ids of words: int64 [n], -1 for unknown words."""
        return self.ids.lookup(text.normalize_words(words))

    def unit(self, ids: tf.Tensor) -> tf.Tensor:
        """The vectors of ids at length 1: float [n, D]."""
        return tf.gather(self.vectors, ids) / tf.gather(self.norms, ids)[:, tf.newaxis]

    def _cosines(self, queries: tf.Tensor, excluded: tf.Tensor) -> tf.Tensor:
        """The products of queries (float [n, D]) with all unit vectors: float [n, V].

        They are -inf for the ids excluded (int64 [n, e]).
        """
        scores = tf.matmul(queries, self.vectors, transpose_b=True) / self.norms
        rows = tf.repeat(tf.range(tf.shape(excluded, tf.int64)[0]), tf.shape(excluded)[1])
        places = tf.stack([rows, tf.reshape(excluded, [-1])], -1)
        return tf.tensor_scatter_nd_update(scores, places, tf.fill([tf.shape(places)[0]], -float("inf")))


def in_chunks(
    function: Callable[[tf.Tensor], tuple[tf.Tensor, ...]], ids: tf.Tensor, dtypes: tuple[tf.DType, ...]
) -> Any:
    """Applies a function to some rows at a time, to bound memory whatever the batch; joins what it returns."""
    count = tf.shape(ids)[0]
    chunks = tf.maximum(-(-count // QUERIES_AT_A_TIME), 1)  # of no rows too, one chunk, which gives the shapes
    parts = tuple(tf.TensorArray(dtype, size=chunks, infer_shape=False) for dtype in dtypes)
    _, parts = tf.while_loop(
        lambda i, _: i < chunks,
        lambda i, arrays: (
            i + 1,
            tuple(
                array.write(i, value)
                for array, value in zip(
                    arrays, function(ids[i * QUERIES_AT_A_TIME : (i + 1) * QUERIES_AT_A_TIME]), strict=True
                )
            ),
        ),
        (0, parts),
    )
    return tuple(part.concat() for part in parts)
