"""The SavedModel that TF Serving serves and the Evaluator measures: vectors, vocabulary, and what one asks of them."""

from __future__ import annotations

import tensorflow as tf

from word2vec import search, warmup
from word2vec.questions import MOST_TOGETHER, WORDS, WORDS_EACH, features
from word2vec.served_words import Found, ServedWords, answered, graph
from word2vec.signatures import MOST_ANSWERS, MOST_NEIGHBOURS, MOST_WORDS, SIGNATURES, WITH_SUBWORDS

_K = tf.TensorSpec(None, tf.int32, "k")
_LISTS = ("positive", "negative")
_EXAMPLES = tf.TensorSpec([None], tf.string, "examples")
_AMONG = tf.TensorSpec([None], tf.int32, "restrict_vocab")
_ASKED = [
    tf.TensorSpec([None, None], tf.int64, "ids"), tf.TensorSpec([None, None], tf.int64, "signs"),
    tf.TensorSpec([None, None], tf.float32, "composed"), tf.TensorSpec([None], tf.bool, "answered"), _K, _AMONG,
]  # fmt: skip


class ServingModel(ServedWords):
    """Answers questions about words; each word passes the normalisation that the corpus passed.

    Where words can be composed of their n-grams, each signature that gives `known` of words gives `composed` too: bool
    [n], whether a row has an answer though not all of its words are in the vocabulary.

    What it is made of, and how words are looked up, is `ServedWords`'.
    """

    def save(self, folder: str) -> None:
        """Writes the SavedModel with its signatures, and for each a request with which TF Serving warms up."""
        methods = {
            name: getattr(self, "embed" if name == "serving_default" else name)
            for name in SIGNATURES
            if name not in WITH_SUBWORDS
        }
        if self.composes:  # else it would be traced all the same if it were one of the module's functions
            methods["evaluate_composed"] = graph(self.evaluate_composed, input_signature=[_EXAMPLES])
        tf.saved_model.save(self, folder, signatures=methods)
        warmup.write(folder, self._most_frequent, self.unit.shape[1], methods)

    @graph(input_signature=[tf.TensorSpec([None], tf.string, "words")])
    def embed(self, words: tf.Tensor) -> dict[str, tf.Tensor]:
        """The vectors of words.

        Args:
            words: string [n].

        Returns:
            `embeddings` float [n, D], zero for unknown words; `known` bool [n].
        """
        found = self.find(words)
        lengths = self.lengths_of(found.ids, found.norms)[:, tf.newaxis]
        return {"embeddings": self.unit_of(found.ids, found.unit) * lengths, **self.kinds(found.ids[:, tf.newaxis])}

    @graph(input_signature=[tf.TensorSpec([None], tf.string, "words"), _K])
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
        found = self.find(words)
        ids = found.ids[:, tf.newaxis]
        kinds = self.kinds(ids)
        nearest = self._by_sums(ids, tf.ones_like(ids), found.unit, answered(kinds), k, self._all(ids))
        return {**nearest, **kinds}

    @graph(input_signature=[tf.TensorSpec([None], tf.string, name) for name in ("word1", "word2")])
    def similarity(self, word1: tf.Tensor, word2: tf.Tensor) -> dict[str, tf.Tensor]:
        """The cosines of pairs of words.

        Args:
            word1: string [n].
            word2: string [n].

        Returns:
            `cosine` float [n], 0 where a word is unknown; `known` bool [n], whether both are known.
        """
        found = self._columns(word1, word2)
        kinds = self.kinds(found.ids)
        return {"cosine": tf.where(answered(kinds), self._cosine(found), 0.0), **kinds}

    @graph(input_signature=[*(tf.TensorSpec([None], tf.string, name) for name in "abc"), _K])
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
        found = self._columns(a, b, c)
        signs = tf.broadcast_to(tf.constant([[-1, 1, 1]], tf.int64), tf.shape(found.ids))
        kinds = self.kinds(found.ids)
        nearest = self._by_sums(found.ids, signs, found.unit, answered(kinds), k, self._all(found.ids))
        return {"answers": nearest["neighbours"], "scores": nearest["scores"], **kinds}

    @graph(input_signature=[*(tf.TensorSpec([None], tf.string, name) for name in _LISTS), _K, _AMONG])
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
        terms, kinds = self._terms(positive, negative)
        return {**self._by_sums(*terms, k, restrict_vocab), **kinds}

    @graph(input_signature=[*(tf.TensorSpec([None], tf.string, name) for name in _LISTS), _K, _AMONG])
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
        terms, kinds = self._terms(positive, negative)
        return {**self._by_products(*terms, k, restrict_vocab), **kinds}

    @graph(
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
        given = self._listed(without)
        ids = tf.reshape(self.lookup(tf.reshape(given, [-1])), tf.shape(given))
        with tf.control_dependencies([fits, finite]):
            largest = tf.reduce_max(tf.abs(vectors), 1, keepdims=True)
        queries = tf.math.l2_normalize(tf.math.divide_no_nan(vectors, largest), 1)  # squares of any length are finite
        k, most = self._bounded(k, ids)

        def nearest(queries: tf.Tensor, ids: tf.Tensor, among: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            rows = search.rows_at_a_time(tf.shape(queries)[0])
            return search.nearest(unit, search.cosines(queries), rows, ids, among, most)

        among = self._among(restrict_vocab, tf.shape(ids)[0])
        scores, ids = search.in_chunks(nearest, (queries, ids, among), (tf.float32, tf.int64))
        known = tf.reduce_any(vectors != 0, 1)
        return {**self._named(scores, ids, known, k), "known": known}

    @graph(input_signature=[tf.TensorSpec([None], tf.string, "words")])
    def doesnt_match(self, words: tf.Tensor) -> dict[str, tf.Tensor]:
        """The word that is the farthest from the mean of some words' unit vectors.

        Args:
            words: string [n], at most MOST_WORDS words with blanks between them; unknown ones are left out.

        Returns:
            `word` string [n], as it stands there, empty where none is known; `known` bool [n].
        """
        given = self._listed(words)
        found = self._found(given)
        # A column more, so that there is one where no row has a word.
        one_more = [[0, 0], [0, 1]]

        def farthest(ids: tf.Tensor) -> tuple[tf.Tensor]:
            rows, there = self.unit_of(ids, found.unit), ids >= 0
            mean = tf.math.l2_normalize(tf.reduce_sum(tf.where(there[:, :, tf.newaxis], rows, 0.0), 1), 1)
            cosines = tf.where(there, tf.reduce_sum(rows * mean[:, tf.newaxis], 2), float("inf"))
            return (tf.argmin(tf.pad(cosines, one_more, constant_values=float("inf")), 1),)

        (places,) = search.in_chunks(farthest, (found.ids,), (tf.int64,))
        kinds = self._kinds_of_any(found.ids)
        named = tf.gather(tf.pad(given, one_more, constant_values=""), places, batch_dims=1)
        return {"word": tf.where(answered(kinds), named, ""), **kinds}

    @graph(input_signature=[tf.TensorSpec([None], tf.string, name) for name in ("words1", "words2")])
    def n_similarity(self, words1: tf.Tensor, words2: tf.Tensor) -> dict[str, tf.Tensor]:
        """The cosines between the means of words' vectors.

        Args:
            words1: string [n], at most MOST_WORDS words with blanks between them; unknown ones are left out.
            words2: string [n], likewise.

        Returns:
            `cosine` float [n]; `known` bool [n], whether both sides have a known word; else the cosine is 0.
        """
        lists = [self._found(self._listed(words)) for words in (words1, words2)]

        def direction(ids: tf.Tensor, found: Found) -> tf.Tensor:
            lengths = self.lengths_of(ids, found.norms)[:, :, tf.newaxis]
            return tf.math.l2_normalize(tf.reduce_sum(self.unit_of(ids, found.unit) * lengths, 1), 1)

        def cosine(*ids: tf.Tensor) -> tuple[tf.Tensor]:
            one, other = (direction(*each) for each in zip(ids, lists, strict=True))
            return (tf.reduce_sum(one * other, 1),)

        (cosines,) = search.in_chunks(cosine, tuple(found.ids for found in lists), (tf.float32,))
        return {"cosine": cosines, **self._kinds_of_any(*(found.ids for found in lists))}

    @graph(input_signature=[tf.TensorSpec([None], tf.string, name) for name in ("word1", "word2")])
    def rank(self, word1: tf.Tensor, word2: tf.Tensor) -> dict[str, tf.Tensor]:
        """Which neighbour of the first word the second is.

        Args:
            word1: string [n].
            word2: string [n].

        Returns:
            `rank` int32 [n], 1 for the nearest other word and for the word itself, 0 where a word is unknown; `known`
            bool [n].
        """
        found, unit = self._columns(word1, word2), self.unit.read_value()

        def closer(pairs: tf.Tensor) -> tuple[tf.Tensor]:
            return search.closer(unit, pairs, self.unit_of(pairs, found.unit))

        (closer_words,) = search.in_chunks(closer, (found.ids,), (tf.int32,))
        kinds = self.kinds(found.ids)
        return {"rank": tf.where(answered(kinds), 1 + closer_words, 0), **kinds}

    @graph(input_signature=[tf.TensorSpec([None], tf.string, "texts")])
    def embed_text(self, texts: tf.Tensor) -> dict[str, tf.Tensor]:
        """Texts as the mean of their words' vectors, each weighted by a / (a + p(word)): the first step of SIF.

        Args:
            texts: string [n].

        Returns:
            `embeddings` float [n, D], zero where no word is known; `known_share` float [n], of the text's words; where
            words can be composed, `composed_share` float [n], of those that are.
        """
        encoded = self.encode(texts)
        used, places = tf.unique(encoded.indices.flat_values)  # phrases leave words that no text has any more
        found, tokens, size = self._resolved(tf.gather(encoded.tokens, used)), encoded.indices, self._size()
        ids = tf.gather(found.ids, places)
        known = (ids >= 0) & (ids < size)
        factors = tf.gather(self.weights.read_value(), tf.where(known, ids, 0)) * self.lengths_of(ids, found.norms)
        lengths = tf.maximum(tf.cast(tokens.row_lengths(), tf.float32), 1)
        sums, counts = self._added_up(tokens, ids, known, factors, self.unit.read_value())
        answer = {"known_share": counts / lengths}
        if self.composes:
            composed = ids >= size  # as words that never occurred, of weight 1
            of_composed = self.lengths_of(ids, found.norms)
            more, others = self._added_up(tokens, ids - size, composed, of_composed, found.unit)
            sums, counts = sums + more, counts + others
            answer["composed_share"] = others / lengths
        return {"embeddings": sums / tf.maximum(counts, 1)[:, tf.newaxis], **answer}

    @graph(input_signature=[tf.TensorSpec([None], tf.string, "texts")])
    def embed_text_sif(self, texts: tf.Tensor) -> dict[str, tf.Tensor]:
        """As `embed_text`, less what the corpus' texts have in common: both steps of SIF (algorithm 1)."""
        answer = self.embed_text(texts)
        common = self.common.read_value()[:, tf.newaxis]
        embeddings = answer["embeddings"]
        return {**answer, "embeddings": embeddings - tf.matmul(tf.matmul(embeddings, common), common, transpose_b=True)}

    def _added_up(
        self, tokens: tf.RaggedTensor, ids: tf.Tensor, wanted: tf.Tensor, factors: tf.Tensor, table: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """The sums of the rows of each text's wanted words, times their factors, and how many words these are."""
        places = tf.where(wanted)
        rows, ids = tf.gather_nd(tokens.value_rowids(), places), tf.gather_nd(ids, places)
        # A sparse product adds each word's row up where it is: a long text's vectors never stand beside each other.
        size = tf.stack([tokens.nrows(), tf.shape(table, tf.int64)[0]])
        bags = tf.SparseTensor(tf.stack([rows, ids], 1), tf.gather_nd(factors, places), size)
        counts = tf.math.unsorted_segment_sum(tf.ones_like(rows, tf.float32), rows, tokens.nrows())
        return tf.sparse.sparse_dense_matmul(bags, table), counts

    @graph(input_signature=[_EXAMPLES])
    def evaluate(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """Answers the Evaluator's questions, serialized as `word2vec.questions` has them.

        Returns:
            `answers` float [n, q, 3], as `word2vec.questions.ANSWERS` names them; q is how many questions the examples
            have at most, and an example that has fewer is filled up with NaN. For a pair of words their cosine, and NaN
            twice. For an analogy a : b :: c : d NaN, and the rank of d among all words but a, b and c, 1 the first: by
            3CosAdd, cos(d, b - a + c), then by 3CosMul, cos(d, b) cos(d, c) / (cos(d, a) + 1e-6) with cosines moved to
            [0, 1] (Levy and Goldberg 2014, equations 3 and 4). All NaN where one of the words is not in the vocabulary.
        """
        questions, counts = self._questions(examples)
        ids = tf.reshape(self.lookup(tf.reshape(questions, [-1])), [-1, WORDS_EACH])
        answers = self._judged(questions, Found(ids, tf.zeros([1, self.unit.shape[1]]), tf.zeros([1])))
        return {"answers": tf.RaggedTensor.from_row_lengths(answers, counts).to_tensor(float("nan"))}

    def evaluate_composed(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """As `evaluate`, also with words whose vectors are composed.

        Returns:
            `answers` float [n, q, 4]; the last is how many of the question's words are composed.
        """
        questions, counts = self._questions(examples)
        found = self._found(questions)
        composed = tf.reduce_sum(tf.cast(found.ids >= self._size(), tf.float32), 1, keepdims=True)
        answers = tf.concat([self._judged(questions, found), composed], 1)
        return {"answers": tf.RaggedTensor.from_row_lengths(answers, counts).to_tensor(float("nan"))}

    def _questions(self, examples: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The words of all questions, string [m, WORDS_EACH], and how many questions each example has."""
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
            return tf.reshape(words.flat_values, [-1, WORDS_EACH]), counts

    def _judged(self, questions: tf.Tensor, found: Found) -> tf.Tensor:
        """The answers to questions of words that were looked up, string and int64 [m, WORDS_EACH]: float [m, 3]."""
        ids, is_analogy = found.ids, questions[:, 2] != ""
        covered = tf.reduce_all((ids >= 0) | ((questions == "") & ~is_analogy[:, tf.newaxis]), axis=1)
        asked, unit = tf.where(is_analogy & covered), self.unit.read_value()

        def ranks(ids: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return search.ranks(unit, ids, lambda ids: self.unit_of(ids, found.unit))

        ranks = tf.stack(search.in_chunks(ranks, (tf.gather_nd(ids, asked),), (tf.float32, tf.float32)), -1)
        nothing = tf.fill([tf.shape(ids)[0], 2], float("nan"))
        cosine = tf.where(covered & ~is_analogy, self._cosine(found._replace(ids=ids[:, :2])), float("nan"))
        return tf.concat([cosine[:, tf.newaxis], tf.tensor_scatter_nd_update(nothing, asked, ranks)], -1)

    def _columns(self, *words: tf.Tensor) -> Found:
        """Looks up words of several columns, string [n] each: ids [n, columns]."""
        return self._found(tf.stack(words, 1))

    def _found(self, words: tf.Tensor) -> Found:
        """Looks up words, string [n, w]."""
        found = self.find(tf.reshape(words, [-1]))
        return found._replace(ids=tf.reshape(found.ids, tf.shape(words)))

    def _kinds_of_any(self, *lists: tf.Tensor) -> dict[str, tf.Tensor]:
        """As `kinds`, of rows of words of which one with a vector is enough, in each of some lists: int64 [n, w]."""
        known = tf.reduce_all([tf.reduce_any((ids >= 0) & (ids < self._size()), 1) for ids in lists], 0)
        if not self.composes:
            return {"known": known}
        return {"known": known, "composed": tf.reduce_all([tf.reduce_any(ids >= 0, 1) for ids in lists], 0) & ~known}

    def _cosine(self, pairs: Found) -> tf.Tensor:
        """Of pairs of words, ids [n, 2]: float [n]."""
        rows = self.unit_of(pairs.ids, pairs.unit)
        return tf.reduce_sum(rows[:, 0] * rows[:, 1], -1)

    @graph(input_signature=[tf.TensorSpec([None], tf.string, "words")])
    def _listed(self, words: tf.Tensor) -> tf.Tensor:
        """Words with blanks between them: string [n, w], empty where a row has fewer."""
        listed = tf.strings.split(words)
        few = tf.debugging.Assert(
            tf.reduce_all(listed.row_lengths() <= MOST_WORDS), [f"at most {MOST_WORDS} words per row"]
        )
        with tf.control_dependencies([few]):
            return tf.identity(listed.to_tensor(""))

    def _all(self, ids: tf.Tensor) -> tf.Tensor:
        """`restrict_vocab` of rows that look at all words."""
        return tf.zeros(tf.shape(ids)[:1], tf.int32)

    def _among(self, restrict_vocab: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        """How many of the first words are looked at for each of some rows: int32 [rows]."""
        size = tf.shape(self.unit)[0]
        return tf.broadcast_to(tf.where(restrict_vocab > 0, tf.minimum(restrict_vocab, size), size), [rows])

    def _terms(self, positive: tf.Tensor, negative: tf.Tensor) -> tuple[tuple[tf.Tensor, ...], dict[str, tf.Tensor]]:
        """Words to add and to take off, as `_answer` takes them, and what is said of them (`kinds`)."""
        added, taken = self._listed(positive), self._listed(negative)
        words = tf.concat([added, taken], 1)
        found, given = self._found(words), words != ""
        signs = tf.concat([tf.ones_like(added, tf.int64), -tf.ones_like(taken, tf.int64)], 1)
        kinds = self.kinds(found.ids, given)
        return (found.ids, tf.where(given, signs, 0), found.unit, answered(kinds)), kinds

    @graph(input_signature=_ASKED)
    def _by_sums(self, *asked: tf.Tensor) -> dict[str, tf.Tensor]:
        """`_answer` by 3CosAdd."""
        return self._answer(*asked, scored=search.sums)

    @graph(input_signature=_ASKED)
    def _by_products(self, *asked: tf.Tensor) -> dict[str, tf.Tensor]:
        """`_answer` by 3CosMul."""
        return self._answer(*asked, scored=search.products)

    def _answer(
        self,
        ids: tf.Tensor,
        signs: tf.Tensor,
        composed: tf.Tensor,
        answered: tf.Tensor,
        k: tf.Tensor,
        restrict_vocab: tf.Tensor,
        *,
        scored: search.Scored,
    ) -> dict[str, tf.Tensor]:
        """The words nearest to what some words give, without these.

        Args:
            ids: int64 [n, w], as `Found.ids`; -1 also where there is none.
            signs: int64 [n, w], 1 or -1; 0 where there is no word.
            composed: `Found.unit`.
            answered: bool [n], whether there is an answer.
            k: int32 [] or [n].
            restrict_vocab: int32 [n].
            scored: from unit vectors, float [m, w, D], and signs, float [m, w], to scores.
        """
        k, most = self._bounded(k, ids)
        unit = self.unit.read_value()

        def nearest(ids: tf.Tensor, signs: tf.Tensor, among: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            scores_of, queries = scored(self.unit_of(ids, composed), tf.cast(signs, unit.dtype))
            return search.nearest(unit, scores_of, search.rows_at_a_time(queries), ids, among, most)

        rows = ids, signs, self._among(restrict_vocab, tf.shape(ids)[0])
        scores, found = search.in_chunks(nearest, rows, (tf.float32, tf.int64))
        return self._named(scores, found, answered, k)

    def _bounded(self, k: tf.Tensor, ids: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """How many neighbours each of n rows gets, int32 [n], and the most of them; the words of ids are no neighbours.

        Args:
            k: int32 [] or [n].
            ids: int64 [n, w], as `Found.ids`.
        """
        # Not all of the w words: each row has as many of them as it has, and others may be filled up.
        size = tf.shape(self.unit)[0]
        others = tf.maximum(size - tf.minimum(tf.shape(ids)[1], 1), 0)
        k = tf.maximum(tf.minimum(k, tf.minimum(size if self.composes else others, MOST_NEIGHBOURS)), 0)
        most = tf.reduce_max(tf.concat([tf.reshape(k, [-1]), [0]], 0))
        if self.composes:  # of composed words alone, all words are neighbours
            inside = (ids >= 0) & (ids < self._size())
            alone = tf.reduce_any(ids >= self._size(), 1) & ~tf.reduce_any(inside, 1)
            k = tf.minimum(k, tf.where(alone, size, others))
        asked = tf.cast(tf.shape(ids)[0], tf.int64) * tf.cast(most, tf.int64)
        tf.debugging.Assert(asked <= MOST_ANSWERS, [f"rows x neighbours: at most {MOST_ANSWERS:,}"])
        return tf.broadcast_to(k, tf.shape(ids)[:1]), most

    def _named(self, scores: tf.Tensor, ids: tf.Tensor, answered: tf.Tensor, k: tf.Tensor) -> dict[str, tf.Tensor]:
        """What was found as the signatures give it."""
        there = answered[:, tf.newaxis] & (tf.range(tf.shape(ids)[1]) < k[:, tf.newaxis]) & (scores > -float("inf"))
        neighbours = tf.where(there, self.words.lookup(ids), "")
        return {"neighbours": neighbours, "scores": tf.where(there, scores, 0.0)}
