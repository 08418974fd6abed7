"""Kinds of corpora, good and bad: what is read of each, what is counted, or the one line that stops the run."""

from __future__ import annotations

import bz2
import codecs
import csv
import gzip
import io
import json
import lzma
import os
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from tests.components.corpus import inputs
from word2vec.errors import UserError

PAGE = "<page><title>{title}</title><ns>0</ns><id>1</id><revision><text>{text}</text></revision></page>"
DUMP = '<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.10/">{}</mediawiki>'


def parquet(column, name="text", **options) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({name: column}), sink, **options)
    return sink.getvalue()


def two_columns_of_one_name() -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table([pa.array(["one"]), pa.array(["two"])], names=["text", "text"]), sink)
    return sink.getvalue()


def other_columns_of_one_name() -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table([pa.array([1]), pa.array(["one"]), pa.array([2])], names=["n", "text", "n"]), sink)
    return sink.getvalue()


def wiki(*pages: str, root: str = DUMP) -> bytes:
    return root.format("".join(pages)).encode()


def utf16_csv() -> bytes:
    return "id\ttext\n1\tcafé, münchen\n".encode("utf-16")


# Each: file names to content, settings, the texts, and what is skipped: reasons with their first example's place.
READ = {
    # Encodings.
    "UTF-8 with a mark": ({"a.txt": codecs.BOM_UTF8 + "é\nb\n".encode()}, {}, ["é", "b"], {}),
    "UTF-16 little endian": ({"a.txt": codecs.BOM_UTF16_LE + "é\nb\n".encode("utf-16-le")}, {}, ["é", "b"], {}),
    "UTF-16 big endian": ({"a.txt": codecs.BOM_UTF16_BE + "é\nb\n".encode("utf-16-be")}, {}, ["é", "b"], {}),
    "UTF-32 little endian": ({"a.txt": codecs.BOM_UTF32_LE + "é\nb".encode("utf-32-le")}, {}, ["é", "b"], {}),
    "UTF-32 big endian": ({"a.txt": codecs.BOM_UTF32_BE + "é\nb".encode("utf-32-be")}, {}, ["é", "b"], {}),
    "UTF-16, one document per file": ({"a.md": "# é\nb".encode("utf-16")}, {}, ["# é\nb"], {}),
    "UTF-16 JSON Lines": ({"a.jsonl": '{"text": "é"}\r\n{"text": "b"}'.encode("utf-16")}, {}, ["é", "b"], {}),
    "UTF-16 TSV called CSV": ({"a.csv": utf16_csv()}, {}, ["café, münchen"], {}),
    "UTF-16 TSV": ({"a.tsv": utf16_csv()}, {}, ["café, münchen"], {}),
    "UTF-16 wiki": ({"a.xml": wiki(PAGE.format(title="T", text="é")).decode().encode("utf-16")}, {}, ["é"], {}),
    "UTF-32 wiki": ({"a.xml": wiki(PAGE.format(title="T", text="é")).decode().encode("utf-32")}, {}, ["é"], {}),
    "UTF-16 in gzip": ({"a.txt.gz": gzip.compress("é\nb".encode("utf-16"))}, {}, ["é", "b"], {}),
    "UTF-16 without a mark, named": ({"a.txt": "é\nb".encode("utf-16-be")}, {"encoding": "utf-16-be"}, ["é", "b"], {}),
    "UTF-16 with half a pair": (
        {"a.txt": "é\n".encode("utf-16") + b"\x00\xd8\n\x00" + "b\n".encode("utf-16-le")},
        {},
        ["é", "b"],
        {"not UTF-16": "a.txt, line 2"},
    ),
    "UTF-16 cut in a character": ({"a.txt": "é\nb".encode("utf-16")[:-1]}, {}, ["é"], {"not UTF-16": "a.txt, line 2"}),
    "cp1252, named": ({"a.txt": "é “b”\n".encode("cp1252")}, {"encoding": "cp1252"}, ["é “b”"], {}),
    "cp1252 in a CSV and its header": (
        {"a.csv": "größe,téxt\n1,é\n".encode("cp1252")},
        {"encoding": "cp1252", "text_field": "téxt"},
        ["é"],
        {},
    ),
    "cp1252 TSV": ({"a.tsv": "text\né\n".encode("cp1252")}, {"encoding": "cp1252"}, ["é"], {}),
    "cp1252 JSON Lines": ({"a.jsonl": '{"text": "é"}'.encode("cp1252")}, {"encoding": "cp1252"}, ["é"], {}),
    "cp1252 wiki": (
        {"a.xml": wiki(PAGE.format(title="é", text="é")).decode().encode("cp1252")},
        {"encoding": "cp1252"},
        ["é"],
        {},
    ),
    "latin-1 as XML says it": (
        {
            "a.xml": b"<?xml version='1.0' encoding='iso-8859-1'?>"
            + wiki(PAGE.format(title="T", text="\xe9")).decode().encode("latin-1")
        },
        {},
        ["é"],
        {},
    ),
    "a mark wins over the setting": ({"a.txt": "é".encode("utf-8-sig")}, {"encoding": "cp1252"}, ["é"], {}),
    "Shift JIS": ({"a.txt": "日本\n語\n".encode("shift_jis")}, {"encoding": "shift_jis"}, ["日本", "語"], {}),
    "bytes that the named encoding lacks": (
        {"a.txt": b"ab\n\x81\n"},
        {"encoding": "cp1252"},
        ["ab"],
        {"not CP1252": "a.txt, line 2"},
    ),
    "one line that is not UTF-8": ({"a.txt": b"a\nb\xff\nc\n"}, {}, ["a", "c"], {"not UTF-8": "a.txt, line 2"}),
    "a cell that is not UTF-8": (
        {"a.csv": b"id,text\n1,a\n2,\xe9\n\xe9,c\n"},
        {},
        ["a", "c"],
        {"not UTF-8": "a.csv, line 3"},
    ),
    "a file that is not UTF-8 in its third line": (
        {"a.md": b"1\n2\n\xff\n", "b.md": b"b"},
        {},
        ["b"],
        {"not UTF-8": "a.md, line 3"},
    ),
    "NULs at the end, as a crash leaves them": (
        {"a.txt": b"text\n" * 50 + b"\0" * 999},
        {},
        ["text"] * 50,
        {"full of NULs": "a.txt, line 51"},
    ),
    "one NUL in a text": ({"a.txt": b"a text with\0one\n"}, {}, ["a text with\0one"], {}),
    # Lines.
    "CR LF": ({"a.txt": b"a\r\nb\r\n"}, {}, ["a", "b"], {}),
    "CR alone": ({"a.txt": b"a\rb\r"}, {}, ["a", "b"], {}),
    "form feeds, U+2028, U+0085": ({"a.txt": "a\fb\u2028c\x85d\n".encode()}, {}, ["a\fb\u2028c\x85d"], {}),
    "blank lines": ({"a.txt": b"\n \t\na\n"}, {}, ["a"], {}),
    "an empty file": ({"a.txt": b"", "b.txt": b"b"}, {}, ["b"], {}),
    "a line of the greatest length": ({"a.txt": b"x" * 1000 + b"\r\n"}, {}, ["x" * 1000], {}),
    "a line that is one too long": ({"a.txt": b"x" * 1001 + b"\na"}, {}, ["a"], {"too long": "a.txt, line 1"}),
    "a line that is too long in UTF-8": (
        {"a.txt": "é".encode() * 501 + b"\na"},
        {},
        ["a"],
        {"too long": "a.txt, line 1"},
    ),
    # CSV and TSV.
    "more fields than the header": (
        {"a.csv": b"id,text\n1,a, b\n2,c\n"},
        {},
        ["c"],
        {"other columns than the header": "a.csv, line 2"},
    ),
    "fewer fields than the header": (
        {"a.csv": b"text,id\na\nb,1\n"},
        {},
        ["b"],
        {"other columns than the header": "a.csv, line 2"},
    ),
    "without the text's field": ({"a.csv": b"id,text\n1\n2,b\n"}, {}, ["b"], {"no text field": "a.csv, line 2"}),
    "a comma at the end of every line": ({"a.csv": b"id,text,\n1,a,\n2,b\n"}, {}, ["a", "b"], {}),
    "empty fields at the end": ({"a.csv": b"id,text\n1,a,,\n"}, {}, ["a"], {}),
    "blank rows": ({"a.csv": b"text\na\n\n\nb\n"}, {}, ["a", "b"], {}),
    "semicolons": ({"a.csv": b"id;text\n1;a, b\n"}, {}, ["a, b"], {}),
    "a bar": ({"a.csv": b"id|text\n1|a, b\n"}, {}, ["a, b"], {}),
    "a delimiter that is set": ({"a.csv": b"id~text\n1~a\n"}, {"delimiter": "~"}, ["a"], {}),
    "a spreadsheet's line with the separator": ({"a.csv": b"sep=;\r\nid;text\r\n1;a, b\r\n"}, {}, ["a, b"], {}),
    "that line in quotes": ({"a.csv": b'"sep=|"\nid|text\n1|a;b\n'}, {}, ["a;b"], {}),
    "that line in a TSV": ({"a.tsv": b"sep=;\nid;text\n1;a\n"}, {"delimiter": ";"}, ["a"], {}),
    "blanks in the header": ({"a.csv": b"id , text \n1, a\n"}, {}, ["a"], {}),
    "a quoted header after a mark": ({"a.csv": codecs.BOM_UTF8 + b'"text","id"\na,1\n'}, {}, ["a"], {}),
    "a line break in the header": ({"a.csv": b'"the\nid",text\n1,a\n'}, {}, ["a"], {}),
    "line breaks in fields": ({"a.csv": b'text\n"a\r\nb"\n"c ""d"""\n'}, {}, ["a\r\nb", 'c "d"'], {}),
    "CR alone in a CSV": ({"a.csv": b"id,text\r1,a\r2,b\r"}, {}, ["a", "b"], {}),
    "a quotation mark within a field": ({"a.csv": b'id,text\n1,5" pipe\n'}, {}, ['5" pipe'], {}),
    "text after a closing quotation mark": (
        {"a.csv": b'id,text\n1,"a" b\n2,c\n'},
        {},
        ["c"],
        {"not CSV": "a.csv, line 2"},
    ),
    "a field that is too long": (
        {"a.csv": b"id,text\n1," + b"x" * 1001 + b"\n2,b\n"},
        {},
        ["b"],
        {"too long": "a.csv, line 2"},
    ),
    "a quoted field that is far too long": (
        {"a.csv": b'id,text\n1,"' + b'x""\n' * 50_000 + b'"\n2,b\n'},
        {},
        ["b"],
        {"too long": "a.csv, line 2"},
    ),
    "an unquoted field that is far too long": (
        {"a.csv": b"id,text\n" + b"1,x" * 50_000 + b"\n2,b\n"},
        {},
        ["b"],
        {"too long": "a.csv, line 2"},
    ),
    "CSV without quoting": ({"a.csv": b'id,text\n1,"a\n2,b"\n'}, {"quoting": "none"}, ['"a', 'b"'], {}),
    "a TSV of one column": ({"a.tsv": b"text\na, b; c\n"}, {}, ["a, b; c"], {}),
    "TSV whose fields begin with a quotation mark": ({"a.tsv": b'id\ttext\n1\t"a\n2\t"b\n'}, {}, ['"a', '"b'], {}),
    "TSV with quoting": ({"a.tsv": b'id\ttext\n1\t"a\tb"\n'}, {"quoting": "quotes"}, ["a\tb"], {}),
    "TSV with a field too many": (
        {"a.tsv": b"id\ttext\n1\ta\tb\n2\tc\n"},
        {},
        ["c"],
        {"other columns than the header": "a.tsv, line 2"},
    ),
    "a TSV field that is too long": (
        {"a.tsv": b"text\n" + b"x" * 2000 + b"\nb\n"},
        {},
        ["b"],
        {"too long": "a.tsv, line 2"},
    ),
    "a TSV line that is far too long": (
        {"a.tsv": b"id\ttext\n1\t" + b"x" * 100_000 + b"\n2\tb\n"},
        {},
        ["b"],
        {"too long": "a.tsv, line 2"},
    ),
    "a long field beside the text": (
        {"a.tsv": b"id\ttext\n" + b"1" * 2000 + b"\ta\n", "b.jsonl": b'{"id": "' + b"1" * 2000 + b'", "text": "b"}'},
        {},
        ["a", "b"],
        {},
    ),
    "tabs in a CSV": ({"a.csv": b"id\ttext\n1\ta, b\n"}, {}, ["a, b"], {}),
    "a header alone": ({"a.csv": b"text\n", "b.txt": b"b"}, {}, ["b"], {}),
    # JSON Lines.
    "half a surrogate pair in a value": (
        {"a.jsonl": b'{"text": "a\\ud800"}\n{"text": "b"}\n'},
        {},
        ["b"],
        {"half a character": "a.jsonl, line 1"},
    ),
    "the other half": (
        {"a.jsonl": b'{"text": "\\udc80"}\n{"text": "b"}\n'},
        {},
        ["b"],
        {"half a character": "a.jsonl, line 1"},
    ),
    "a whole surrogate pair": ({"a.jsonl": b'{"text": "\\ud83d\\ude00"}\n'}, {}, ["😀"], {}),
    "half a surrogate pair in a key": (
        {"a.jsonl": b'{"\\ud800": 1}\n{"text": "b"}\n'},
        {},
        ["b"],
        {"no text field": "a.jsonl, line 1"},
    ),
    "half a surrogate pair in another field": ({"a.jsonl": b'{"text": "b", "x": "\\ud800"}\n'}, {}, ["b"], {}),
    "a key in latin-1": ({"a.jsonl": b'{"t\xe9xt": 1}\n{"text": "b"}\n'}, {}, ["b"], {"not UTF-8": "a.jsonl, line 1"}),
    "a nested field": (
        {"a.jsonl": b'{"review": {"body": "a"}}\n{"review": 1}\n{"review": {"body": "b", "x": 1}}'},
        {"text_field": "review.body"},
        ["a", "b"],
        {"no text field": "a.jsonl, line 2"},
    ),
    "a key with a dot": ({"a.jsonl": b'{"a.b": "x", "a": {"b": "y"}}'}, {"text_field": "a.b"}, ["x"], {}),
    "a key with a dot below another": ({"a.jsonl": b'{"a": {"b.c": "x"}}'}, {"text_field": "a.b.c"}, ["x"], {}),
    "JSON as deep as can be": (
        {"a.jsonl": b"[" * 900 + b"\n" + b'{"text": "b"}'},
        {},
        ["b"],
        {"not JSON": "a.jsonl, line 1"},
    ),
    "the longest text in another script, escaped": (
        {"a.jsonl": b'{"text": "' + rb"\u0416" * 500 + b'"}'},
        {},
        ["Ж" * 500],
        {},
    ),
    "a text in another script that is one too long, escaped": (
        {"a.jsonl": b'{"text": "' + rb"\u0416" * 501 + b'"}\n{"text": "b"}'},
        {},
        ["b"],
        {"too long": "a.jsonl, line 1"},
    ),
    "a line of NULs amid JSON": (
        {"a.jsonl": b'{"text": "a"}\n' * 50 + b"\0" * 99 + b'\n{"text": "a"}'},
        {},
        ["a"] * 51,
        {"full of NULs": "a.jsonl, line 51"},
    ),
    "a line of JSON that is far too long": (
        {"a.jsonl": b'{"text": "' + b"x" * 100_000 + b'"}\n{"text": "b"}'},
        {},
        ["b"],
        {"too long": "a.jsonl, line 1"},
    ),
    "a number of 5,000 digits": (
        {"a.jsonl": b'{"text": "b"}\n{"text": "c", "n": ' + b"1" * 900 + b"}"},
        {},
        ["b", "c"],
        {},
    ),
    "a NUL in JSON": ({"a.jsonl": b'{"text": "some text\\u0000 more"}'}, {}, ["some text\0 more"], {}),
    "null, lists, numbers": (
        {"a.jsonl": b'{"text": null}\n{"text": ["a"]}\n{"text": 1}\nnull\n{"text": "b"}'},
        {},
        ["b"],
        {"no text field": "a.jsonl, line 1"},
    ),
    # Parquet.
    "categories": (
        {"a.parquet": parquet(pa.array(["a", None, "a"]).dictionary_encode())},
        {},
        ["a", "a"],
        {"no text field": "a.parquet, row 2"},
    ),
    "large strings": ({"a.parquet": parquet(pa.array(["a", "b"], pa.large_string()))}, {}, ["a", "b"], {}),
    "bytes in UTF-8": (
        {"a.parquet": parquet(pa.array(["é".encode(), b"\xff"]))},
        {},
        ["é"],
        {"not UTF-8": "a.parquet, row 2"},
    ),
    "text that is not UTF-8": (
        {"a.parquet": parquet(pa.Array.from_buffers(pa.string(), 2, pa.array([b"a", b"\xe9"]).buffers()))},
        {},
        ["a"],
        {"not UTF-8": "a.parquet, row 2"},
    ),
    "without a dictionary": ({"a.parquet": parquet(pa.array(["a", "b"]), use_dictionary=False)}, {}, ["a", "b"], {}),
    "several row groups": (
        {"a.parquet": parquet(pa.array([str(i) for i in range(3000)]), row_group_size=700)},
        {},
        [str(i) for i in range(3000)],
        {},
    ),
    "a struct's field": (
        {"a.parquet": parquet(pa.array([{"body": "a", "n": 1}, None, {"body": None}]), "review")},
        {"text_field": "review.body"},
        ["a"],
        {"no text field": "a.parquet, row 2"},
    ),
    "a column with a dot": ({"a.parquet": parquet(pa.array(["a"]), "a.b")}, {"text_field": "a.b"}, ["a"], {}),
    "other columns of one name": ({"a.parquet": other_columns_of_one_name()}, {}, ["one"], {}),
    # MediaWiki.
    "no ns": ({"a.xml": wiki("<page><title>T</title><revision><text>a</text></revision></page>")}, {}, ["a"], {}),
    "no ns, but namespaces": (
        {
            "a.xml": wiki(
                '<siteinfo><namespaces><namespace key="0"/><namespace key="1">Diskussion</namespace></namespaces>'
                "</siteinfo>",
                "<page><title>T: a</title><revision><text>a</text></revision></page>",
                "<page><title>Diskussion:T</title><revision><text>no</text></revision></page>",
            )
        },
        {},
        ["a"],
        {},
    ),
    "no title": ({"a.xml": wiki("<page><revision><text>a</text></revision></page>")}, {}, ["a"], {}),
    "no text": (
        {"a.xml": wiki("<page><title>T</title></page>", PAGE.format(title="U", text="b"))},
        {},
        ["b"],
        {"no text field": "a.xml, page 'T'"},
    ),
    "an empty text": (
        {"a.xml": wiki("<page><revision><text/></revision></page>", PAGE.format(title="", text="b"))},
        {},
        ["b"],
        {},
    ),
    "https in the namespace": (
        {"a.xml": wiki(PAGE.format(title="T", text="a"), root=DUMP.replace("http:", "https:"))},
        {},
        ["a"],
        {},
    ),
    "no namespace": (
        {"a.xml": wiki(PAGE.format(title="T", text="a"), root="<mediawiki>{}</mediawiki>")},
        {},
        ["a"],
        {},
    ),
    "a prefix": (
        {"a.xml": b"<m:mediawiki><m:page><m:revision><m:text>a</m:text></m:revision></m:page></m:mediawiki>"},
        {},
        ["a"],
        {},
    ),
    "the last of several revisions": (
        {"a.xml": wiki("<page><revision><text>old</text></revision><revision><text>new</text></revision></page>")},
        {},
        ["new"],
        {},
    ),
    "a page that is too long": (
        {"a.xml": wiki(PAGE.format(title="T", text="x " * 501), PAGE.format(title="U", text="b"))},
        {},
        ["b"],
        {"too long": "a.xml, page 'T'"},
    ),
    "a title over two lines": (
        {"a.xml": wiki("<page><title>a\nb</title></page>", PAGE.format(title="U", text="b"))},
        {},
        ["b"],
        {"no text field": "a.xml, page 'a\\\\nb'"},
    ),
    # Compression.
    "gzip padded with NULs": ({"a.txt.gz": gzip.compress(b"a\n") + b"\0" * 5000}, {}, ["a"], {}),
    "bz2 padded with NULs": ({"a.txt.bz2": bz2.compress(b"a\n") + b"\0" * 700_000}, {}, ["a"], {}),
    "xz padded with NULs": ({"a.txt.xz": lzma.compress(b"a\n") + b"\0" * 8 + lzma.compress(b"b")}, {}, ["a", "b"], {}),
    "capitals in endings": (
        {
            "A.TXT.GZ": gzip.compress(b"a"),
            "B.CSV": b"text\nb",
            "C.JSONL.Bz2": bz2.compress(b'{"text": "c"}'),
            "D.Md": b"d",
        },
        {},
        ["a", "b", "c", "d"],
        {},
    ),
    "an empty text in gzip": ({"a.txt.gz": gzip.compress(b""), "b.txt": b"b"}, {}, ["b"], {}),
    # Names.
    "odd names": (
        {"a [1].txt": b"a", "b*?.txt": b"b", "c%20d.txt": b"c", "e\nf.txt": b"e", "g{h}.txt": b"g", "ü—.txt": b"u"},
        {},
        ["a", "b", "c", "e", "g", "u"],
        {},
    ),
    "dates in names": ({"2024-01-01T10:00:00.txt": b"a"}, {}, ["a"], {}),
    "a problem in a file with a line break in its name": (
        {"a\nb.txt": b"\xff\nb"},
        {},
        ["b"],
        {"not UTF-8": "a\\nb.txt, line 1"},
    ),
    "a problem in a file whose name is not UTF-8": (
        {b"a\xff.txt": b"\xff\nb"},
        {},
        ["b"],
        {"not UTF-8": "a\\udcff.txt, line 1"},
    ),
}


