from __future__ import annotations

import unicodedata

import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from word2vec import text


def tokens(value):
    return [token.decode() for token in text.tokenize(tf.constant([value]))[0].numpy()]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Don't stop!", ["don't", "stop"]),
        ("O&#39;Neil\u2019s 'quoted' words'", ["o'neil's", "quoted", "words"]),
        ("rock ''n'' roll a' 'b x'''y", ["rock", "n", "roll", "a", "b", "x", "y"]),
        ("A line.<br /><br/>Another<p class='x'>one</p><!-- not this -->", ["a", "line", "another", "one"]),
        ("a < b and c > d", ["a", "b", "and", "c", "d"]),
        ("salt &amp; pepper&nbsp;2", ["salt", "pepper", "2"]),
        ("Gr\u00f6\u00dfe STRASSE", ["gr\u00f6sse", "strasse"]),
        ("\ufb01ne \uff11\uff12", ["fine", "12"]),
        ("caf\u0065\u0301", ["cafe\u0301".replace("e\u0301", "\u00e9")]),
        ("\u79c1\u306f\u30bf\u30ef\u30fc", ["\u79c1", "\u306f", "\u30bf", "\u30ef", "\u30fc"]),
        ("\u4e2d\u6587abc", ["\u4e2d", "\u6587", "abc"]),
        (
            "\u0939\u093f\u0928\u094d\u0926\u0940 \u0627\u0644\u0639",
            ["\u0939\u093f\u0928\u094d\u0926\u0940", "\u0627\u0644\u0639"],
        ),
        ("\u041c\u043e\u0441\u043a\u0432\u0430 2024-05", ["\u043c\u043e\u0441\u043a\u0432\u0430", "2024", "05"]),
        ("I\u00b4d can`t \u0301x", ["i'd", "can't", "x"]),
        ("0'\u4e00's", ["0", "\u4e00", "s"]),
        ("", []),
        ("' '' - \u2014", []),
    ],
)
def test_tokens(value, expected):
    assert tokens(value) == expected


@settings(max_examples=150, deadline=None)
@given(st.text(st.characters(blacklist_categories=["Cs"]), max_size=60))
def test_tokens_hold_letters_marks_digits_and_inner_apostrophes_only(value):
    for token in tokens(value):
        assert not token.startswith("'")
        assert not token.endswith("'")
        assert all(
            character == "'" or unicodedata.category(character)[0] in "LMN" or unicodedata.category(character) == "Cn"
            for character in token
        )


@settings(max_examples=100, deadline=None)
@given(st.text(st.characters(whitelist_categories=["L", "N"], max_codepoint=0x24F), min_size=1, max_size=20))
def test_a_token_is_its_own_normal_form(value):
    for token in tokens(value):
        assert text.normalize_words(tf.constant([token])).numpy()[0].decode() == token


def test_words_of_requests_may_be_any_bytes():
    words = text.normalize_words(tf.constant([b"The", b"\xff\xfe", b"", b"  Tea ", b"two words"]))
    assert words.numpy().tolist() == [b"the", b"", b"", b"tea", b"two words"]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.text(st.one_of(st.characters(blacklist_categories=["Cs"]), st.sampled_from("a'\u0301 \u00b4<b>&;\n\u4e00")))
    )
)
def test_what_stands_between_blanks_is_normalised_by_itself(values):
    texts = tf.constant(values, tf.string)
    assert text.tokenize(texts).to_list() == tf.strings.split(text.normalize(texts)).to_list()


def test_each_token_is_encoded_once():
    tokens, indices = text.encode(tf.constant(["The cat, the CAT", "", "a cat!"]))
    assert tokens.numpy().tolist() == [b"the", b"cat", b"a"]
    assert indices.to_list() == [[0, 1, 0, 1], [], [2, 1]]
