"""Files of questions, good and odd: a file is of one kind, and nothing is taken for what it is not."""

from __future__ import annotations

import bz2
import codecs
import gzip
import lzma

import pytest
import zstandard

from components.files import COMPRESSIONS
from components.questions import files
from word2vec.errors import UserError

PAIR = [(("a", "b"), 7.0)]
TWO = [(("a", "b"), 7.0), (("c", "d"), 1.0)]
FOUR = [(("a", "b", "c", "x"), 1.0)]


def read(tmp_path, content, name="mine.txt"):
    """The questions of a file with this content."""
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return files.read(str(path), "mine")


GOOD = {
    # Separators.
    "tabs": ("a\tb\t7\nc\td\t1", TWO),
    "commas": ("a,b,7\nc, d , 1", TWO),
    "semicolons": ("a;b;7\nc;d;1", TWO),
    "blanks": ("a  b 7\n  c d\u00a01  ", TWO),
    "another for each line": ("a\tb\t7\nc d 1", TWO),
    "words of several words": ("New York\tcity\t7\na\tb\t1", [(("New York", "city"), 7.0), (("a", "b"), 1.0)]),
    "a comma within tabs": ("a, b\tc\t7", [(("a, b", "c"), 7.0)]),
    # Numbers.
    "decimals": ("a b 7.0\nc d 1e0", TWO),
    "signs": ("a b -7\nc d +1.", [(("a", "b"), -7.0), (("c", "d"), 1.0)]),
    "decimal commas": ("a\tb\t7,0\nc\td\t1,0", TWO),
    "words that are numbers": ("1 2 3", [(("1", "2"), 3.0)]),
    "analogies of numbers": ("1 2 3 4", [(("1", "2", "3", "4"), 1.0)]),
    "analogies with numbers": ("one 1 two 2\na b c x", [(("one", "1", "two", "2"), 1.0), *FOUR]),
    "words that Python takes for numbers": ("a b inf nan", [(("a", "b", "inf", "nan"), 1.0)]),
    # CSV's quotes.
    "quoted": ('"word1","word2","score"\n"a","b","7"\n"c","d","1"', TWO),
    "a comma in quotes": ('"a, b",c,7', [(("a, b", "c"), 7.0)]),
    "another separator in quotes": ('"a;b",c,7', [(("a;b", "c"), 7.0)]),
    "quotes in quotes": ('"a ""b""",c,7', [(('a "b"', "c"), 7.0)]),
    "quotes and tabs": ('"a b"\tc\t7', [(("a b", "c"), 7.0)]),
    "quotes and blanks": ('"a b" c 7', [(("a b", "c"), 7.0)]),
    "quoted analogies": ('"a","b","c","x"', FOUR),
    "a quote within a word": ('5"x,b,7', [(('5"x', "b"), 7.0)]),
    # More columns.
    "a part of speech before the score": ("a\tb\tN\t7\nc\td\tN\t1", TWO),
    "behind it": ("a b 7 N\nc d 1 N", TWO),
    "with its header": ("word1\tword2\tPOS\tscore\na\tb\tN\t7\nc\td\tV\t1", TWO),
    "as SimVerb has it": ("a\tb\tV\t7\tSYNONYMS\nc\td\tV\t1\tNONE", TWO),
    "as SimLex has it": ("w1\tw2\tPOS\tSimLex999\tconc(w1)\tSD(SimLex)\na\tb\tA\t7\t2.5\t.5\nc\td\tA\t1\t3\t.4", TWO),
    "as WordSim's raters are": ("Word 1,Word 2,Human (mean),1,2\na,b,7,6,8\nc,d,1,0,2", TWO),
    "another name for the score": ("x\ty\tn\tMean rating\na\tb\t3\t7\nc\td\t3\t1", TWO),
    "a score and text": ("a,b,7,x,y\nc,d,1,x,y", TWO),
    "no value in the last": ("a,b,7,N\nc,d,1,\nc,d,1,N", [*TWO, TWO[1]]),
    # Headers.
    "of three names": ("word1 word2 score\na b 7", PAIR),
    "in another language": ("Wort;Wort;Mittel\na;b;7", PAIR),
    "of analogies": ("word1,word2,word3,word4\na,b,c,x", FOUR),
    "of letters": ("a b c d\na b c x", FOUR),
    "of analogies with an answer": ("A\tB\tC\texpected\na\tb\tc\tx", FOUR),
    "behind a comment": ("# about\nword1 word2 score\na b 7", PAIR),
    "none: letters in a section": (": s\na b c d", [(("a", "b", "c", "d"), 1.0)]),
    "none: letters below others": ("a b c x\na b c d", [*FOUR, (("a", "b", "c", "d"), 1.0)]),
    # Lines.
    "Windows' ends": ("a b 7\r\nc d 1\r\n", TWO),
    "old ends": ("a b 7\rc d 1\r", TWO),
    "empty ones": ("\n\na b 7\n \t \nc d 1\n\n", TWO),
    "comments": ("# x\na b 7\n#y z 3\nc d 1", TWO),
    "empty fields at their ends": ("a\tb\t7\t\t\nc,d,1,,", TWO),
    "other ends within": ("a\u2028b\tc\t7", [(("a\u2028b", "c"), 7.0)]),
    # Encodings.
    "a mark of UTF-8": (codecs.BOM_UTF8 + b"a b 7", PAIR),
    "UTF-16": ("a\tb\t7".encode("utf-16"), PAIR),
    "big-endian": (codecs.BOM_UTF16_BE + "a\tb\t7".encode("utf-16-be"), PAIR),
    "UTF-32": ("a\tb\t7".encode("utf-32"), PAIR),
    "any letters": ("чай 茶 7", [(("чай", "茶"), 7.0)]),
}  # fmt: skip


