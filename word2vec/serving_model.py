"""The SavedModel that TF Serving serves and the Evaluator measures: vectors, vocabulary, and what one asks of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

from word2vec import search, text, vocabulary, warmup
from word2vec.questions import MOST_TOGETHER, WORDS, WORDS_EACH, features

# Neighbours that a query gets at most: a request for all of a million words' neighbours would take all memory.
MOST_NEIGHBOURS = 1000

# Rows times neighbours that a request gets at most: 10,000 words' 1,000 neighbours would take gigabytes.
MOST_ANSWERS = 1_000_000

# SIF's weight of a word of probability p is a / (a + p) (Arora, Liang and Ma 2017, equation 3, and section 4.1 for a).
SIF_A = 1e-3

_K = tf.TensorSpec(None, tf.int32, "k")


@dataclasses.dataclass(frozen=True)
class Signature:
    """What a signature takes and gives, by name; the first dimension is a row per question."""

    inputs: Mapping[str, tf.DType]
    outputs: Mapping[str, tf.DType]


_FOUND = {"scores": tf.float32, "known": tf.bool}
SIGNATURES = {
    "serving_default": Signature({"words": tf.string}, {"embeddings": tf.float32, "known": tf.bool}),
    "most_similar": Signature({"words": tf.string, "k": tf.int32}, {"neighbours": tf.string, **_FOUND}),
    "similarity": Signature({"word1": tf.string, "word2": tf.string}, {"cosine": tf.float32, "known": tf.bool}),
    "analogy": Signature({**dict.fromkeys("abc", tf.string), "k": tf.int32}, {"answers": tf.string, **_FOUND}),
    "embed_text": Signature({"texts": tf.string}, {"embeddings": tf.float32, "known_share": tf.float32}),
    "evaluate": Signature({"examples": tf.string}, {"answers": tf.float32}),
}


class ServingModel(tf.Module):
    """Answers questions about words; each word passes the normalisation that the corpus passed.

    The vectors are stored once, at length 1 beside their lengths: what is asked most are cosines.

    Args:
        vectors: float [V, D], one row per word of the vocabulary.
        vocabulary_path: the vocabulary's asset.
    """

    def __init__(self, vectors: tf.Tensor | np.ndarray, vocabulary_path: str):
        super().__init__()
        # Not a copy; nor does einsum make one, as np.linalg.norm would.
        table = vectors if isinstance(vectors, np.ndarray) else np.asarray(memoryview(vectors))
        norms = np.maximum(np.sqrt(np.einsum("vd,vd->v", table, table)), 1e-12)
        # Gathering is always from a value that was read: once a variable's own rows have been gathered, TensorFlow
        # copies the whole variable at each later reading.
        self.unit = tf.Variable(vectors / norms[:, np.newaxis], trainable=False, name="unit")
        self.norms = tf.Variable(norms, trainable=False, name="norms")
        words = vocabulary.read(vocabulary_path)
        self.weights = tf.Variable(weights(words.counts), trainable=False, name="weights")
        self._most_frequent = words.words[: warmup.WORDS]
        self.asset = tf.saved_model.Asset(vocabulary_path)
        self.ids = vocabulary.word_table(self.asset.asset_path)
        self.words = vocabulary.id_table(self.asset.asset_path)

    def save(self, folder: str) -> None:
        """Writes the SavedModel with its signatures, and for each a request with which TF Serving warms up."""
        methods = {name: getattr(self, "embed" if name == "serving_default" else name) for name in SIGNATURES}
        tf.saved_model.save(self, folder, signatures=methods)
        warmup.write(folder, self._most_frequent)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "words")])
    def embed(self, words: tf.Tensor) -> dict[str, tf.Tensor]:
        """The vectors of words.

        Args:
            words: string [n].

        Returns:
            `embeddings` float [n, D], zero for unknown words; `known` bool [n].
        """
        ids = self.lookup(words)
        known, ids = ids >= 0, tf.maximum(ids, 0)
        lengths = tf.where(known, tf.gather(self.norms.read_value(), ids), 0.0)
        return {"embeddings": tf.gather(self.unit.read_value(), ids) * lengths[:, tf.newaxis], "known": known}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "words"), _K])
    def most_similar(self, words: tf.Tensor, k: tf.Tensor) -> dict[str, tf.Tensor]:
        """The words nearest by cosine, the nearest first, without the word itself.

        Args:
            words: string [n].
            k: int32 [] or [n], how many; as many as there are of a smaller vocabulary, and at most MOST_NEIGHBOURS.
                n times max(k) is at most MOST_ANSWERS.

        Returns:
            `neighbours` string [n, max(k)] and `scores` float [n, max(k)], empty and 0 for unknown words and beyond a
            row's own k; `known` bool [n].
        """
        ids = self.lookup(words)[:, tf.newaxis]
        neighbours, scores, known = self._answer(ids, lambda rows: rows[:, 0], k)
        return {"neighbours": neighbours, "scores": scores, "known": known}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name) for name in ("word1", "word2")])
    def similarity(self, word1: tf.Tensor, word2: tf.Tensor) -> dict[str, tf.Tensor]:
        """The cosines of pairs of words.

        Args:
            word1: string [n].
            word2: string [n].

        Returns:
            `cosine` float [n], 0 where a word is unknown; `known` bool [n], whether both are known.
        """
        ids = tf.stack([self.lookup(word1), self.lookup(word2)], 1)
        known = tf.reduce_all(ids >= 0, 1)
        return {"cosine": tf.where(known, self._cosine(tf.maximum(ids, 0)), 0.0), "known": known}

    @tf.function(input_signature=[*(tf.TensorSpec([None], tf.string, name) for name in "abc"), _K])
    def analogy(self, a: tf.Tensor, b: tf.Tensor, c: tf.Tensor, k: tf.Tensor) -> dict[str, tf.Tensor]:
        """What is to c as b is to a: the words nearest to b - a + c (3CosAdd), without a, b and c.

        Args:
            a: string [n].
            b: string [n].
            c: string [n].
            k: int32 [] or [n], as in `most_similar`.

        Returns:
            `answers` string [n, max(k)] and `scores` float [n, max(k)], the cosines with b - a + c of unit vectors, as
            in `most_similar`; `known` bool [n], whether all three are known.
        """
        ids = tf.stack([self.lookup(words) for words in (a, b, c)], 1)

        def directions(rows: tf.Tensor) -> tf.Tensor:
            return tf.math.l2_normalize(rows[:, 1] - rows[:, 0] + rows[:, 2], 1)

        answers, scores, known = self._answer(ids, directions, k)
        return {"answers": answers, "scores": scores, "known": known}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "texts")])
    def embed_text(self, texts: tf.Tensor) -> dict[str, tf.Tensor]:
        """Texts as the mean of their words' vectors, each weighted by a / (a + p(word)): SIF.

        Without the second step of Arora, Liang and Ma (2017), which takes the texts' first principal component away:
        that needs all of one's texts at once.

        Args:
            texts: string [n].

        Returns:
            `embeddings` float [n, D], zero where no word is known; `known_share` float [n], of the text's words.
        """
        tokens = text.tokenize(text.valid(texts))
        ids = self.ids.lookup(tokens.flat_values)
        known = tf.where(ids >= 0)
        ids = tf.gather_nd(ids, known)
        rows = tf.gather_nd(tokens.value_rowids(), known)
        size = tf.stack([tokens.nrows(), tf.shape(self.unit, tf.int64)[0]])
        # A sparse product adds each word's row up where it is: a long text's vectors never stand beside each other.
        bags = tf.SparseTensor(
            tf.stack([rows, ids], 1),
            tf.gather(self.weights.read_value(), ids) * tf.gather(self.norms.read_value(), ids),
            size,
        )
        sums = tf.sparse.sparse_dense_matmul(bags, self.unit)
        counts = tf.math.unsorted_segment_sum(tf.ones_like(rows, tf.float32), rows, tokens.nrows())
        lengths = tf.maximum(tf.cast(tokens.row_lengths(), tf.float32), 1)
        return {"embeddings": sums / tf.maximum(counts, 1)[:, tf.newaxis], "known_share": counts / lengths}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "examples")])
    def evaluate(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """Answers the Evaluator's questions, serialized as `word2vec.questions` has them.

        Returns:
            `answers` float [n, q, 3], as `word2vec.questions.ANSWERS` names them; q is how many questions the examples
            have at most, and an example that has fewer is filled up with NaN. For a pair of words their cosine, and NaN
            twice. For an analogy a : b :: c : d NaN, and the rank of d among all words but a, b and c, 1 the first: by
            3CosAdd, cos(d, b - a + c), then by 3CosMul, cos(d, b) cos(d, c) / (cos(d, a) + 1e-6) with cosines moved to
            [0, 1] (Levy and Goldberg 2014, equations 3 and 4). All NaN where one of the words is not in the vocabulary.
        """
        words = tf.io.parse_example(examples, {WORDS: features()[WORDS]})[WORDS]
        lengths, counts = words.row_lengths(), words.row_lengths() // WORDS_EACH
        whole = tf.debugging.Assert(
            tf.reduce_all(lengths % WORDS_EACH == 0), [f"{WORDS}: expected {WORDS_EACH} per question"]
        )
        # The answer is as wide for all examples as for the longest.
        few = tf.debugging.Assert(
            tf.reduce_all(counts <= MOST_TOGETHER), [f"{WORDS}: at most {MOST_TOGETHER} questions per example"]
        )
        with tf.control_dependencies([whole, few]):
            questions = tf.reshape(words.flat_values, [-1, WORDS_EACH])
        ids = tf.reshape(self.lookup(tf.reshape(questions, [-1])), [-1, WORDS_EACH])
        is_analogy = questions[:, 2] != ""
        covered = tf.reduce_all((ids >= 0) | ((questions == "") & ~is_analogy[:, tf.newaxis]), axis=1)
        known = tf.maximum(ids, 0)
        asked, unit = tf.where(is_analogy & covered), self.unit.read_value()

        def ranks(ids: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return search.ranks(unit, ids)

        ranks = tf.stack(search.in_chunks(ranks, tf.gather_nd(known, asked), (tf.float32, tf.float32)), -1)
        nothing = tf.fill([tf.shape(ids)[0], 2], float("nan"))
        cosine = tf.where(covered & ~is_analogy, self._cosine(known[:, :2]), float("nan"))
        answers = tf.concat([cosine[:, tf.newaxis], tf.tensor_scatter_nd_update(nothing, asked, ranks)], -1)
        return {"answers": tf.RaggedTensor.from_row_lengths(answers, counts).to_tensor(float("nan"))}

    def lookup(self, words: tf.Tensor) -> tf.Tensor:
        """The ids of words: int64 [n], -1 for unknown words."""
        return self.ids.lookup(text.normalize_words(words))

    def _cosine(self, pairs: tf.Tensor) -> tf.Tensor:
        """Of pairs of ids, int64 [n, 2]: float [n]."""
        rows = tf.gather(self.unit.read_value(), pairs)
        return tf.reduce_sum(rows[:, 0] * rows[:, 1], -1)

    def _answer(
        self, ids: tf.Tensor, directions: Callable[[tf.Tensor], tf.Tensor], k: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """The words nearest to a direction that some words give, without these.

        Args:
            ids: int64 [n, w], -1 for unknown words.
            directions: from their unit vectors, float [m, w, D], to the directions, float [m, D].
            k: int32 [] or [n].

        Returns:
            (words: string [n, max(k)], cosines: float [n, max(k)], known: bool [n]).
        """
        known = tf.reduce_all(ids >= 0, 1)
        others = tf.maximum(tf.shape(self.unit)[0] - tf.shape(ids)[1], 0)
        k = tf.clip_by_value(k, 0, tf.minimum(others, MOST_NEIGHBOURS))
        most = tf.reduce_max(tf.concat([tf.reshape(k, [-1]), [0]], 0))
        asked = tf.cast(tf.shape(ids)[0], tf.int64) * tf.cast(most, tf.int64)
        tf.debugging.Assert(asked <= MOST_ANSWERS, [f"rows x neighbours: at most {MOST_ANSWERS:,}"])
        k = tf.broadcast_to(k, tf.shape(ids)[:1])

        unit = self.unit.read_value()

        def nearest(ids: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return search.nearest(unit, directions(tf.gather(unit, ids)), ids, most)

        scores, nearest_ids = search.in_chunks(nearest, tf.maximum(ids, 0), (tf.float32, tf.int64))
        wanted = known[:, tf.newaxis] & (tf.range(most) < k[:, tf.newaxis])
        return tf.where(wanted, self.words.lookup(nearest_ids), ""), tf.where(wanted, scores, 0.0), known


def weights(counts: np.ndarray) -> np.ndarray:
    """SIF's weights of words, float32 [V], from their counts, [V]."""
    return (SIF_A / (SIF_A + counts / counts.sum())).astype(np.float32)
