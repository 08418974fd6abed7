"""Phrases: words that stand together more often than by chance, as words of their own (`new_york`).

After Mikolov et al. 2013, arXiv 1310.4546, section 4. Scores, thresholds and the choice among phrases that overlap are
those of gensim's `Phrases`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import tensorflow as tf

from word2vec.settings import PhraseScoring
from word2vec.text import Encoded
from word2vec.vocabulary import JOINT

# Stands between the tokens of a pair, which may be phrases. No token has this in it, nor `vocabulary.JOINT`: tokens are
# of letters, marks, digits and apostrophes.
BETWEEN = "+"


def asset(number: int) -> str:
    """The name of a pass' file, from 1 on: per line a score and a pair, the highest score first."""
    return f"phrases_{number}"


def score(
    scoring: PhraseScoring, first: float, second: float, together: float, *, min_count: int, distinct: int, total: float
) -> float:
    """How much more often two words stand together than by chance.

    `default` is Mikolov et al.'s equation 6 with min_count as the discount, times the number of distinct words and
    pairs; `npmi` is the normalised pointwise mutual information (Bouma 2009, equation 7), from -1 to 1.

    Args:
        scoring: which of them.
        first: how often the first word occurs.
        second: the second.
        together: how often the second follows the first; for npmi at least once.
        min_count: the least for a phrase.
        distinct: how many words and pairs there are.
        total: how many tokens.
    """
    if scoring == "default":
        return (together - min_count) / (first * second) * distinct
    share = together / total
    return math.log(share / (first / total * second / total)) / -math.log(share)


def pairs_of(encoded: Encoded) -> tuple[tf.Tensor, tf.Tensor]:
    """The pairs of tokens that follow each other in a text, each distinct one once.

    Returns:
        (numbers of the two tokens: int64 [p, 2]; how often they do: int64 [p]).
    """
    keys, _ = _keys(encoded)
    distinct, _, counts = tf.unique_with_counts(keys, tf.int64)
    size = tf.maximum(tf.size(encoded.tokens, tf.int64), 1)
    return tf.stack([distinct // size, distinct % size], 1), counts


def _keys(encoded: Encoded) -> tuple[tf.Tensor, tf.Tensor]:
    """A number for each pair that follow each other in a text, and the places of their first tokens."""
    numbers, rows = encoded.indices.flat_values, encoded.indices.value_rowids()
    places = tf.where(rows[:-1] == rows[1:])[:, 0]
    size = tf.size(encoded.tokens, tf.int64)
    return tf.gather(numbers, places) * size + tf.gather(numbers, places + 1), places


def join(encoded: Encoded, places_of: Callable[[tf.Tensor], tf.Tensor]) -> Encoded:
    """Joins the tokens of phrases, from left to right: a token is part of one phrase only.

    Args:
        encoded: texts as `text.encode` gives them.
        places_of: from pairs of tokens with BETWEEN between them, string [n], to int64 [n], -1 for those that are no
            phrase.

    Returns:
        the texts with the joined tokens behind the others; some of these may be in no text any more.
    """
    tokens, indices = encoded
    numbers, size = indices.flat_values, tf.size(encoded.tokens, tf.int64)
    keys, places = _keys(encoded)
    distinct, which = tf.unique(keys, tf.int64)
    divisor = tf.maximum(size, 1)
    both = [tf.gather(tokens, distinct // divisor), tf.gather(tokens, distinct % divisor)]
    known = places_of(tf.strings.join(both, BETWEEN)) >= 0
    found = tf.gather(known, which)
    marked = tf.tensor_scatter_nd_update(tf.zeros_like(numbers, tf.bool), places[:, tf.newaxis], found)
    begins = _every_other(marked)
    number_of = size + tf.cumsum(tf.cast(known, tf.int64)) - 1
    joined = tf.tensor_scatter_nd_update(numbers, places[:, tf.newaxis], tf.gather(number_of, which))
    values = tf.where(begins, joined, numbers)
    kept = ~tf.concat([tf.zeros([tf.minimum(tf.size(numbers), 1)], tf.bool), begins[:-1]], 0)
    kept_values = tf.ragged.boolean_mask(indices.with_values(values), indices.with_values(kept))
    return Encoded(tf.concat([tokens, tf.boolean_mask(tf.strings.join(both, JOINT), known)], 0), kept_values)


def _every_other(marked: tf.Tensor) -> tf.Tensor:
    """Of each run of marked places the first, the third and so on: bool [n]."""
    count = tf.cumsum(tf.cast(marked, tf.int64))
    run = tf.cumsum(tf.cast(~marked, tf.int64))
    before = tf.math.segment_max(tf.where(marked, tf.zeros_like(count), count), run)
    return marked & ((count - tf.gather(before, run)) % 2 == 1)