@pytest.mark.parametrize(("content", "expected"), GOOD.values(), ids=GOOD)
def test_good_files(tmp_path, content, expected):
    assert [(question.words, question.score) for question in read(tmp_path, content)] == expected


THREE = "a b 7\nc d 1\ne f 2\n"
QUADS = "a b c x\nd e f y\ng h i z\n"
BAD = {
    "four words among pairs": (THREE + "man king woman queen", 4, "lines are pairs"),
    "a pair with a fourth column among pairs": (THREE + "law jury N 7", 4, "lines are pairs"),
    "or with it at the end": (THREE + "law jury 7 N", 4, "lines are pairs"),
    "the odd line first": ("law jury N 7\n" + THREE, 1, "lines are pairs"),
    "three words among pairs": (THREE + "a b c", 4, "lines are pairs"),
    "two words among pairs": (THREE + "a b", 4, "lines are pairs"),
    "one word among pairs": (THREE + "a", 4, "lines are pairs"),
    "a pair among analogies": (QUADS + "a b 7", 4, "lines are analogies"),
    "a pair with a fourth column among analogies": (QUADS + "law jury N 7", 4, "lines are analogies"),
    "three words among analogies": (QUADS + "a b c", 4, "lines are analogies"),
    "five words among analogies": (QUADS + "a b c d e", 4, "lines are analogies"),
    "a header in a section of analogies": (QUADS + ": s\nword1 word2 word3", 5, "lines are analogies"),
    "one of each": ("a b 7\nm n o p", 2, "lines are pairs"),
    "one of each, the other way": ("m n o p\na b 7", 2, "lines are analogies"),
    "a second header": ("word1 word2 score\na b 7\nword1 word2 score\nc d 1", 3, "lines are pairs"),
    "no score": (THREE + "a b -", 4, "lines are pairs"),
    "a score that is none": (THREE + "a b 7.x", 4, "lines are pairs"),
    "in the first line": ("a b 7.x\n" + THREE, 1, "lines are pairs"),
    "not a number": (THREE + "a b nan", 4, "lines are pairs"),
    "infinite": (THREE + "a b inf", 4, "lines are pairs"),
    "too large": (THREE + "a b 1e999", 4, "lines are pairs"),
    "too large for 32 bits": (THREE + "a b 1e39", 4, "lines are pairs"),
    "Python's underscores": (THREE + "a b 1_0", 4, "lines are pairs"),
    "other digits": (THREE + "a b ٧", 4, "lines are pairs"),
    "a fraction": (THREE + "a b 9/10", 4, "lines are pairs"),
    "a percentage": (THREE + "a b 90%", 4, "lines are pairs"),
    "an empty word": ("a,b,7\n,b,7", 2, "lines are pairs"),
    "an empty word in the middle": ("a,b,7\na,,7", 2, "lines are pairs"),
    "an empty word of four": ("a,b,c,x\na,,c,x", 2, "lines are analogies"),
    "an empty score": ("a,b,7\na,b,", 2, "lines are pairs"),
    "an empty score among columns": ("a,b,7,N\nc,d,1,N\nc,d,,N", 3, "4 fields, the score in the third"),
    "fewer columns": ("a,b,7,N\nc,d,1,N\nc,d,1", 3, "4 fields, the score in the third"),
    "more columns": ("a,b,N,7\nc,d,N,1\nc,d,N,1,2", 3, "4 fields, the score in the fourth"),
    "words of several words and blanks": (THREE + "New York city 7", 4, "Tabs separate words"),
    "a comment behind": ("a b 7 # good", 1, "Expected four words"),
    "other comments": ("// comment\na b 7", 1, "lines are pairs"),
    "five words": ("a b c d e", 1, "Expected four words, or two words and a score"),
    "a sentence": ("This is a text with a 7 in it", 1, "Expected four words, or two words and a score"),
    "the score first": ("9\ta\tb\n1\tc\td", 1, "Expected four words, or two words and a score"),
    "bars": ("a|b|7", 1, "Expected four words, or two words and a score"),
    "a quote that never ends": ('a,b,7\n"c,d,1', 2, "lines are pairs"),
    "a quote that ends too soon": ('a,b,7\n"c"x,d,1', 2, "lines are pairs"),
    "a line break in quotes": ('"a\nb",c,7\nd,e,1', 1, "lines are pairs"),
    "another encoding": ("a b 7\ncaf\u00e9 b 1".encode("latin-1"), 2, "not UTF-8 at byte 9"),
    "half a character": ("a\tb\t7".encode("utf-16")[:-1], 1, "not UTF-16"),
    "UTF-16 without its mark": ("a\tb\t7".encode("utf-16-le"), 1, "a NUL character"),
    "a NUL": ("a b 7\nc\0 d 1", 2, "a NUL character"),
    "JSON": ('{"a": 1}', 1, "Expected four words, or two words and a score"),
    "HTML": ("<!DOCTYPE html>\n<html>", 1, "Expected four words, or two words and a score"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "line", "message"), BAD.values(), ids=BAD)
