"""HTML's markup out of texts, in TensorFlow: tags, comments, scripts and styles, and the references to characters.

The rules are those of HTML's standard (WHATWG, sections 13.2.5 and 15.3), but where a browser would show nothing of
what may be text: `<` begins a tag only where what follows is one (`a <b then c >d` is text), and a comment or a script
that never ends hides nothing but its own mark.
"""

from __future__ import annotations

import functools
import html.entities
from collections.abc import Callable

import numpy as np
import tensorflow as tf

# Elements that a browser shows within a line, and so within a word: `<b>W</b>ord`. All others separate words.
_INLINE = (
    "a|abbr|acronym|b|bdi|bdo|big|cite|code|data|del|dfn|em|font|i|ins|kbd|label|mark|nobr|q|ruby|s|samp|small|span|"
    "strike|strong|sub|sup|time|tt|u|var|wbr"
)
_BOOLEAN = (
    "allowfullscreen|async|autofocus|autoplay|checked|compact|controls|declare|default|defer|disabled|download|"
    "formnovalidate|hidden|inert|ismap|itemscope|loop|multiple|muted|nohref|nomodule|noresize|noshade|novalidate|nowrap|"
    "open|playsinline|readonly|required|reversed|selected|[a-z]+-[a-z0-9-]+"
)
_QUOTED = r"""(?:"[^"]*"|'[^']*')"""
_ATTRIBUTE = rf"""[^\s"'<>/=]+\s*=\s*(?:{_QUOTED}|[^\s"'<>]+)"""
# The last is for attributes whose quotes do not match.
_ATTRIBUTES = rf"""(?:(?:[\s/]+(?:{_ATTRIBUTE}|{_BOOLEAN}))*[\s/]*|\s[^<>]*=\s*["'][^<>]*)"""


_OTHER = r"[a-z][a-z0-9:_.-]*"

_INLINE_TAGS = rf"(?i)<(?:(?:{_INLINE}){_ATTRIBUTES}|/(?:{_INLINE})(?:[\s/][^<>]*)?)>"
_OTHER_TAGS = (
    rf"(?i)<(?:(?:{_OTHER}{_ATTRIBUTES}|/{_OTHER}(?:[\s/][^<>]*)?|"
    r"!\[[^\[\]<>]*\]|!doctype\b[^<>]*|\?[a-z][^<>]*\?)>|!\[CDATA\[)"
)

# What a browser shows nothing of: its beginning, and how it ends.
_HIDDEN = (
    ("<!--", "--!?>"),
    (rf"<script{_ATTRIBUTES}>", r"</script(?:[\s/][^>]*)?>"),
    (rf"<style{_ATTRIBUTES}>", r"</style(?:[\s/][^>]*)?>"),
)
_MAY_HIDE = "(?is).*<(?:!--|script|style).*"
_WHOLE = "(?is)<!---?>|" + "|".join(f"{begin}.*?{end}" for begin, end in _HIDDEN)

# Escaped twice or more, as feeds often are: &amp;nbsp;
_ESCAPED_AGAIN = r"(?i)&(?:amp;|#0*38;|#x0*26;)+(#[0-9]+;|#x[0-9a-f]+;|[a-z][a-z0-9]*;)"
# Of the most frequent ones, which so cost no look-up, it is known what comes of them: a separator, or an apostrophe.
_TO_BLANKS = r"&(?:amp|lt|gt|quot|nbsp|#0*(?:34|38|60|62|160)|#[xX]0*(?:22|26|3[cCeE]|[aA]0));"
_TO_APOSTROPHES = r"&(?:apos|[lr]squo|#0*(?:39|8217)|#[xX]0*(?:27|2019));"
_MAY_REFER = r"(?s).*&[#a-zA-Z].*"
_NAMES = sorted(html.entities.html5)
_WITHOUT_SEMICOLON = "|".join(sorted((name for name in _NAMES if name[-1] != ";"), key=len, reverse=True))
_NAME_BYTES = 32
_WEIGHTS = np.random.default_rng(1).integers(1, 2**55, _NAME_BYTES)
_DIGITS = 8
_NO_CHARACTER = np.int64(0x110000)  # written as U+FFFD
# What is shown for the control characters 128 to 159, for which old pages meant those of Windows (section 13.2.5.80).
_CONTROLS = [ord(bytes([code]).decode("cp1252", "replace")) for code in range(128, 160)]


def strip(texts: tf.Tensor) -> tf.Tensor:
    """Texts without markup, their references to characters replaced by the characters.

    Args:
        texts: string [n], in UTF-8.

    Returns:
        string [n].
    """
    # Most requests are spared all of it.
    return tf.cond(
        tf.reduce_any(tf.strings.regex_full_match(texts, "(?s).*[<&].*")), lambda: _strip(texts), lambda: texts
    )


def _strip(texts: tf.Tensor) -> tf.Tensor:
    texts = _where(texts, _MAY_HIDE, _without_hidden)
    texts = tf.strings.regex_replace(texts, _INLINE_TAGS, "")
    texts = tf.strings.regex_replace(texts, _OTHER_TAGS, " ")
    return _where(texts, _MAY_REFER, _without_references)


def _where(texts: tf.Tensor, pattern: str, change: Callable[[tf.Tensor], tf.Tensor]) -> tf.Tensor:
    """Changes only those texts that match: most are spared the work."""
    which = tf.where(tf.strings.regex_full_match(texts, pattern))
    return tf.tensor_scatter_nd_update(texts, which, change(tf.gather_nd(texts, which)))


