"""Text to tokens, in TensorFlow: one function for the corpus, for the benchmarks' questions and for served requests.

What is kept: letters with their marks and digits of every script, and apostrophes inside a word. Chinese and Japanese,
which have no blanks between words, are split into characters.
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf
import tensorflow_text as tf_text

from word2vec import markup

# RE2 knows no lookaround, hence the order of the steps.
_APOSTROPHE_LIKE = "[´`]"  # NFKC would make ´ a blank and a loose accent
# Before NFKC, which drops U+200B without a trace, and would glue 1 to `word¹`, TM to `Sony™` and kg to `5㎏`: marks
# that are no part of the text go, and symbols that stand for letters or digits are words of their own.
_SEPARATORS = (
    r"[\x{200B}\x{B2}\x{B3}\x{B9}\x{2070}\x{2074}-\x{2079}\x{2120}\x{2122}\x{1F16A}-\x{1F16C}]|"
    r"([\x{BC}-\x{BE}\x{20A8}\x{2100}\x{2101}\x{2103}\x{2105}\x{2106}\x{2109}\x{2116}\x{2121}\x{213B}"
    r"\x{2150}-\x{215F}\x{2189}\x{2460}-\x{24EA}\x{3192}-\x{319F}\x{3200}-\x{33FF}\x{FDFC}\x{1F100}-\x{1F251}])"
)
_APOSTROPHES = r"[’‘ʼ]"
# A single blank matches neither of these two: most words are spared the work.
_UNWANTED = r"[^\pL\pM\pN' ][^\pL\pM\pN']*| [^\pL\pM\pN']+"
_LOOSE = r"'+( |$)[' \pM]*|( |^)['\pM][' \pM]*|''+"  # apostrophes at a word's ends, and marks without a letter
_UNSPACED = r"([\p{Han}\p{Hiragana}\p{Katakana}]\pM*)"


# Functions of their own: a graph holds them once, however often it normalises (the tables of names take 60 kB), and
# they are traced once, however often a graph that uses them is.
_of_texts = tf.function(input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
_strip = _of_texts(markup.strip)


class Encoded(NamedTuple):
    """Tokenised texts, each token but once.

    Attributes:
        tokens: string [d], the distinct tokens in the order in which they first occur.
        indices: int64 [n, (tokens)], which of them stand in each text.
    """

    tokens: tf.Tensor
    indices: tf.RaggedTensor


def normalize(texts: tf.Tensor) -> tf.Tensor:
    """Texts to words separated by blanks.

    Args:
        texts: string [n], in UTF-8.

    Returns:
        string [n]: by Unicode's NFKC_Casefold (section 3.13), which drops what is ignorable, as soft hyphens, joiners
            and marks of direction are; without markup and punctuation.

    Raises:
        tf.errors.InvalidArgumentError: a text is not UTF-8. ExampleGen lets no such text in.
    """
    return _fold(_strip(texts))


@_of_texts
def _fold(texts: tf.Tensor) -> tf.Tensor:
    """Normalises what has no markup."""
    texts = tf.strings.regex_replace(texts, _APOSTROPHE_LIKE, "'")
    texts = tf.strings.regex_replace(texts, _SEPARATORS, r" \1 ")
    texts = tf_text.case_fold_utf8(texts)
    texts = tf.strings.regex_replace(texts, _APOSTROPHES, "'")
    texts = tf.strings.regex_replace(texts, _UNWANTED, " ")
    texts = tf.strings.regex_replace(texts, _UNSPACED, r" \1 ")
    return tf.strings.regex_replace(texts, _LOOSE, " ")


@_of_texts
def encode(texts: tf.Tensor) -> Encoded:
    """Texts to tokens, each of which is normalised but once.

    No step of the normalisation joins what a blank separates, or needs to see beyond it. So what stands between blanks
    can be normalised by itself, and of that a thousand texts have a tenth as much that is distinct.

    Args:
        texts: string [n], in UTF-8; best many at a time.

    Raises:
        tf.errors.InvalidArgumentError: as `normalize`.
    """
    between = tf.strings.split(_strip(texts))
    distinct, places = tf.unique(between.flat_values, tf.int64)
    folded = tf.strings.split(_fold(distinct))
    tokens, numbers = tf.unique(folded.flat_values, tf.int64)
    indices = tf.gather(folded.with_values(numbers), places)
    return Encoded(tokens, between.with_values(indices).merge_dims(1, 2))


def tokenize(texts: tf.Tensor) -> tf.RaggedTensor:
    """Texts to tokens.

    Args:
        texts: string [n].

    Returns:
        string [n, (tokens)].
    """
    tokens, indices = encode(texts)
    return indices.with_values(tf.gather(tokens, indices.flat_values))


def normalize_words(words: tf.Tensor) -> tf.Tensor:
    """Single words as the vocabulary has them, for requests and questions, whatever bytes they hold.

    Args:
        words: string [n]; bytes that are not UTF-8 count as separators.

    Returns:
        string [n], without blanks around it; with a blank in it, and so in no vocabulary, where a word is several
        tokens.
    """
    return tf.strings.strip(normalize(valid(words)))


def valid(texts: tf.Tensor) -> tf.Tensor:
    """Texts in UTF-8, whatever bytes they hold: what is none becomes U+FFFD, which separates words."""
    return tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8", errors="replace")