def test_the_odd_line_is_named(tmp_path, content, line, message):
    with pytest.raises(UserError) as caught:
        read(tmp_path, content)
    assert f"mine.txt, line {line}: " in str(caught.value)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


WHOLE = {
    "nothing": ("", "no question in it"),
    "blanks": (" \n\t\n", "no question in it"),
    "comments": ("# a b 7\n", "no question in it"),
    "sections": (": a\n: b\n", "no question in it"),
    "a mark alone": (codecs.BOM_UTF8, "no question in it"),
    "a header of analogies": ("word1 word2 word3 word4", "no question in it"),
    "two numbers": ("a,b,7,8\nc,d,1,2", "the third and fourth fields are both numbers"),
    "raters without a header": ("a,b,7,6,8,7\nc,d,1,2,1,0", "the third and fourth fields are both numbers"),
    "a header that does not tell": ("x,y,z,w\na,b,7,8\nc,d,1,2", "the third and fourth fields are both numbers"),
    "a number here and there": ("a,b,7,N\nc,d,N,1\ne,f,N,N", "none of its columns has scores"),
}


@pytest.mark.parametrize(("content", "message"), WHOLE.values(), ids=WHOLE)
def test_the_file_is_named(tmp_path, content, message):
    with pytest.raises(UserError) as caught:
        read(tmp_path, content)
    assert "mine.txt: " in str(caught.value)
    assert message in str(caught.value)


def test_sections(tmp_path):
    content = "a b c x\n:one\na b c x\n:  [/bold] two \na b c x\n:\na b c x\n: пять/5\na b c x\n: empty\n"
    assert [question.section for question in read(tmp_path, content)] == ["all", "one", "[/bold] two", "all", "пять/5"]


COMPRESS = {
    ".gz": gzip.compress,
    ".GZ": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.compress,
}


@pytest.mark.parametrize(("ending", "compress"), COMPRESS.items(), ids=COMPRESS)
def test_archives(tmp_path, ending, compress):
    name = f"mine.txt{ending}"
    whole = compress("".join(f"a{number} b 7\n" for number in range(10_000)).encode())
    assert len(read(tmp_path, whole, name)) == 10_000
    assert len(read(tmp_path, whole + compress(b"c d 1\n"), name)) == 10_001
    for damaged in (whole[:-20], whole[:30] + b"\xff" * 20 + whole[50:], b"a b 7\n", whole + b"a b 7\n"):
        with pytest.raises(UserError, match=rf"mine.txt{ending}: cannot be read") as caught:
            read(tmp_path, damaged, name)
        assert "\n" not in str(caught.value)
    if ending != ".zst":
        assert len(read(tmp_path, whole + b"\0" * 300_000, name)) == 10_000


def test_every_compression_is_tried():
    assert {ending.lower() for ending in COMPRESS} == set(COMPRESSIONS)


def test_a_corpus_is_no_benchmark(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_LARGEST", 10)
    assert len(read(tmp_path, "a b 7\n")) == 1
    with pytest.raises(UserError, match=r"mine.txt: over 10 bytes. Expected a file of questions"):
        read(tmp_path, "a b 7\n" * 2)
