from __future__ import annotations

import bz2
import gzip
import json
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from components import files
from components.corpus import executor, readers
from word2vec.errors import UserError

OPTIONS = readers.ReadOptions(text_field="text", max_document_bytes=1000)
COMPRESS = {"": lambda data: data, ".gz": gzip.compress, ".bz2": bz2.compress, ".zst": zstandard.compress}


def read(path, options=OPTIONS):
    return [item for file in files.find([str(path)]) for item in readers.read(file, options)]


def texts(path, options=OPTIONS):
    return [item.text for item in read(path, options) if isinstance(item, readers.Document)]


def problems(path, options=OPTIONS):
    return [(item.reason, item.place, item.fatal) for item in read(path, options) if isinstance(item, readers.Problem)]


@pytest.mark.parametrize("ending", COMPRESS)
def test_lines_in_every_compression(tmp_path, ending):
    (tmp_path / f"a.txt{ending}").write_bytes(COMPRESS[ending]("\ufefffirst\r\nsecönd\n\nlast".encode()))
    assert texts(tmp_path) == ["first", "secönd", "", "last"]


@pytest.mark.parametrize("ending", [ending for ending in COMPRESS if ending])
def test_several_compressed_streams_in_one_file_are_one_text(tmp_path, ending):
    (tmp_path / f"a.txt{ending}").write_bytes(COMPRESS[ending](b"one\n") + COMPRESS[ending](b"two\n"))
    assert texts(tmp_path) == ["one", "two"]


@pytest.mark.parametrize("ending", [ending for ending in COMPRESS if ending])
def test_a_truncated_file_is_never_taken_for_a_whole_one(tmp_path, ending):
    whole = COMPRESS[ending](b"".join(b"document %d\n" % number for number in range(20_000)))
    for cut in (len(whole) - 3, len(whole) // 2):
        (tmp_path / f"a.txt{ending}").write_bytes(whole[:cut])
        assert problems(tmp_path)[-1] == ("unreadable", "", True)


def test_a_file_that_is_not_what_its_name_says(tmp_path):
    (tmp_path / "a.txt.gz").write_bytes(b"plain text\n")
    assert problems(tmp_path) == [("unreadable", "", True)]
    (tmp_path / "a.txt.gz").rename(tmp_path / "a.parquet")
    assert problems(tmp_path) == [("unreadable", "", True)]


def test_bytes_that_are_not_utf8_are_skipped_with_their_line(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"good\nb\xffd\ngood\n")
    assert texts(tmp_path) == ["good", "good"]
    assert problems(tmp_path) == [("not UTF-8", "line 2", False)]


def test_a_line_that_is_too_long_is_skipped_and_the_next_is_read(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"x" * 1000 + b"\n" + b"y" * 3_000_000 + b"\nlast\n" + b"z" * 1001)
    assert texts(tmp_path) == ["x" * 1000, "last"]
    assert problems(tmp_path) == [("too long", "line 2", False), ("too long", "line 4", False)]


def test_jsonl(tmp_path):
    lines = ['{"text": "one", "id": 1}', "", "{", '{"id": 2}', '{"text": 3}', "[1]", '{"text": "t\\u00e9a\\nlast"}']
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    assert texts(tmp_path) == ["one", "téa\nlast"]
    assert problems(tmp_path) == [
        ("not JSON", "line 3", False),
        ("no text field", "line 4", False),
        ("no text field", "line 5", False),
        ("no text field", "line 6", False),
    ]


def test_csv_with_line_breaks_in_quotes_and_short_rows(tmp_path):
    (tmp_path / "a.csv").write_text('id,text\n1,one\n2,"two\nlines, ""quoted"""\n3\n4,\n', newline="")
    assert texts(tmp_path) == ["one", 'two\nlines, "quoted"', ""]
    assert problems(tmp_path) == [("no text field", "line 5", False)]


def test_tsv_and_csv_without_the_column(tmp_path):
    (tmp_path / "a.tsv").write_text("id\ttext\n1\tone, two\n")
    assert texts(tmp_path / "a.tsv") == ["one, two"]
    (tmp_path / "b.csv").write_text("id,body\n1,one\n")
    assert problems(tmp_path / "b.csv") == [("unreadable", "line 1", True)]
    assert texts(tmp_path / "b.csv", readers.ReadOptions("body", 100)) == ["one"]


def test_parquet(tmp_path):
    pq.write_table(pa.table({"text": ["one", None, "z" * 1001, "four"], "id": [1, 2, 3, 4]}), tmp_path / "a.parquet")
    assert texts(tmp_path) == ["one", "four"]
    assert problems(tmp_path) == [("no text field", "row 2", False), ("too long", "row 3", False)]
    assert problems(tmp_path, readers.ReadOptions("body", 100)) == [("unreadable", "", True)]
    assert problems(tmp_path, readers.ReadOptions("id", 100)) == [("unreadable", "", True)]


def test_mediawiki(tmp_path):
    page = "<page><title>{}</title><ns>{}</ns><id>{}</id><revision><id>9</id><text>{}</text></revision></page>"
    pages = [
        page.format("Tea", 0, 1, "'''Tea''' is a [[drink|hot drink]].{{cite|x}}"),
        page.format("Chai", 0, 2, "#REDIRECT [[Tea]]"),
        page.format("Talk:Tea", 1, 3, "hm"),
    ]
    dump = '<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.10/">' + "".join(pages)
    (tmp_path / "pages-articles1.xml-p1p3.bz2").write_bytes(bz2.compress(f"{dump}</mediawiki>".encode()))
    tea, redirect, talk = texts(tmp_path)
    assert "hot drink" in tea
    assert "cite" not in tea
    assert redirect == talk == ""
    (tmp_path / "pages-articles1.xml-p1p3.bz2").write_bytes(bz2.compress(dump.encode()))
    assert problems(tmp_path)[-1] == ("unreadable", "line 1", True)


def test_one_document_a_file(tmp_path):
    (tmp_path / "a.md").write_text("# One\n\ntext")
    assert texts(tmp_path) == ["# One\n\ntext"]
    assert problems(tmp_path, readers.ReadOptions("text", 5)) == [("too long", "", False)]


def test_forms_mix_and_hidden_files_are_left_alone(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.txt").write_text("one\n")
    (tmp_path / "b.jsonl").write_text('{"text": "two"}\n')
    (tmp_path / ".hidden.txt").write_text("no\n")
    assert sorted(texts(tmp_path)) == ["one", "two"]


def test_files_that_can_not_be_found_or_told(tmp_path):
    with pytest.raises(UserError, match=r"nothing\*.txt: no file matches"):
        files.find([str(tmp_path / "nothing*.txt")])
    (tmp_path / "a.dat").write_text("x")
    with pytest.raises(UserError, match=r"a.dat: its name does not tell .* corpus.form"):
        files.find([str(tmp_path)])
    assert files.find([str(tmp_path)], form="lines")[0].form == "lines"
    with pytest.raises(UserError, match="no built-in data"):
        files.find(["builtin://nothing"])


def test_fingerprint_follows_the_files(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("x")
    before = files.fingerprint(files.find([str(path)]))
    assert before == files.fingerprint(files.find([str(path)]))
    path.write_text("xy")
    assert before != files.fingerprint(files.find([str(path)]))
    assert files.fingerprint(files.find([str(path)], form="files")) != files.fingerprint(files.find([str(path)]))


document = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00"), max_size=40)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(document, min_size=1, max_size=8),
    st.sampled_from(["jsonl", "csv", "parquet"]),
    st.sampled_from(list(COMPRESS)),
)
def test_what_is_written_is_read(tmp_path_factory, written, form, ending):
    ending = "" if form == "parquet" else ending  # Parquet compresses its columns itself
    path = tmp_path_factory.mktemp("forms") / f"a.{form}{ending}"
    if form == "jsonl":
        data = "\n".join(json.dumps({"text": text}) for text in written).encode()
    elif form == "csv":
        data = ("text\n" + "\n".join('"' + text.replace('"', '""') + '"' for text in written)).encode()
    else:
        sink = pa.BufferOutputStream()
        pq.write_table(pa.table({"text": pa.array(written, pa.string())}), sink)
        data = sink.getvalue().to_pybytes()
    path.write_bytes(COMPRESS[ending](data))
    assert texts(path) == written


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300), st.sampled_from(["txt", "jsonl", "csv", "parquet", "md", "xml", "txt.gz", "txt.zst"]))
def test_no_bytes_make_a_reader_raise(tmp_path_factory, data, ending):
    path = tmp_path_factory.mktemp("noise") / f"a.{ending}"
    path.write_bytes(data)
    for item in read(path):
        assert isinstance(item, readers.Problem) or item.text.encode("utf-8").decode("utf-8") == item.text


