"""What comes of texts, each with its rule: of HTML's standard, of Unicode, or ours where a browser would lose text."""

from __future__ import annotations

import html
import html.entities
import time
import unicodedata

import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from word2vec import markup, text

HTML = [
    # References to characters, by name.
    ("caf&eacute; M&uuml;nchen", "café münchen", "a name with its semicolon, in any place of a word"),
    ("caf&eacute M&uumlnchen", "café münchen", "the old names need no semicolon"),
    ("&copy2024 &notit; &ampx", "2024 it x", "of the old names the longest that fits"),
    ("&Eacute;t&eacute; &eacute;T&Eacute;", "été été", "names differ by case"),
    ("&hearts;a&spades;b", "a b", "a symbol separates"),
    ("&alpha;&beta;", "αβ", "letters make words"),
    ("&fjlig;ord", "fjord", "a name of two characters"),
    ("&bogus; &Bogus &foo", "bogus bogus foo", "what is no name is text"),
    ("R&D AT&T & a&b", "r d at t a b", "an ampersand alone is text, and separates"),
    ("a&;b &# c &#x; d", "a b c x d", "no number, no reference"),
    ("don&apos;t don&rsquo;t don&#39;t don&#x2019;t", "don't " * 4, "apostrophes by every name"),
    ("x&lt;b&gt;y &lt;p&gt;", "x b y p", "what is escaped is text, and no tag"),
    ("a&nbsp;b&quot;c&emsp;d&ThickSpace;e", "a b c d e", "blanks and quotes separate"),
    ("co&shy;op f&zwnj;g h&zwj;i j&NoBreak;k", "coop fg hi jk", "soft hyphens and joiners join"),
    ("a&ZeroWidthSpace;b", "a b", "the blank without width separates"),
    ("a&trade;b&sup2;c&frac12;", "a b c 1 2", "a reference is its character"),
    # By number.
    ("&#1084;&#1080;&#1088; &#x43c;&#X438;&#x440;", "мир мир", "decimal and hexadecimal"),
    ("&#233t&#xE9", "été", "without a semicolon"),
    ("a&#0;b&#xD800;c&#x110000;d&#99999999999999;e", "a b c d e", "what is no character separates"),
    ("don&#146;t &#138;koda", "don't škoda", "128 to 159 are Windows' characters"),
    ("&#000000000000000000233;t&#x0000000000e9;", "été", "any number of zeros"),
    ("a&#173;b&#8203;c", "ab c", "as by name"),
    # Escaped twice.
    ("a&amp;nbsp;b", "a b", "leaves no nbsp"),
    ("a&amp;amp;nbsp;b caf&amp;#233; caf&amp;#38;eacute;", "a b café café", "however often"),
    ("rock&amp;regular", "rock regular", "but no old name is looked for behind it"),
    # Elements.
    ("one<br/>two<br>three<BR />four<br / >five", "one two three four five", "a line break separates"),
    ("<p>a</p><p>b</p><td>c<td>d<li>e", "a b c d e", "blocks separate"),
    ("<b>W</b>ord <i class='x'>o</i>ne t<SPAN>w</SPAN>o", "word one two", "elements within a line join"),
    ("H<sub>2</sub>O 1<sup>st</sup> super<wbr>cali", "h2o 1st supercali", "as a browser shows them"),
    ("a<img src=x.png>b<custom-tag>c</custom-tag>d<o:p>e", "a b c d e", "of unknown elements the rest is text"),
    ("<a href=\"x>y\" title='<b>'>L</a>ink", "link", "values in quotes may hold anything"),
    ("<input disabled value=3 data-x hidden>a", "a", "attributes without a value"),
    ('<img alt="a "b" c">d <p class="x"">e', "d e", "quotes that do not match"),
    ("<a\nhref='x'\n>b</a\n>c", "bc", "tags over several lines"),
    # Comments, scripts and styles.
    ("a<!-- b\nc -->d", "ad", "a comment over lines is nothing"),
    ("a <!--> b <!---> c <!-- d --!> e", "a b c e", "comments that end at once, or badly"),
    ("a <script>if (b < c) {\n}</script> d", "a d", "a script over lines"),
    ("<STYLE type='text/css'>p > b {}\n</STYLE >a", "a", "a style, whatever the case"),
    ("<script src=x></script>a<script>b</script>c", "ac", "each ends at its own end"),
    ("<script>x = '<!--'</script>a<!-- b -->c", "ac", "what begins first counts"),
    ("<!-- <script> -->a<script>b</script>", "a", "likewise"),
    ("<scripture>a</scripture> <stylebook>b", "a b", "other names that begin like these"),
    ("<!DOCTYPE html>\n<html><body>a", "a", "the type of a document"),
    ('<?xml version="1.0"?>a', "a", "XML's declaration"),
    ("<![CDATA[a]]>b <![if !IE]>c<![endif]>", "a b c", "marked sections are text"),
    # What a browser would hide, and is kept.
    ("a <b then c >d", "a b then c d", "a lone < loses nothing"),
    ("if a<b and c>d", "if a b and c d", "likewise, without a blank"),
    ("a < b, c <= d, <3 <- <> >", "a b c d 3", "no letter, no tag"),
    ("<john@example.com> <https://a.b/c>", "john example com https a b c", "addresses"),
    ("a <b", "a b", "a tag that never ends"),
    ("a <a href='b", "a a href b", "likewise with an attribute"),
    ("a <!-- b <i>c</i>", "a b c", "a comment that never ends"),
    ("a <script>b <p>c", "a b c", "a script that never ends"),
    ("a </style> b <style>c", "a b c", "or that ended before it began"),
]

