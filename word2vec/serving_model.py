"""The SavedModel that TF Serving serves and the Evaluator measures: vectors, vocabulary, and what one asks of them."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from word2vec import phrases, search, text, vocabulary, warmup
from word2vec.questions import MOST_TOGETHER, WORDS, WORDS_EACH, features
from word2vec.signatures import MOST_ANSWERS, MOST_NEIGHBOURS, MOST_WORDS, SIGNATURES

# SIF's weight of a word of probability p is a / (a + p) (Arora, Liang and Ma 2017, equation 3, and section 4.1 for a).
SIF_A = 1e-3

# There is no Python control flow on tensors here, and AutoGraph takes most of the time of tracing to look for it.
_graph = functools.partial(tf.function, autograph=False)

_K = tf.TensorSpec(None, tf.int32, "k")
_LISTS = ("positive", "negative")
_AMONG = tf.TensorSpec([None], tf.int32, "restrict_vocab")
_ASKED = [
    tf.TensorSpec([None, None], tf.int64, "ids"), tf.TensorSpec([None, None], tf.int64, "signs"),
    tf.TensorSpec([None], tf.bool, "known"), _K, _AMONG,
]  # fmt: skip


class ServingModel(tf.Module):
    """Answers questions about words; each word passes the normalisation that the corpus passed.

    The vectors are stored once, at length 1 beside their lengths: what is asked most are cosines.

    Args:
        vectors: float [V, D], one row per word of the vocabulary.
        vocabulary_path: the vocabulary's asset.
        phrase_paths: the phrases' assets, a pass after the other.
    """

    def __init__(self, vectors: tf.Tensor | np.ndarray, vocabulary_path: str, phrase_paths: Sequence[str] = ()):
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
        self.phrase_assets = [tf.saved_model.Asset(path) for path in phrase_paths]
        self.phrases = [vocabulary.word_table(asset.asset_path) for asset in self.phrase_assets]

    def save(self, folder: str) -> None:
        """Writes the SavedModel with its signatures, and for each a request with which TF Serving warms up."""
        methods = {name: getattr(self, "embed" if name == "serving_default" else name) for name in SIGNATURES}
        tf.saved_model.save(self, folder, signatures=methods)
        warmup.write(folder, self._most_frequent, self.unit.shape[1])

    @_graph(input_signature=[tf.TensorSpec([None], tf.string, "words")])
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

    @_graph(input_signature=[tf.TensorSpec([None], tf.string, "words"), _K])
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
        return self._by_sums(ids, tf.ones_like(ids), ids[:, 0] >= 0, k, self._all(ids))

    @_graph(input_signature=[tf.TensorSpec([None], tf.string, name) for name in ("word1", "word2")])
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

    @_graph(input_signature=[*(tf.TensorSpec([None], tf.string, name) for name in "abc"), _K])
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
        signs = tf.broadcast_to(tf.constant([[-1, 1, 1]], tf.int64), tf.shape(ids))
        answer = self._by_sums(ids, signs, tf.reduce_all(ids >= 0, 1), k, self._all(ids))
        return {"answers": answer.pop("neighbours"), **answer}

    @_graph(input_signature=[*(tf.TensorSpec([None], tf.string, name) for name in _LISTS), _K, _AMONG])
    def nearest(
        self, positive: tf.Tensor, negative: tf.Tensor, k: tf.Tensor, restrict_vocab: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """The words nearest to the sum of some words less that of others (3CosAdd), without these words.

        Args:
            positive: string [n], at most MOST_WORDS words with blanks between them.
            negative: string [n], likewise; either may be empty.
            k: int32 [] or [n], as in `most_similar`.
            restrict_vocab: int32 [n], or [1] for all rows, how many of the most frequent words are looked at; 0 for
                all.

        Returns:
            As `most_similar`; `known` bool [n], whether there is a word and all are known.
        """
        return self._by_sums(*self._terms(positive, negative), k, restrict_vocab)

    @_graph(input_signature=[*(tf.TensorSpec([None], tf.string, name) for name in _LISTS), _K, _AMONG])
    def nearest_cosmul(
        self, positive: tf.Tensor, negative: tf.Tensor, k: tf.Tensor, restrict_vocab: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """As `nearest`, by the product of the cosines over that of the negative words' (3CosMul).

        Levy and Goldberg 2014, equation 4, with cosines moved to [0, 1]. These are the `scores`.

        Args:
            positive: string [n], as in `nearest`.
            negative: string [n].
            k: int32 [] or [n].
            restrict_vocab: int32 [n].
        """
        return self._by_products(*self._terms(positive, negative), k, restrict_vocab)

    @_graph(
        input_signature=[
            tf.TensorSpec([None, None], tf.float32, "vectors"), tf.TensorSpec([None], tf.string, "without"), _K, _AMONG
        ]
    )  # fmt: skip
    def nearest_to_vector(
        self, vectors: tf.Tensor, without: tf.Tensor, k: tf.Tensor, restrict_vocab: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """The words nearest to vectors that one brings.

        Args:
            vectors: float [n, D], of any length; finite.
            without: string [n], words that are no answers, with blanks between them; perhaps none.
            k: int32 [] or [n], as in `most_similar`.
            restrict_vocab: int32 [n], as in `nearest`.

        Returns:
            As `most_similar`; `known` bool [n], whether the vector is another than zero.
        """
        unit = self.unit.read_value()
        fits = tf.debugging.Assert(
            tf.shape(vectors)[1] == unit.shape[1], [f"vectors: expected {unit.shape[1]} numbers per row"]
        )
        finite = tf.debugging.Assert(tf.reduce_all(tf.math.is_finite(vectors)), ["vectors: expected finite numbers"])
        _, ids = self._listed(without)
        with tf.control_dependencies([fits, finite]):
            largest = tf.reduce_max(tf.abs(vectors), 1, keepdims=True)
        queries = tf.math.l2_normalize(tf.math.divide_no_nan(vectors, largest), 1)  # squares of any length are finite
        k, most = self._bounded(k, tf.shape(ids))

        def nearest(queries: tf.Tensor, ids: tf.Tensor, among: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            rows = search.rows_at_a_time(tf.shape(queries)[0])
            return search.nearest(unit, search.cosines(queries), rows, ids, among, most)

        among = self._among(restrict_vocab, tf.shape(ids)[0])
        scores, ids = search.in_chunks(nearest, (queries, ids, among), (tf.float32, tf.int64))
        return self._named(scores, ids, tf.reduce_any(vectors != 0, 1), k)

    @_graph(input_signature=[tf.TensorSpec([None], tf.string, "words")])
    def doesnt_match(self, words: tf.Tensor) -> dict[str, tf.Tensor]:
        """The word that is the farthest from the mean of some words' unit vectors.

        Args:
            words: string [n], at most MOST_WORDS words with blanks between them; unknown ones are left out.

        Returns:
            `word` string [n], as it stands there, empty where none is known; `known` bool [n].
        """
        given, ids = self._listed(words)
        unit = self.unit.read_value()
        # A column more, so that there is one where no row has a word.
        one_more = [[0, 0], [0, 1]]

        def farthest(ids: tf.Tensor) -> tuple[tf.Tensor]:
            rows, there = tf.gather(unit, tf.maximum(ids, 0)), ids >= 0
            mean = tf.math.l2_normalize(tf.reduce_sum(tf.where(there[:, :, tf.newaxis], rows, 0.0), 1), 1)
            cosines = tf.where(there, tf.reduce_sum(rows * mean[:, tf.newaxis], 2), float("inf"))
            return (tf.argmin(tf.pad(cosines, one_more, constant_values=float("inf")), 1),)

        (places,) = search.in_chunks(farthest, (ids,), (tf.int64,))
        known = tf.reduce_any(ids >= 0, 1)
        named = tf.gather(tf.pad(given, one_more, constant_values=""), places, batch_dims=1)
        return {"word": tf.where(known, named, ""), "known": known}

    @_graph(input_signature=[tf.TensorSpec([None], tf.string, name) for name in ("words1", "words2")])
    def n_similarity(self, words1: tf.Tensor, words2: tf.Tensor) -> dict[str, tf.Tensor]:
        """The cosines between the means of words' vectors.

        Args:
            words1: string [n], at most MOST_WORDS words with blanks between them; unknown ones are left out.
            words2: string [n], likewise.

        Returns:
            `cosine` float [n]; `known` bool [n], whether both sides have a known word; else the cosine is 0.
        """
        lists = [self._listed(words)[1] for words in (words1, words2)]
        unit, norms = self.unit.read_value(), self.norms.read_value()

        def direction(ids: tf.Tensor) -> tf.Tensor:
            known = tf.maximum(ids, 0)
            lengths = tf.where(ids >= 0, tf.gather(norms, known), 0.0)
            return tf.math.l2_normalize(tf.reduce_sum(tf.gather(unit, known) * lengths[:, :, tf.newaxis], 1), 1)

        def cosine(one: tf.Tensor, other: tf.Tensor) -> tuple[tf.Tensor]:
            return (tf.reduce_sum(direction(one) * direction(other), 1),)

        (cosines,) = search.in_chunks(cosine, tuple(lists), (tf.float32,))
        return {"cosine": cosines, "known": tf.reduce_all([tf.reduce_any(ids >= 0, 1) for ids in lists], 0)}

    @_graph(input_signature=[tf.TensorSpec([None], tf.string, name) for name in ("word1", "word2")])
    def rank(self, word1: tf.Tensor, word2: tf.Tensor) -> dict[str, tf.Tensor]:
        """Which neighbour of the first word the second is.

        Args:
            word1: string [n].
            word2: string [n].

        Returns:
            `rank` int32 [n], 1 for the nearest other word and for the word itself, 0 where a word is unknown; `known`
            bool [n].
        """
        ids = tf.stack([self.lookup(word1), self.lookup(word2)], 1)
        known, unit = tf.reduce_all(ids >= 0, 1), self.unit.read_value()
        (closer,) = search.in_chunks(lambda pairs: search.closer(unit, pairs), (tf.maximum(ids, 0),), (tf.int32,))
        return {"rank": tf.where(known, 1 + closer, 0), "known": known}

    @_graph(input_signature=[tf.TensorSpec([None], tf.string, "texts")])
    def embed_text(self, texts: tf.Tensor) -> dict[str, tf.Tensor]:
        """Texts as the mean of their words' vectors, each weighted by a / (a + p(word)): SIF.

        Without the second step of Arora, Liang and Ma (2017), which takes the texts' first principal component away:
        that needs all of one's texts at once.

        Args:
            texts: string [n].

        Returns:
            `embeddings` float [n, D], zero where no word is known; `known_share` float [n], of the text's words.
        """
        encoded = text.encode(text.valid(texts))
        for table in self.phrases:
            encoded = phrases.join(encoded, table.lookup)
        tokens = encoded.indices
        ids = tf.gather(self.ids.lookup(encoded.tokens), tokens.flat_values)
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

    @_graph(input_signature=[tf.TensorSpec([None], tf.string, "examples")])
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

        ranks = tf.stack(search.in_chunks(ranks, (tf.gather_nd(known, asked),), (tf.float32, tf.float32)), -1)
        nothing = tf.fill([tf.shape(ids)[0], 2], float("nan"))
        cosine = tf.where(covered & ~is_analogy, self._cosine(known[:, :2]), float("nan"))
        answers = tf.concat([cosine[:, tf.newaxis], tf.tensor_scatter_nd_update(nothing, asked, ranks)], -1)
        return {"answers": tf.RaggedTensor.from_row_lengths(answers, counts).to_tensor(float("nan"))}

    # What several signatures do is a function of its own, so that the graph has it once.
    @_graph(input_signature=[tf.TensorSpec([None], tf.string, "words")])
    def lookup(self, words: tf.Tensor) -> tf.Tensor:
        """The ids of words: int64 [n], -1 for unknown words."""
        words = text.normalize_words(words)
        if self.phrases:  # `new york` and `new_york` are what the vocabulary calls new_york
            words = tf.strings.regex_replace(words, " +", phrases.JOINT)
        return self.ids.lookup(words)

    def _cosine(self, pairs: tf.Tensor) -> tf.Tensor:
        """Of pairs of ids, int64 [n, 2]: float [n]."""
        rows = tf.gather(self.unit.read_value(), pairs)
        return tf.reduce_sum(rows[:, 0] * rows[:, 1], -1)

    @_graph(input_signature=[tf.TensorSpec([None], tf.string, "words")])
    def _listed(self, words: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Words with blanks between them.

        Returns:
            (the words: string [n, w], empty where a row has fewer; their ids: int64 [n, w], -1 there and for unknown
            words).
        """
        listed = tf.strings.split(words)
        few = tf.debugging.Assert(
            tf.reduce_all(listed.row_lengths() <= MOST_WORDS), [f"at most {MOST_WORDS} words per row"]
        )
        with tf.control_dependencies([few]):
            given = tf.identity(listed.to_tensor(""))
        return given, tf.reshape(self.lookup(tf.reshape(given, [-1])), tf.shape(given))

    def _all(self, ids: tf.Tensor) -> tf.Tensor:
        """`restrict_vocab` of rows that look at all words."""
        return tf.zeros(tf.shape(ids)[:1], tf.int32)

    def _among(self, restrict_vocab: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        """How many of the first words are looked at for each of some rows: int32 [rows]."""
        size = tf.shape(self.unit)[0]
        return tf.broadcast_to(tf.where(restrict_vocab > 0, tf.minimum(restrict_vocab, size), size), [rows])

    def _terms(self, positive: tf.Tensor, negative: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """The ids of words to add and to take off, their signs, and whether all are known; see `_answer`."""
        (added, added_ids), (taken, taken_ids) = self._listed(positive), self._listed(negative)
        ids, given = tf.concat([added_ids, taken_ids], 1), tf.concat([added, taken], 1) != ""
        signs = tf.concat([tf.ones_like(added_ids), -tf.ones_like(taken_ids)], 1)
        known = tf.reduce_all((ids >= 0) | ~given, 1) & tf.reduce_any(given, 1)
        return ids, tf.where(given, signs, 0), known

    @_graph(input_signature=_ASKED)
    def _by_sums(
        self, ids: tf.Tensor, signs: tf.Tensor, known: tf.Tensor, k: tf.Tensor, restrict_vocab: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """`_answer` by 3CosAdd."""
        return self._answer(ids, signs, known, k, restrict_vocab, search.sums)

    @_graph(input_signature=_ASKED)
    def _by_products(
        self, ids: tf.Tensor, signs: tf.Tensor, known: tf.Tensor, k: tf.Tensor, restrict_vocab: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """`_answer` by 3CosMul."""
        return self._answer(ids, signs, known, k, restrict_vocab, search.products)

    def _answer(
        self,
        ids: tf.Tensor,
        signs: tf.Tensor,
        known: tf.Tensor,
        k: tf.Tensor,
        restrict_vocab: tf.Tensor,
        scored: search.Scored,
    ) -> dict[str, tf.Tensor]:
        """The words nearest to what some words give, without these.

        Args:
            ids: int64 [n, w], -1 for unknown words and where there is none.
            signs: int64 [n, w], 1 or -1; 0 where there is no word.
            known: bool [n], whether there is an answer.
            k: int32 [] or [n].
            restrict_vocab: int32 [n].
            scored: from unit vectors, float [m, w, D], and signs, float [m, w], to scores.
        """
        k, most = self._bounded(k, tf.shape(ids))
        unit = self.unit.read_value()

        def nearest(ids: tf.Tensor, signs: tf.Tensor, among: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            scores_of, queries = scored(tf.gather(unit, tf.maximum(ids, 0)), tf.cast(signs, unit.dtype))
            return search.nearest(unit, scores_of, search.rows_at_a_time(queries), ids, among, most)

        rows = ids, signs, self._among(restrict_vocab, tf.shape(ids)[0])
        scores, found = search.in_chunks(nearest, rows, (tf.float32, tf.int64))
        return self._named(scores, found, known, k)

    def _bounded(self, k: tf.Tensor, shape: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """How many neighbours each of n rows gets, int32 [n], and the most of them, from w words per row: [n, w]."""
        # Not all of the w words: each row has as many of them as it has, and others may be filled up.
        others = tf.maximum(tf.shape(self.unit)[0] - tf.minimum(shape[1], 1), 0)
        k = tf.clip_by_value(k, 0, tf.minimum(others, MOST_NEIGHBOURS))
        most = tf.reduce_max(tf.concat([tf.reshape(k, [-1]), [0]], 0))
        asked = tf.cast(shape[0], tf.int64) * tf.cast(most, tf.int64)
        tf.debugging.Assert(asked <= MOST_ANSWERS, [f"rows x neighbours: at most {MOST_ANSWERS:,}"])
        return tf.broadcast_to(k, shape[:1]), most

    def _named(self, scores: tf.Tensor, ids: tf.Tensor, known: tf.Tensor, k: tf.Tensor) -> dict[str, tf.Tensor]:
        """What was found as the signatures give it."""
        there = known[:, tf.newaxis] & (tf.range(tf.shape(ids)[1]) < k[:, tf.newaxis]) & (scores > -float("inf"))
        neighbours = tf.where(there, self.words.lookup(ids), "")
        return {"neighbours": neighbours, "scores": tf.where(there, scores, 0.0), "known": known}


def weights(counts: np.ndarray) -> np.ndarray:
    """SIF's weights of words, float32 [V], from their counts, [V]."""
    return (SIF_A / (SIF_A + counts / counts.sum())).astype(np.float32)