@pytest.mark.parametrize(("content", "settings", "expected", "skipped"), READ.values(), ids=READ)
def test_what_is_read(tmp_path, content, settings, expected, skipped):
    texts, report = inputs.read([put(tmp_path, content)], str(tmp_path), **settings)
    assert texts == expected
    assert report.skipped.keys() == skipped.keys()
    for reason, place in skipped.items():
        first = report.examples[reason][0]
        assert first.startswith(f"{tmp_path}/in/{place}: {reason}")
        assert first.isprintable()


# Each: file names to content, settings, and the line that stops the run.
REFUSED = {
    "UTF-16 without a mark": (
        {"a.txt": "some text".encode("utf-16-le")},
        {},
        r"a.txt, line 1: .*NULs.*UTF-16-LE.*corpus.encoding",
    ),
    "UTF-16 BE without a mark": ({"a.md": "some text".encode("utf-16-be")}, {}, r"a.md, line 1: .*NULs.*UTF-16-BE"),
    "UTF-32 without a mark": ({"a.jsonl": "some text".encode("utf-32-be")}, {}, r"a.jsonl, line 1: .*NULs.*UTF-32"),
    "NULs alone": ({"a.txt": b"\0" * 100}, {}, r"a.txt, line 1: .*full of NULs"),
    "a CSV in UTF-16 without a mark": ({"a.csv": "id,text".encode("utf-16-le")}, {}, r"a.csv, line 1: .*UTF-16-LE"),
    "cp1252 in the header": (
        {"a.csv": "größe,text\n1,a\n".encode("cp1252")},
        {},
        r"a.csv, line 1: .*b'\\xf6' \(corpus.encoding\)",
    ),
    "a wiki in cp1252 that says nothing": (
        {"a.xml": wiki(PAGE.format(title="T", text="é")).decode().encode("cp1252")},
        {},
        r"a.xml, line 1: .*not XML",
    ),
    "a wiki that the named encoding does not fit": (
        {"a.xml": wiki(PAGE.format(title="T", text="é"))},
        {"encoding": "ascii"},
        r"a.xml, line \d or later: .*not ASCII \(corpus.encoding\)",
    ),
    "gzip called text": ({"a.txt": gzip.compress(b"a")}, {}, r"a.txt: .*no text, but compressed by gzip"),
    "bz2 called text": ({"a.txt": bz2.compress(b"a")}, {}, r"a.txt: .*no text, but compressed by bz2"),
    "a zip archive called CSV": ({"a.csv": b"PK\x03\x04..."}, {}, r"a.csv: .*no text, but a zip archive"),
    "a zip archive": ({"a.zip": b"PK\x03\x04..."}, {}, r"a.zip: its name does not tell"),
    "PDF called text": ({"a.txt": b"%PDF-1.7 ..."}, {}, r"a.txt: .*no text, but PDF"),
    "no column": ({"a.csv": b"id,body\n1,a\n"}, {}, r"a.csv, line 1: .*no column 'text', there are id, body"),
    "no column, in TSV": ({"a.tsv": b"id,text\n1,a\n"}, {}, r"a.tsv, line 1: .*no column 'text', there are id,text"),
    "no column, and a long name": ({"a.csv": b"x" * 500 + b"\n"}, {}, r"no column 'text', there are x{40}… "),
    "two columns of one name": ({"a.csv": b"text,text\na,b\n"}, {}, r"a.csv, line 1: .*two columns are called 'text'"),
    "an empty header": ({"a.csv": b"\na,b\n"}, {}, r"a.csv, line 1: .*no column 'text'"),
    "a header without an end": ({"a.csv": b"id,text" * 30_000}, {}, r"a.csv, line 1: .*a header that is too long"),
    "a TSV header without an end": ({"a.tsv": b"id\ttext" * 30_000}, {}, r"a.tsv, line 1: .*a header over 1,000 bytes"),
    "a quotation mark that never closes": (
        {"a.csv": b'id,text\n1,a\n2,"b\n3,c\n'},
        {},
        r"a.csv, line 3: .*a quoted field that does not end",
    ),
    "the same in a long file": (
        {"a.csv": b'id,text\n1,a\n2,"b\n' + b"3,c\n" * 50_000},
        {},
        r"a.csv, line 3: .*a quoted field that never ends",
    ),
    "a quotation mark that closes in another row": (
        {"a.csv": b'id,text\n1,"a\n2,b\n3,"c"\n'},
        {},
        r"a.csv, line 2: .*does not end before line 4",
    ),
    "a quotation mark in the header": ({"a.csv": b'id,"text\n1,a\n'}, {}, r"a.csv, line 1: "),
    "half a surrogate pair in every line": (
        {"a.jsonl": b'{"text": "\\ud800"}\n' * 3},
        {"share": 0.1},
        r"3 of 3 documents(.|\n)*a.jsonl, line 1: half a character",
    ),
    "a JSON array": ({"a.jsonl": b'[\n{"text": "a"},\n{"text": "b"}\n]'}, {"share": 0.1}, r"a.jsonl, line 2: not JSON"),
    "two Parquet columns of one name": (
        {"a.parquet": two_columns_of_one_name()},
        {},
        r"a.parquet: .*two columns are called 'text'",
    ),
    "Parquet in gzip": (
        {"a.parquet.gz": gzip.compress(parquet(pa.array(["a"])))},
        {},
        r"a.parquet.gz: Parquet within gzip.*Unpack",
    ),
    "lists in Parquet": ({"a.parquet": parquet(pa.array([["a"]]))}, {}, r"a.parquet: .*column 'text' holds list<"),
    "categories of numbers": (
        {"a.parquet": parquet(pa.array([1, 2]).dictionary_encode())},
        {},
        r"a.parquet: .*column 'text' holds",
    ),
    "a struct": ({"a.parquet": parquet(pa.array([{"body": "a"}]))}, {}, r"a.parquet: .*column 'text' holds struct<"),
    "no Parquet column": (
        {"a.parquet": parquet(pa.array(["a"]), "b.c")},
        {},
        r"a.parquet: .*no column 'text', there are b.c",
    ),
    "Parquet cut off": ({"a.parquet": parquet(pa.array(["a"] * 99))[:-20]}, {}, r"a.parquet: unreadable: "),
    "text called Parquet": ({"a.parquet": b"a\n"}, {}, r"a.parquet: unreadable: "),
    "RSS": (
        {"a.xml": b"<?xml version='1.0'?><rss version='2.0'><channel/></rss>"},
        {},
        r"a.xml: .*no MediaWiki dump.*<rss>",
    ),
    "XHTML": ({"a.xml": b"<html xmlns='http://www.w3.org/1999/xhtml'/>"}, {}, r"a.xml: .*no MediaWiki dump.*<html>"),
    "no XML": ({"a.xml": b"some text"}, {}, r"a.xml, line 1: .*no MediaWiki dump"),
    "entities": (
        {"a.xml": b"<!DOCTYPE m [<!ENTITY a 'aa'><!ENTITY b '&a;&a;'>]><mediawiki>&b;</mediawiki>"},
        {},
        r"a.xml: .*declares entities",
    ),
    "XML that ends in a page": (
        {"a.xml": wiki(PAGE.format(title="T", text="a"))[:-14]},
        {},
        r"a.xml, line 1: .*not XML",
    ),
    "XML without an end": ({"a.xml": b"<mediawiki>" + b"<a>" * 1000}, {}, r"a.xml: .*elements in more than 64 others"),
    "gzip cut off": ({"a.txt.gz": gzip.compress(b"a\n" * 99)[:-3]}, {}, r"a.txt.gz: unreadable: "),
    "gzip with garbage behind": ({"a.txt.gz": gzip.compress(b"a\n") + b"garbage"}, {}, r"a.txt.gz: unreadable: "),
    "gzip with a bit flipped": (
        {"a.txt.gz": gzip.compress(b"a\n" * 9)[:-8] + b"\1\2\3\4\x12\0\0\0"},
        {},
        r"a.txt.gz: unreadable: CRC",
    ),
    "bz2 with a damaged second stream": (
        {"a.txt.bz2": bz2.compress(b"a\n") + b"BZh9" + bz2.compress(b"b\n")[5:]},
        {},
        r"a.txt.bz2: unreadable: ",
    ),
    "bz2 cut off": ({"a.txt.bz2": bz2.compress(b"a\n")[:-3]}, {}, r"a.txt.bz2: unreadable: "),
    "xz cut off": ({"a.txt.xz": lzma.compress(b"a\n")[:-3]}, {}, r"a.txt.xz: unreadable: "),
    "xz with a damaged second stream": (
        {"a.txt.xz": lzma.compress(b"a\n") + lzma.compress(b"b")[:9]},
        {},
        r"a.txt.xz: unreadable: ",
    ),
    "zstd cut off": ({"a.txt.zst": zstandard.compress(b"a\n" * 99)[:-3]}, {}, r"a.txt.zst: unreadable: "),
    "text called gzip": ({"a.txt.gz": b"some text"}, {}, r"a.txt.gz: unreadable: Not a gzipped file"),
    "text called xz": ({"a.txt.xz": b"some text"}, {}, r"a.txt.xz: unreadable: "),
    "blank documents alone": ({"a.txt": b" \n\n"}, {}, r"no text in its 1 files \(0 empty files, 2 blank"),
    "empty files alone": ({"a.txt": b""}, {}, r"no text in its 1 files \(1 empty files.*a.txt"),
    "an ending that is none": ({"a.dat": b"a"}, {}, r"a.dat: its name does not tell"),
    "a name that is not UTF-8": ({b"a\xff.dat": b"a"}, {}, r"a\\udcff.dat: its name does not tell"),
    "a line break in a name": ({"a\nb.dat": b"a"}, {}, r"a\\nb.dat: its name does not tell"),
}