UNICODE = [
    ("a\u200bb", "a b", "U+200B is where a word ends"),
    ("ល្អ\u200bចន្ទ", "ល្អ ចន្ទ", "for Khmer"),
    ("ภาษา\u200bไทย", "ภาษา ไทย", "for Thai"),
    ("a\u00adb", "ab", "a soft hyphen is no character of the word"),
    ("می\u200cخواهم क्\u200dष", "میخواهم क्ष", "joiners and non-joiners shape a word"),
    ("a\u2060b \ufeffc\ufeffd", "ab cd", "word joiner, byte-order mark"),
    ("\u200ea\u200fb\u061cc \u202ad\u202c \u2066e\u2069", "abc d e", "marks of direction"),
    ("a\u034fb c\ufe0fd \u180be\u180c", "ab cd e", "joiners of marks and selectors of variants"),
    ("a\u2061b c\u2064d", "ab cd", "invisible operators"),
    ("a\u2028b\u2029c\u0085d\u000be\u000cf", "a b c d e f", "every end of a line"),
    ("a\u00a0b\u2009c\u3000d\u202fe\u205ff", "a b c d e f", "every blank"),
    ("a\u2010b\u2014c\u2026d", "a b c d", "hyphens, dashes and dots"),
    ("a\x00b\x1fc\x7fd", "a b c d", "control characters"),
    ("Sony™ Visa℠ Coke®", "sony visa coke", "marks of trade are no part of a name"),
    ("word¹ word²³ word⁴⁵ ⁶word", "word word word word", "nor are numbers of notes"),
    ("H₂O CO₂", "h2o co2", "but lower ones are"),
    ("①a Ⓑc ⑴d", "1 a b c 1 d", "encircled ones are words of their own"),
    ("1½ ¾l", "1 1 2 3 4 l", "fractions are numbers"),
    ("5㎏ 20℃ №7 ㍿", "5 kg 20 c no 7 株 式 会 社", "units and abbreviations too"),
    ("LouisⅣ Ⅻ", "louisiv xii", "Roman numbers are letters"),
    ("ﬁne ｗｉｄｅ 𝐛𝐨𝐥𝐝 ﷺ", "fine wide bold صلى الله عليه وسلم", "forms of letters"),
    ("ΟΔΟΣ οδος", "οδοσ οδοσ", "one sigma, also at the end"),
    ("Straße STRASSE ẞ", "strasse strasse ss", "sharp s is two"),
    ("İstanbul ISPARTA ısı", "i̇stanbul isparta ısı", "no language's own rule"),
    ("e\u0301 é", "é é", "one form of each letter"),
    ("ŉa 'twas rock'n'roll", "na twas rock'n'roll", "apostrophes within a word only"),
    ("ภาษาไทย ភាសាខ្មែរ", "ภาษาไทย ភាសាខ្មែរ", "what has no blanks is not cut"),
    ("日本語テキスト text", "日 本 語 テ キ ス ト text", "but for Han and Kana"),
    ("٣٤ १२ 1,000.5", "٣٤ १२ 1 000 5", "digits of every script"),
    ("😀a👍🏽b❤️c", "a b c", "emoji separate"),
    ("\u0301a \u0301 b", "a b", "a mark without a letter"),
    ("\ufff9a\ufffab\ufffbc", "a b c", "notes between lines"),
]


