"""What comes of wikitext, each with its rule, which is MediaWiki's; then the graph takes away HTML's markup."""

from __future__ import annotations

import time

import pytest
import tensorflow as tf

from components.corpus import wikitext
from word2vec import text


def words(value):
    return [word.decode() for word in text.tokenize(tf.constant([wikitext.plain(value)]))[0].numpy()]


@pytest.mark.parametrize(
    ("value", "expected", "rule"),
    [
        ("one<br/>two<br>three<BR />four", "one two three four", "a line break separates"),
        ("a {{cite|b {{c|d}} e}} f", "a f", "templates go, with those in them"),
        ("a {{cite | b = c and then d", "a cite b c and then d", "what is never closed is text"),
        ("a {{b {{c}} d", "a b d", "an end belongs to the last beginning"),
        ("a }} b {{c}} d", "a b d", "an end without a beginning"),
        ("a {{{1|b}}} c", "a c", "parameters"),
        ("'''Tea''' is a ''[[drink|hot drink]]''", "tea is a hot drink", "of a link its text is shown"),
        ("[[tea]]s [[tea|]] [[tea (plant)|tea]]", "teas tea tea", "or its target, and what follows it"),
        ("[[File:A.jpg|thumb|left|A [[cup|cup of tea]] here]] b", "a cup of tea here b", "files' captions"),
        ("[[Image:A.jpg|b]] [[Datei:A.jpg|mini|c]]", "b c", "in other languages"),
        ("a [[Category:Tea]] [[category:x|y]] b", "a b", "categories"),
        ("a\n[[de:Tee]]\n[[zh-min-nan:Te]]", "a", "links to other languages"),
        ("[[WP:NPOV]]", "wp npov", "but not all with a colon"),
        ("a [[b c", "a b c", "a link that is never closed"),
        ("a [[b|c [[d|e]] f", "a b c e f", "likewise around another"),
        ("a ]] b", "a b", "an end alone"),
        ("[http://a.b/c d e] [https://a.b] [//a.b f]", "d e f", "links to elsewhere"),
        ("a [b] c", "a b c", "brackets alone"),
        ("a<ref>b</ref> c<ref name='x' /> d<ref name=x>e</ref>", "a c d", "notes"),
        ("a <ref>b c", "a b c", "a note that is never closed"),
        ("<math>x^2</math>a<gallery>\nb.jpg\n</gallery>c<syntaxhighlight lang='c'>d</syntaxhighlight>", "ac", "others"),
        ("a<!-- b\n[[c --> d", "a d", "comments"),
        ("a <!-- b", "a b", "a comment that is never closed"),
        ("<nowiki>a</nowiki> b", "a b", "what is taken as it stands is text"),
        ('{| class="x"\n|+ a\n|- style="y"\n! b !! c\n|-\n| colspan="2" | d || e\n|}\nf', "a b c d e f", "tables"),
        ("{|\n| [[a|b]] || c\n", "b c", "a table that is never closed"),
        ('{|\n| colspan="2" || a = b || c | d\n|}', "a b c d", "a cell without text"),
        ("| a | b", "a b", "a bar outside of tables"),
        ("== a ==\n* b\n# c\n:d", "a b c d", "headings and lists"),
        ("__NOTOC__ a __x__", "a x", "switches"),
        ("caf&eacute;&nbsp;a &lt;b", "café a b", "references to characters are the graph's"),
        ("İ <REF>a</REF> b", "i̇ b", "letters that fold to more of them"),
        ("a < b > c {{}} d [[]] e", "a b c d e", "nothing in them"),
    ],
)
def test_words(value, expected, rule):
    assert words(value) == expected.split(), rule


@pytest.mark.parametrize(
    "part",
    ["[[", "]]", "[[a|", "{{", "}}", "{{a}}", "{{{", "<ref>", "<ref ", "<!--", "<!-- <ref>", "{|\n", "|\n", "||", "!!",
     "\n|a", "[http://", "[//a ", "[", "[[a]]", "[[a|b", "'''", "__", "__A", "<br", "<br ", "[[File:", " ", "\n [",
     "[[a:b|c]]"],
)  # fmt: skip
@pytest.mark.parametrize("end", ["", "]]" * 50_000, "}}" * 50_000, "</ref>-->"])
def test_no_page_takes_long(part, end):
    """A rule whose time is quadratic would take minutes."""
    start = time.process_time()
    wikitext.plain(part * (300_000 // len(part)) + end)
    assert time.process_time() - start < 3
