"""Reads documents out of files: one generator a form of text, all of them streaming.

Each yields `Document`s, and a `Problem` in the place of whatever it could not read. A problem names its place, so that
its user finds it, and says whether the file's rest is lost with it.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import re
import sys
import xml.etree.ElementTree
from collections.abc import Callable, Iterator
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from components.corpus import wikitext
from components.files import CorpusFile


@dataclasses.dataclass(frozen=True)
class Document:
    """A document's text, and where it stands in its file (`line 7`)."""

    text: str
    place: str


@dataclasses.dataclass(frozen=True)
class Problem:
    """Something that was not read. `reason` is what it is counted under; a fatal one fails the run."""

    reason: str
    place: str
    detail: str = ""
    fatal: bool = False


@dataclasses.dataclass(frozen=True)
class ReadOptions:
    """Where the text stands in a record, and how long it may be."""

    text_field: str
    max_document_bytes: int


Reader = Callable[[BinaryIO, ReadOptions], Iterator[Document | Problem]]


def read(file: CorpusFile, options: ReadOptions) -> Iterator[Document | Problem]:
    """Yields the documents of a file, and its problems in their places; never raises for what the file holds."""
    try:
        with FileSystems.open(file.path, compression_type=CompressionTypes.UNCOMPRESSED) as raw:
            yield from map(_checked, READERS[file.form](_decompress(raw, file.compression), options))
    except (OSError, EOFError, pa.ArrowException, csv.Error, xml.etree.ElementTree.ParseError) as error:
        # Arrow's codecs tell a truncated stream from one that ends; Beam's own would read it as if it were whole.
        yield Problem("unreadable", "", _first_line(error), fatal=True)


def _decompress(raw: BinaryIO, compression: str) -> BinaryIO:
    if compression == "none":
        return raw
    return io.BufferedReader(pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), compression), 1 << 20)


def _checked(item: Document | Problem) -> Document | Problem:
    """Turns a document whose bytes were not UTF-8 into a problem; the decoders leave such bytes as surrogates."""
    if isinstance(item, Problem):
        return item
    try:
        item.text.encode("utf-8")
    except UnicodeEncodeError as error:
        return Problem("not UTF-8", item.place, f"byte {item.text[error.start].encode('utf-8', 'surrogateescape')!r}")
    return item


def _decode(line: bytes) -> str:
    return line.decode("utf-8-sig", "surrogateescape").rstrip("\r\n")


def _too_long(place: str, options: ReadOptions) -> Problem:
    return Problem("too long", place, f"over {options.max_document_bytes:,} bytes (corpus.max_document_bytes)")


def _lines(stream: BinaryIO, options: ReadOptions) -> Iterator[tuple[str, bytes | Problem]]:
    """Yields each line with its place; a line that is too long is passed over without being held in memory."""
    limit, number = options.max_document_bytes, 0
    while line := stream.readline(limit + 2):
        number += 1
        place = f"line {number}"
        if len(line.rstrip(b"\r\n")) <= limit:
            yield place, line
            continue
        while not line.endswith(b"\n") and (line := stream.readline(1 << 20)):
            pass
        yield place, _too_long(place, options)


def read_lines(stream: BinaryIO, options: ReadOptions) -> Iterator[Document | Problem]:
    """One document a line."""
    for place, line in _lines(stream, options):
        yield line if isinstance(line, Problem) else Document(_decode(line), place)


def read_whole(stream: BinaryIO, options: ReadOptions) -> Iterator[Document | Problem]:
    """The file is one document."""
    data = stream.read(options.max_document_bytes + 1)
    yield _too_long("", options) if len(data) > options.max_document_bytes else Document(_decode(data), "")


def read_jsonl(stream: BinaryIO, options: ReadOptions) -> Iterator[Document | Problem]:
    """One JSON object a line, with the text in the field `text_field`. Blank lines are passed over."""
    for place, line in _lines(stream, options):
        if isinstance(line, Problem):
            yield line
        elif line.strip():
            yield _json_document(_decode(line), place, options)


def _json_document(line: str, place: str, options: ReadOptions) -> Document | Problem:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        return Problem("not JSON", place, _first_line(error))
    if not isinstance(record, dict):
        return Problem("no text field", place, f"expected an object, found {type(record).__name__}")
    if not isinstance(record.get(options.text_field), str):
        found = f"its fields are {', '.join(list(record)[:8])}" if options.text_field not in record else "it is no text"
        return Problem("no text field", place, f"{options.text_field!r}: {found} (corpus.text_field)")
    return Document(record[options.text_field], place)


def read_csv(stream: BinaryIO, options: ReadOptions) -> Iterator[Document | Problem]:
    """CSV or TSV with a header; quoted fields may hold line breaks. The delimiter is told from the header."""
    csv.field_size_limit(sys.maxsize)
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
    first = text.readline()
    delimiter = "\t" if first.count("\t") > first.count(",") else ","
    header = next(csv.reader([first], delimiter=delimiter), [])
    if not first:
        return
    if options.text_field not in header:
        yield Problem(
            "unreadable",
            "line 1",
            f"no column {options.text_field!r}, there are {', '.join(header[:8])} (corpus.text_field)",
            fatal=True,
        )
        return
    column = header.index(options.text_field)
    rows = csv.reader(text, delimiter=delimiter, strict=True)
    for row in rows:
        place = f"line {rows.line_num + 1}"
        if column >= len(row):
            if row:
                yield Problem("no text field", place, f"{len(row)} columns, expected {len(header)}")
        elif len(row[column]) > options.max_document_bytes:
            yield _too_long(place, options)
        else:
            yield Document(row[column], place)


def read_parquet(stream: BinaryIO, options: ReadOptions) -> Iterator[Document | Problem]:
    """A Parquet file's string column `text_field`, a row group's part at a time."""
    table = pq.ParquetFile(pa.PythonFile(stream, mode="r"))
    names = table.schema_arrow.names
    if options.text_field not in names:
        yield Problem(
            "unreadable",
            "",
            f"no column {options.text_field!r}, there are {', '.join(names[:8])} (corpus.text_field)",
            fatal=True,
        )
        return
    kind = table.schema_arrow.field(options.text_field).type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        yield Problem("unreadable", "", f"column {options.text_field!r} holds {kind}, expected text", fatal=True)
        return
    row = 0
    for batch in table.iter_batches(batch_size=1024, columns=[options.text_field]):
        for text in batch.column(0).to_pylist():
            row += 1
            place = f"row {row}"
            if text is None:
                yield Problem("no text field", place, f"{options.text_field!r} is null")
            elif len(text) > options.max_document_bytes:
                yield _too_long(place, options)
            else:
                yield Document(text, place)


_REDIRECT = re.compile(r"\s*#\w+\s*:?\s*\[\[")


def read_mediawiki(stream: BinaryIO, options: ReadOptions) -> Iterator[Document | Problem]:
    """The articles of a MediaWiki dump, without their markup; redirects have no text of their own."""
    from gensim.corpora import wikicorpus  # takes a second, and only this form needs it

    for title, text, _ in wikicorpus.extract_pages(stream, filter_namespaces=("0",)):
        place = f"page {title!r}"
        if text is None or _REDIRECT.match(text):
            yield Document("", place)
        elif len(text) > options.max_document_bytes:
            yield _too_long(place, options)
        else:
            yield Document(wikitext.plain(text), place)


READERS: dict[str, Reader] = {
    "lines": read_lines,
    "files": read_whole,
    "jsonl": read_jsonl,
    "csv": read_csv,
    "parquet": read_parquet,
    "mediawiki": read_mediawiki,
}


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
