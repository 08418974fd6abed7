"""The SavedModel that TF Serving serves and the Evaluator measures: vectors, vocabulary, and what one asks of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from components import text, vocabulary
from components.questions import FEATURES, SCORE, WORDS

# Queries and words of the vocabulary whose scores are held at a time: 256 x 8192 x 4 bytes are 8 MB.
QUERIES_AT_A_TIME = 256
ROWS_AT_A_TIME = 8192

# How far down the list the right answer to an analogy is looked for.
TOP = 5


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
            ((scores, neighbours),) = self._nearest(ids, lambda cosines: (cosines,), ids[:, tf.newaxis], k)
            return scores, neighbours

        scores, neighbours = in_chunks(nearest, tf.maximum(ids, 0), (tf.float32, tf.int64))
        known_rows = known[:, tf.newaxis]
        return {
            "neighbours": tf.where(known_rows, self.words.lookup(neighbours), ""),
            "scores": tf.where(known_rows, scores, 0.0),
            "known": known,
        }

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "examples")])
    def evaluate(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """Answers the Evaluator's questions, serialized as `components.questions` has them.

        Returns:
            `answers` float [n, 3], as `components.questions.ANSWERS` names them. For a pair of words their cosine, and
            NaN twice. For an analogy a : b :: c : d NaN, and the rank of d among all words but a, b and c, from 1 to
            TOP, infinity beyond: first by 3CosAdd, cos(d, b - a + c), then by 3CosMul,
            cos(d, b) cos(d, c) / (cos(d, a) + 1e-6) with cosines moved to [0, 1] (Levy and Goldberg 2014, equations 3
            and 4). All NaN where one of the words is not in the vocabulary.
        """
        questions = tf.io.parse_example(examples, {key: FEATURES[key] for key in (WORDS, SCORE)})[WORDS]
        ids = tf.reshape(self.lookup(tf.reshape(questions, [-1])), [-1, 4])
        is_analogy = questions[:, 2] != ""
        covered = tf.reduce_all((ids >= 0) | ((questions == "") & ~is_analogy[:, tf.newaxis]), axis=1)
        known = tf.maximum(ids, 0)
        cosine = tf.reduce_sum(self.unit(known[:, 0]) * self.unit(known[:, 1]), -1)
        asked = tf.where(is_analogy & covered)
        ranks = tf.stack(in_chunks(self._ranks, tf.gather_nd(known, asked), (tf.float32, tf.float32)), -1)
        nothing = tf.fill([tf.shape(ids)[0], 2], float("nan"))
        cosine = tf.where(covered & ~is_analogy, cosine, float("nan"))
        return {"answers": tf.concat([cosine[:, tf.newaxis], tf.tensor_scatter_nd_update(nothing, asked, ranks)], -1)}

    def _ranks(self, ids: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The rank of d by 3CosAdd and by 3CosMul: float [n] each, from a, b, c, d: int64 [n, 4]."""
        # The questions of a section share their words: each word's cosines are computed once.
        words, places = tf.unique(tf.reshape(ids[:, :3], [-1]))
        places = tf.reshape(places, [-1, 3])

        def score(cosines: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            a, b, c = (tf.gather(cosines, places[:, column]) for column in range(3))
            return b - a + c, (1 + b) * (1 + c) / (1 + a + 2e-6)

        found = self._nearest(words, score, ids[:, :3], TOP)
        ranks = tf.range(1, TOP + 1, dtype=tf.float32)
        return tuple(
            tf.reduce_min(tf.where(nearest == ids[:, 3:], ranks[: tf.shape(nearest)[1]], float("inf")), -1)
            for _, nearest in found
        )

    def lookup(self, words: tf.Tensor) -> tf.Tensor:
        """The ids of words: int64 [n], -1 for unknown words."""
        return self.ids.lookup(text.normalize_words(words))

    def unit(self, ids: tf.Tensor) -> tf.Tensor:
        """The vectors of ids at length 1: float [n, D]."""
        return tf.gather(self.vectors, ids) / tf.gather(self.norms, ids)[:, tf.newaxis]

    def _nearest(
        self,
        ids: tf.Tensor,
        score: Callable[[tf.Tensor], tuple[tf.Tensor, ...]],
        excluded: tf.Tensor,
        k: tf.Tensor | int,
    ) -> list[tuple[tf.Tensor, tf.Tensor]]:
        """The words with the highest scores, the highest first, from one block of the vocabulary to the next.

        Args:
            ids: int64 [w], the words whose cosines with all others the scores are made of.
            score: from these cosines with a block (float [w, b]) to one or more scores (float [n, b]).
            excluded: int64 [n, e], words that are never among the highest.
            k: how many; of a vocabulary with fewer others, all.

        Returns:
            For each score (its highest values: float [n, k], their ids: int64 [n, k]).
        """
        queries, size = self.unit(ids), tf.shape(self.vectors)[0]
        wanted = k + tf.shape(excluded)[1]

        def merge_block(start: tf.Tensor, best: Any) -> tuple[tf.Tensor, Any]:
            stop = tf.minimum(start + ROWS_AT_A_TIME, size)
            cosines = tf.matmul(queries, self.vectors[start:stop], transpose_b=True) / self.norms[start:stop]
            return stop, [
                _highest(scores, ids, *_in_block(scores_of_block, start, wanted), wanted)
                for (scores, ids), scores_of_block in zip(best, score(cosines), strict=True)
            ]

        nothing = (tf.zeros([tf.shape(excluded)[0], 0]), tf.zeros([tf.shape(excluded)[0], 0], tf.int64))
        outputs = len(score(tf.zeros([tf.shape(ids)[0], 0])))
        shapes = [(tf.TensorShape([None, None]), tf.TensorShape([None, None]))] * outputs
        _, best = tf.while_loop(
            lambda start, _: start < size,
            merge_block,
            (tf.constant(0), [nothing] * outputs),
            shape_invariants=(tf.TensorShape([]), shapes),
            parallel_iterations=1,
        )
        return [_without(scores, found, excluded, k) for scores, found in best]


def _in_block(scores: tf.Tensor, start: tf.Tensor, k: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    highest, places = tf.math.top_k(scores, tf.minimum(k, tf.shape(scores)[1]))
    return highest, tf.cast(places + start, tf.int64)


def _highest(
    scores: tf.Tensor, ids: tf.Tensor, more_scores: tf.Tensor, more_ids: tf.Tensor, k: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """The k highest of both: the scores, and their ids."""
    scores, ids = tf.concat([scores, more_scores], 1), tf.concat([ids, more_ids], 1)
    highest, places = tf.math.top_k(scores, tf.minimum(k, tf.shape(scores)[1]))
    return highest, tf.gather(ids, places, batch_dims=1)


def _without(scores: tf.Tensor, ids: tf.Tensor, excluded: tf.Tensor, k: tf.Tensor | int) -> tuple[tf.Tensor, tf.Tensor]:
    """Without some ids in each row, the first k of the others, or as many as every row has."""
    is_excluded = tf.reduce_any(ids[:, :, tf.newaxis] == excluded[:, tf.newaxis], -1)
    left = tf.maximum(tf.shape(ids)[1] - tf.shape(excluded)[1], 0)
    highest, places = tf.math.top_k(tf.where(is_excluded, -float("inf"), scores), tf.minimum(k, left))
    return highest, tf.gather(ids, places, batch_dims=1)


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