@pytest.mark.parametrize("ending", ["txt", "csv", "md", "jsonl", "xml", "txt.gz", "parquet"])
@pytest.mark.parametrize("change", ["cut", "gone", "longer", "rewritten", "emptied"])
def test_a_file_that_changes_while_it_is_read_is_named(tmp_path, ending, change):
    path = tmp_path / f"a.{ending}"
    path.write_bytes(b"text\n" * 200_000)
    (found,) = files.find([str(path)])
    reading = readers.read(found, OPTIONS)
    first = next(reading)  # so that it is open, unless that was all
    if change == "gone":
        path.unlink()
    elif change == "rewritten":
        os.utime(path, (1, 1))
    else:
        with open(path, "r+b") as file:
            file.truncate({"cut": 1000, "longer": 2_000_000, "emptied": 0}[change])
    last = [first, *reading][-1]
    if isinstance(first, readers.Document) or not first.fatal:
        assert last.fatal
        assert ("gone" if change == "gone" else "written anew" if change == "rewritten" else "changed") in last.detail


@pytest.mark.parametrize("size", [0, 1000])
def test_a_file_that_changed_before_it_is_read_is_named(tmp_path, size):
    path = tmp_path / "a.txt"
    path.write_bytes(b"x" * size)
    (found,) = files.find([str(path)])
    path.write_bytes(b"other")
    (*_, last) = readers.read(found, OPTIONS)
    assert (last.fatal, last.detail) == (True, f"it changed while the corpus was read (from {size:,} to 5 bytes)")
    path.unlink()
    (*_, last) = readers.read(found, OPTIONS)
    assert (last.fatal, last.detail) == (True, "it is gone since the run began to read the corpus")


def test_files_that_are_not_those_of_the_fingerprint_end_the_run(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("x")
    found = files.find([str(path)])
    executor._check_fingerprint(found, files.fingerprint(found))
    executor._check_fingerprint(found, "")
    path.write_text("xy")
    with pytest.raises(
        UserError, match=r"corpus: files were added, .*; the newest is .*/a.txt \(\d{4}-.*Start the run"
    ):
        executor._check_fingerprint(files.find([str(path)]), files.fingerprint(found))