@pytest.mark.parametrize(("value", "words", "rule"), HTML + UNICODE)
def test_words(value, words, rule):
    expected = [unicodedata.normalize("NFC", word) for word in words.split()]
    assert [word.decode() for word in text.tokenize(tf.constant([value]))[0].numpy()] == expected, rule


def test_a_batch_is_as_its_texts():
    values = [value for value, _, _ in HTML + UNICODE]
    whole = text.tokenize(tf.constant(values)).to_list()
    assert whole == [words.encode().split() for words in _expected()]
    assert text.tokenize(tf.constant([], tf.string)).to_list() == []


def _expected():
    return [unicodedata.normalize("NFC", words) for _, words, _ in HTML + UNICODE]


def test_every_name_of_the_standard():
    """As Python's own, in one text."""
    names = sorted(html.entities.html5)
    stripped = markup.strip(tf.constant([f"x&{name} " for name in names])).numpy()
    separators = {"&", "<", ">", '"', "\xa0"}  # a blank is as good
    for name, found in zip(names, stripped, strict=True):
        value = html.entities.html5[name]
        expected = {value} | ({" "} if value in separators else set()) | ({"'"} if value in "’‘" else set())
        assert found.decode()[1:-1] in expected, name


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from(["&", ";", "amp", "lt", "not", "in", "eacute", "Eacute", "sub", "e1", " "]), max_size=12)
)
def test_names_are_those_of_python(parts):
    value = "".join(parts)
    if "&amp" not in value:  # which is resolved again
        expected = text.tokenize(tf.constant([html.unescape(value).replace("<", " ")])).to_list()
        assert text.tokenize(tf.constant([value])).to_list() == expected


_MARKS = ["<", ">", "!--", "-->", "script", "</script>", "style", "&", "=", '"', " a ", "/", "1"]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(_MARKS)))
def test_without_a_whole_mark_nothing_is_lost(parts):
    value = "".join(parts)
    if ">" not in value:
        expected = "".join(character if character.isalnum() else " " for character in value).split()
        assert [word.decode() for word in text.tokenize(tf.constant([value]))[0].numpy()] == expected


@pytest.mark.parametrize(
    "part",
    [
        "<", "<a ", "<b>", "&a", "&amp;", "&&", "&#x1", "<!-- <b> ", "<!-- -->", "<script <![CDATA[", '<a b="',
        "<a b='<i>", "<script> <style></style> ", "</script><script>", "'", " '", "\u0301", "\u200b", "-->", "<? <! ",
        "<a b=c ",
    ],
)  # fmt: skip
@pytest.mark.parametrize("end", ["", "--></script></style>"])
def test_no_text_takes_long(part, end):
    """300 kB in well under a second: a rule whose time is quadratic would take minutes."""
    start = time.process_time()
    text.tokenize(tf.constant([part * (300_000 // len(part)) + end]))
    assert time.process_time() - start < 5
