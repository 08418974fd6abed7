"""The vocabulary: an asset of Transform's graph, one word per line with its count, the most frequent first.

A word's id is its line. Transform looks words and counts up in it, the trainer draws noise words by its counts, and the
served model carries it along.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from word2vec import saved_model_layout
from word2vec.errors import UserError

ASSET = saved_model_layout.VOCABULARY

# Beside it, how many tokens the text has, also those that are not in the vocabulary.
TOKENS_ASSET = "tokens"

# Between the words of a phrase, `new_york`; see `phrases`.
JOINT = "_"

_SIGN = re.compile(
    "[\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua48c\uac00-\ud7a3\uf900-\ufaff\U0001b000-\U0003ffff]"
)


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """The words by falling frequency; `counts` is int64 [len(words)]."""

    words: list[str]
    counts: np.ndarray

    def __len__(self) -> int:
        return len(self.words)

    @property
    def phrases(self) -> list[str]:
        """Those words that are phrases."""
        return [word for word in self.words if JOINT in word]

    @property
    def fingerprint(self) -> str:
        """Of the words and their order."""
        return hashlib.sha256("\n".join(self.words).encode()).hexdigest()[:16]


class Graph(Protocol):
    """Transform's graph as this module needs it: a `tft.TFTransformOutput`."""

    def vocabulary_file_by_name(self, vocab_filename: str) -> str | None:
        """The path of an asset; None if there is none of this name."""
        ...


def path_in(graph: Graph, asset: str = ASSET) -> str:
    """The path of an asset of Transform's graph.

    Raises:
        UserError: the graph has none of this name.
    """
    path = graph.vocabulary_file_by_name(asset)
    if path is None:
        raise UserError(
            f"Transform's graph has no asset {asset!r}. It is damaged, or of another release; run without cache "
            "(--no-cache)"
        )
    return path


def read(path: str) -> Vocabulary:
    """Reads the asset at a path.

    Raises:
        UserError: it has fewer than two words, from which nothing can be learned. (Of none, TFT writes one of its own.)
    """
    words, counts = [], []
    with tf.io.gfile.GFile(path) as file:
        for line in file:
            count, _, word = line.rstrip("\n").partition(" ")
            words.append(word)
            counts.append(float(count))
    if len(words) < 2:
        raise UserError(
            "no vocabulary: fewer than two words occur skipgram.min_count times. "
            "Give more text, or lower skipgram.min_count"
        )
    return Vocabulary(words, np.array(counts).astype(np.int64))


def divergence(one: Vocabulary, other: Vocabulary) -> float:
    """How far two texts' words are apart: Jensen and Shannon's divergence, to base 2 (Lin 1991).

    Returns:
        0 if all words have the same share of both, 1 if there is no word in common.
    """
    place = {word: number for number, word in enumerate(one.words)}
    for word in other.words:
        place.setdefault(word, len(place))
    shares = np.zeros((2, len(place)))
    for row, words in zip(shares, (one, other), strict=True):
        row[[place[word] for word in words.words]] = words.counts / words.counts.sum()
    mean = shares.mean(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(shares > 0, shares * np.log2(shares / mean), 0)
    return float(max(terms.sum() / 2, 0.0))


def check_letters(vocabulary: Vocabulary, max_share: float) -> None:
    """Makes sure that the words are words: a text that was decoded wrong falls into single letters.

    Args:
        vocabulary: that of a text.
        max_share: of the text, by the words' counts, that may be letters and digits that stand alone. Signs that are
            words or syllables do not count: Han, Kana, Hangul and Yi.

    Raises:
        UserError: there are more of them.
    """
    alone = np.array([len(word) == 1 and not _SIGN.match(word) for word in vocabulary.words])
    share = float(vocabulary.counts[alone].sum() / vocabulary.counts.sum())
    if share > max_share:
        shown = ", ".join(word for word, is_alone in zip(vocabulary.words, alone, strict=True) if is_alone)[:40]
        raise UserError(
            f"no words: {share:.1%} of the text are single letters or digits ({shown}), "
            f"skipgram.max_single_letter_share allows {max_share:.1%}. Look at the encoding (corpus.encoding) and "
            "at the blanks between its letters"
        )


def read_tokens(path: str) -> int:
    """Reads the number of the text's tokens from the asset at a path."""
    with tf.io.gfile.GFile(path) as file:
        return int(float(file.readline().partition(" ")[0]))


def word_table(path: Any) -> tf.lookup.StaticHashTable:
    """From a word to its id; -1 for any other word."""
    columns = tf.lookup.TextFileInitializer(
        path, tf.string, 1, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER, delimiter=" "
    )
    return tf.lookup.StaticHashTable(columns, default_value=-1)


def id_table(path: Any) -> tf.lookup.StaticHashTable:
    """From an id to its word; empty for any other id."""
    columns = tf.lookup.TextFileInitializer(
        path, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER, tf.string, 1, delimiter=" "
    )
    return tf.lookup.StaticHashTable(columns, default_value="")


def count_table(path: Any) -> tf.lookup.StaticHashTable:
    """From an id to its word's count, float32; 0 for any other id."""
    columns = tf.lookup.TextFileInitializer(
        path, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER, tf.float32, 0, delimiter=" "
    )
    return tf.lookup.StaticHashTable(columns, default_value=0.0)
