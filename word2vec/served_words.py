"""What a served model is made of, how words are looked up in it, and the vectors of words that it has not."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from word2vec import phrases, search, sif, subwords, text, vocabulary, warmup

# There is no Python control flow on tensors in these graphs, and AutoGraph takes most of the time of tracing to look
# for it.
graph = functools.partial(tf.function, autograph=False)

# Of a word of so many bytes at most a vector is made of its n-grams: a request of longer ones would take all memory.
MOST_BYTES = 128

# Different words of a request of which vectors are made at most.
MOST_COMPOSED = 100_000

TEXTS = tf.TensorSpec([None], tf.string)


class Found(NamedTuple):
    """Words that were looked up, as what is asked of them needs it.

    Attributes:
        ids: int64 [...]; -1 for words that have no vector; from V on, the place of those whose vector is made of their
            n-grams, in `unit`.
        unit: float [m, D], these vectors at length 1.
        norms: float [m], and their lengths.
    """

    ids: tf.Tensor
    unit: tf.Tensor
    norms: tf.Tensor


class ServedWords(tf.Module):
    """A vocabulary with its vectors, which are stored once, at length 1 beside their lengths.

    Args:
        vectors: float [V, D], one row per word of the vocabulary.
        vocabulary_path: the vocabulary's asset.
        phrase_paths: the phrases' assets, a pass after the other.
        buckets: the rows of the n-grams of which vectors of other words are made; None if there are none.
        common: float [D], what texts have in common, as `sif.common_component` finds it; None if it is not known, and
            nothing is taken off.
    """

    def __init__(
        self,
        vectors: tf.Tensor | np.ndarray,
        vocabulary_path: str,
        phrase_paths: Sequence[str] = (),
        buckets: subwords.Buckets | None = None,
        common: np.ndarray | None = None,
    ):
        super().__init__()
        # Not a copy; nor does einsum make one, as np.linalg.norm would.
        table = vectors if isinstance(vectors, np.ndarray) else np.asarray(memoryview(vectors))
        norms = np.maximum(np.sqrt(np.einsum("vd,vd->v", table, table)), 1e-12)
        # Gathering is always from a value that was read: once a variable's own rows have been gathered, TensorFlow
        # copies the whole variable at each later reading.
        self.unit = tf.Variable(vectors / norms[:, np.newaxis], trainable=False, name="unit")
        self.norms = tf.Variable(norms, trainable=False, name="norms")
        words = vocabulary.read(vocabulary_path)
        self.weights = tf.Variable(sif.weights(words.counts), trainable=False, name="weights")
        common = np.zeros(table.shape[1], np.float32) if common is None else common
        self.common = tf.Variable(common, trainable=False, name="common")
        self._most_frequent = words.words[: warmup.WORDS]
        self.asset = tf.saved_model.Asset(vocabulary_path)
        self.ids = vocabulary.word_table(self.asset.asset_path)
        self.words = vocabulary.id_table(self.asset.asset_path)
        self.phrase_assets = [tf.saved_model.Asset(path) for path in phrase_paths]
        self.phrases = [vocabulary.word_table(asset.asset_path) for asset in self.phrase_assets]
        self.ngrams = None
        if buckets is not None:
            settings, numbers, rows = buckets
            if not len(numbers):  # one that no n-gram has, for what looks among them
                numbers, rows = np.array([-1], np.int32), np.zeros((1, table.shape[1]))
            self.ngrams = tf.Variable(settings.numbers, trainable=False, name="ngrams")
            self.ngram_buckets = tf.Variable(numbers, trainable=False, name="ngram_buckets")
            # At half their size: what is lost, a mean's cosines do not show.
            self.ngram_rows = tf.Variable(rows.astype(np.float16), trainable=False, name="ngram_rows")
            self._subwords = settings

    @property
    def composes(self) -> bool:
        """Whether words that are not in the vocabulary can have vectors."""
        return self.ngrams is not None

    # What several signatures do is a function of its own, so that the graph has it once.
    @graph(input_signature=[TEXTS])
    def lookup(self, words: tf.Tensor) -> tf.Tensor:
        """The ids of words: int64 [n], -1 for those that are not in the vocabulary."""
        return self.ids.lookup(self._normalised(words))

    @graph(input_signature=[TEXTS])
    def find(self, words: tf.Tensor) -> Found:
        """Looks words up, and makes vectors of those that are not in the vocabulary, if it can."""
        return self._resolved(self._normalised(words))

    def _normalised(self, words: tf.Tensor) -> tf.Tensor:
        words = text.normalize_words(words)
        if self.phrases:  # `new york` and `new_york` are what the vocabulary calls new_york
            words = tf.strings.regex_replace(words, " +", vocabulary.JOINT)
        return words

    def encode(self, texts: tf.Tensor) -> text.Encoded:
        """Texts to words, phrases among them."""
        encoded = text.encode(text.valid(texts))
        for table in self.phrases:
            encoded = phrases.join(encoded, table.lookup)
        return encoded

    @graph(input_signature=[TEXTS])
    def _resolved(self, words: tf.Tensor) -> Found:
        """As `find`, of words that are normalised."""
        ids = self.ids.lookup(words)
        if not self.composes:
            return Found(ids, tf.zeros([1, 1]), tf.zeros([1]))
        # Several words, or those of a phrase that is none, are not one word.
        single = tf.strings.regex_full_match(words, f"[^ {vocabulary.JOINT}]+") & (
            tf.strings.length(words) <= MOST_BYTES
        )
        places = tf.where((ids < 0) & single)
        distinct, which = tf.unique(tf.gather_nd(words, places), tf.int64)
        few = tf.debugging.Assert(
            tf.size(distinct) <= MOST_COMPOSED, [f"at most {MOST_COMPOSED:,} words that the vocabulary has not"]
        )
        with tf.control_dependencies([few]):
            distinct = tf.identity(distinct)
        none = tf.zeros([0, self.unit.shape[1]]), tf.zeros([0], tf.bool)
        vectors, there = tf.cond(
            tf.size(distinct) > 0,
            lambda: search.in_chunks(self._composed, (distinct,), (tf.float32, tf.bool)),
            lambda: none,
        )
        vectors, there = tf.reshape(vectors, [-1, self.unit.shape[1]]), tf.reshape(there, [-1])
        norms = tf.maximum(tf.norm(vectors, axis=1), 1e-12)
        own = tf.where(tf.gather(there, which), which + self._size(), -1)
        # A row more, so that there is one where no word is composed.
        more = [[0, 1]]
        unit = tf.pad(vectors / norms[:, tf.newaxis], [*more, [0, 0]])
        return Found(tf.tensor_scatter_nd_update(ids, places, own), unit, tf.pad(norms, more))

    def _composed(self, words: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The means of the rows of words' n-grams: (float [n, D], whether there is any: bool [n]).

        Those that have no row count, as rows of zeros.
        """
        found = subwords.buckets_of(words, self._subwords)
        numbers, wanted = self.ngram_buckets.read_value(), tf.cast(found.flat_values, tf.int32)
        places = tf.minimum(tf.searchsorted(numbers, wanted), tf.size(numbers) - 1)
        there = tf.gather(numbers, places) == wanted
        of_word, count = tf.boolean_mask(found.value_rowids(), there), tf.size(words)
        rows = tf.cast(tf.gather(self.ngram_rows.read_value(), tf.boolean_mask(places, there)), tf.float32)
        lengths = tf.cast(tf.maximum(found.row_lengths(), 1), tf.float32)
        means = tf.math.unsorted_segment_sum(rows, of_word, count) / lengths[:, tf.newaxis]
        return means, tf.math.unsorted_segment_sum(tf.ones_like(of_word), of_word, count) > 0

    def _size(self) -> tf.Tensor:
        return tf.shape(self.unit, tf.int64)[0]

    def unit_of(self, ids: tf.Tensor, composed: tf.Tensor) -> tf.Tensor:
        """Vectors of length 1.

        Args:
            ids: int64 [...], as `Found.ids`; of those that have no vector, any.
            composed: `Found.unit`.

        Returns:
            float [..., D].
        """
        unit = self.unit.read_value()
        if not self.composes:
            return tf.gather(unit, tf.maximum(ids, 0))
        inside, outside = self._places(ids)
        of_composed = tf.gather(composed, outside)
        return tf.where((ids < self._size())[..., tf.newaxis], tf.gather(unit, inside), of_composed)

    def lengths_of(self, ids: tf.Tensor, composed: tf.Tensor) -> tf.Tensor:
        """The vectors' lengths, float [...]; 0 for words that have none. `composed` is `Found.norms`."""
        inside, outside = self._places(ids)
        lengths = tf.gather(self.norms.read_value(), inside)
        if self.composes:
            lengths = tf.where(ids < self._size(), lengths, tf.gather(composed, outside))
        return tf.where(ids >= 0, lengths, 0.0)

    def _places(self, ids: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Among the vocabulary's words, and among those that are composed."""
        return tf.clip_by_value(ids, 0, self._size() - 1), tf.maximum(ids - self._size(), 0)

    def kinds(self, ids: tf.Tensor, given: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
        """What a signature says of each row of words.

        Args:
            ids: int64 [n, w], as `Found.ids`.
            given: bool [n, w], where there is a word; everywhere by default.

        Returns:
            `known` bool [n], whether there is a word and all are in the vocabulary; where words can be composed,
            `composed` bool [n] too, whether there is one, all have vectors, and some of these are composed.
        """
        given = tf.ones_like(ids, tf.bool) if given is None else given
        some, size = tf.reduce_any(given, 1), self._size()
        known = tf.reduce_all(((ids >= 0) & (ids < size)) | ~given, 1) & some
        if not self.composes:
            return {"known": known}
        return {"known": known, "composed": tf.reduce_all((ids >= 0) | ~given, 1) & some & ~known}


def answered(kinds: dict[str, tf.Tensor]) -> tf.Tensor:
    """Whether there is an answer for each row: bool [n]."""
    return kinds["known"] | kinds["composed"] if "composed" in kinds else kinds["known"]