def _without_hidden(texts: tf.Tensor) -> tf.Tensor:
    # Where every beginning has its end, the time is linear in the text, and only then.
    for begin, end in _HIDDEN:
        texts = _where(texts, f"(?is).*{begin}.*", functools.partial(_without_endless, begin=begin, end=end))
    return tf.strings.regex_replace(texts, _WHOLE, "")


def _without_endless(texts: tf.Tensor, begin: str, end: str) -> tf.Tensor:
    """Without the beginnings that no end follows."""
    tails = tf.strings.regex_replace(texts, rf"(?is)\A.*{end}", "", replace_global=False)
    length = tf.strings.length(texts) - tf.strings.length(tails)
    heads = tf.strings.substr(texts, tf.zeros_like(length), length)
    return tf.strings.join([heads, tf.strings.regex_replace(tails, f"(?i){begin}", " ")])


def _without_references(texts: tf.Tensor) -> tf.Tensor:
    texts = tf.strings.regex_replace(texts, _ESCAPED_AGAIN, r"&\1")
    texts = tf.strings.regex_replace(texts, _TO_BLANKS, " ")
    texts = tf.strings.regex_replace(texts, _TO_APOSTROPHES, "'")
    return _where(texts, _MAY_REFER, _with_characters)


def _with_characters(texts: tf.Tensor) -> tf.Tensor:
    parts = tf.strings.split(texts, "&")
    follows = tf.tensor_scatter_nd_update(  # all but each text's first part
        tf.ones_like(parts.flat_values, tf.bool), parts.row_starts()[:, tf.newaxis], tf.zeros([parts.nrows()], tf.bool)
    )
    which = tf.where(follows)
    resolved = _resolve(tf.gather_nd(parts.flat_values, which))
    return tf.strings.reduce_join(
        parts.with_values(tf.tensor_scatter_nd_update(parts.flat_values, which, resolved)), -1
    )


def _resolve(parts: tf.Tensor) -> tf.Tensor:
    """What stands behind an ampersand, with the character in the place of its reference; else the ampersand again."""
    numbers, number_characters = _numbers(parts)
    whole_names = _begin(parts, r"[a-zA-Z][a-zA-Z0-9]*;")
    whole_characters = _named(whole_names)
    short_names = _begin(parts, _WITHOUT_SEMICOLON)
    is_number, is_whole = numbers != "", whole_characters != ""
    heads = tf.where(is_number, numbers, tf.where(is_whole, whole_names, short_names))
    characters = tf.where(is_number, number_characters, tf.where(is_whole, whole_characters, _named(short_names)))
    rest = tf.strings.substr(parts, tf.strings.length(heads), tf.strings.length(parts) - tf.strings.length(heads))
    return tf.strings.join([tf.where(heads == "", "&", characters), rest])


def _begin(parts: tf.Tensor, pattern: str) -> tf.Tensor:
    """That with which a part begins; empty if it does not match."""
    return tf.strings.regex_replace(parts, rf"(?s)\A(?:({pattern}))?.*", r"\1", replace_global=False)


def _named(names: tf.Tensor) -> tf.Tensor:
    """The characters of names; empty for what is none."""
    keys, known, characters = _table()
    asked = tf.cast(tf.io.decode_raw(names, tf.uint8, fixed_length=_NAME_BYTES), tf.int64)
    place = tf.searchsorted(tf.constant(keys), tf.reduce_sum(asked * _WEIGHTS, -1))
    place = tf.minimum(place, len(_NAMES) - 1)
    return tf.where(tf.gather(tf.constant(known), place) == names, tf.gather(tf.constant(characters), place), "")


@functools.cache
def _table() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A number per name, by which it is looked up without a table that would have to be initialised.

    Returns:
        (numbers, int64, rising; the names; their characters in UTF-8), each [names].
    """
    codes = np.array([list(name.encode().ljust(_NAME_BYTES, b"\0")) for name in _NAMES], np.int64)
    numbers = (codes * _WEIGHTS).sum(-1)
    characters = [html.entities.html5[name].encode() for name in _NAMES]
    order = np.argsort(numbers)
    return (
        numbers[order],
        np.array([name.encode() for name in _NAMES], object)[order],
        np.array(characters, object)[order],
    )


def _numbers(parts: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The numeric references with which parts begin, empty without, and their characters."""
    heads = _begin(parts, "#(?:[0-9]+|[xX][0-9a-fA-F]+);?")
    is_hex = tf.strings.regex_full_match(heads, "#[xX].*")
    digits = tf.strings.regex_replace(tf.strings.lower(heads), "^#x?0*|;", "")
    padded = tf.strings.substr(tf.strings.join(["0" * _DIGITS, digits]), -_DIGITS, _DIGITS)
    values = tf.cast(tf.io.decode_raw(padded, tf.uint8, fixed_length=_DIGITS), tf.int64)
    values = tf.where(values >= ord("a"), values - ord("a") + 10, values - ord("0"))
    powers = np.arange(_DIGITS - 1, -1, -1)
    codes = tf.reduce_sum(tf.where(is_hex[:, tf.newaxis], values * 16**powers, values * 10**powers), -1)
    codes = tf.where(tf.strings.length(digits) > _DIGITS, _NO_CHARACTER, tf.minimum(codes, _NO_CHARACTER))
    is_control = (codes >= 128) & (codes < 160)
    codes = tf.where(
        is_control, tf.gather(tf.constant(_CONTROLS, tf.int64), tf.where(is_control, codes - 128, 0)), codes
    )
    return heads, tf.strings.unicode_encode(tf.cast(codes, tf.int32)[:, tf.newaxis], "UTF-8")
