"""Text to tokens, in TensorFlow: one function for the corpus, for the benchmarks' questions and for served requests.

What is kept: letters with their marks and digits of every script, and apostrophes inside a word. Chinese and Japanese,
which have no blanks between words, are split into characters.
"""

from __future__ import annotations

import tensorflow as tf
import tensorflow_text as tf_text

# Most specific first; RE2 knows no lookaround, hence the order of the steps.
_MARKUP = r"(?i)<!--.*?-->|</?[a-z][^<>]*>"
_APOSTROPHE_LIKE = r"(?i)&(#0*39|#x0*27|apos|[lr]squo);|[´`]"  # NFKC would make ´ a blank and a loose accent
_ENTITIES = r"(?i)&(#[0-9]+|#x[0-9a-f]+|[a-z][a-z0-9]*);"
_APOSTROPHES = r"[’‘ʼ]"
_UNWANTED = r"[^\pL\pM\pN']+"
_LOOSE = r"'*( |^|$)[' \pM]*|''+"  # apostrophes at a word's ends, and marks without a letter
_UNSPACED = r"([\p{Han}\p{Hiragana}\p{Katakana}]\pM*)"


def normalize(texts: tf.Tensor) -> tf.Tensor:
    """Texts to words separated by blanks.

    Args:
        texts: string [n], in UTF-8.

    Returns:
        string [n]: NFKC and case folded (Unicode Standard Annex 15, and section 3.13), without markup and punctuation.

    Raises:
        tf.errors.InvalidArgumentError: a text is not UTF-8. ExampleGen lets no such text in.
    """
    texts = tf.strings.regex_replace(texts, _MARKUP, " ")
    texts = tf.strings.regex_replace(texts, _APOSTROPHE_LIKE, "'")
    texts = tf.strings.regex_replace(texts, _ENTITIES, " ")
    texts = tf_text.normalize_utf8(tf_text.case_fold_utf8(tf_text.normalize_utf8(texts, "NFKC")), "NFKC")
    texts = tf.strings.regex_replace(texts, _APOSTROPHES, "'")
    texts = tf.strings.regex_replace(texts, _UNWANTED, " ")
    texts = tf.strings.regex_replace(texts, _UNSPACED, r" \1 ")
    return tf.strings.regex_replace(texts, _LOOSE, " ")


def tokenize(texts: tf.Tensor) -> tf.RaggedTensor:
    """Texts to tokens.

    Args:
        texts: string [n].

    Returns:
        string [n, (tokens)].
    """
    return tf.strings.split(normalize(texts))


def normalize_words(words: tf.Tensor) -> tf.Tensor:
    """Single words as the vocabulary has them, for requests and questions, whatever bytes they hold.

    Args:
        words: string [n]; bytes that are not UTF-8 count as separators.

    Returns:
        string [n], without blanks around it; with a blank in it, and so in no vocabulary, where a word is several
        tokens.
    """
    return tf.strings.strip(normalize(tf.strings.unicode_transcode(words, "UTF-8", "UTF-8", errors="replace")))