@pytest.mark.parametrize(("content", "settings", "line"), REFUSED.values(), ids=REFUSED)
def test_what_stops_a_run(tmp_path, content, settings, line):
    with pytest.raises(UserError, match=line) as caught:
        inputs.read([put(tmp_path, content)], str(tmp_path), **settings)
    message = str(caught.value)
    assert "share" in settings or "\n" not in message
    assert re.search(r"\b[A-Z]\w+Error\b", message) is None
    message.encode()


def put(folder, content) -> str:
    (folder / "in").mkdir()
    for name, data in content.items():
        path = os.path.join(os.fsencode(folder / "in"), os.fsencode(name))
        with open(path, "wb") as file:
            file.write(data)
    return str(folder / "in")


def test_csv_as_python_writes_it_is_read(tmp_path):
    rows = [["a", 'quoted "b"'], ["c\nd", "e,f"], ["", ";g;"]]
    with open(tmp_path / "a.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["id", "text"], *rows])
    texts, _ = inputs.read([str(tmp_path / "a.csv")], str(tmp_path))
    assert texts == [row[1] for row in rows]


def test_no_more_than_the_first_examples_of_a_problem_are_kept(tmp_path):
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps({"x": number}) for number in range(99)) + '\n{"text": "a"}')
    _, report = inputs.read([str(tmp_path / "a.jsonl")], str(tmp_path))
    assert report.skipped == {"no text field": 99}
    assert len(report.examples["no text field"]) == 3
