"""Reads documents out of files: one generator per form of text, all of them streaming.

Each yields `Document`s, and a `Problem` in the place of whatever it could not read. A problem names its place, so that
its user finds it, and says whether the file's rest is lost with it. No reader holds more in memory than a few times
`max_document_bytes`, whatever a file holds.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from typing import Any

from components.corpus import documents, mediawiki, parquet, sources, tables
from components.corpus.documents import Document, Problem, ReadOptions, UnreadableError
from components.files import CorpusFile
from word2vec.errors import reason

__all__ = ["READERS", "Document", "Problem", "ReadOptions", "read"]

# What a byte of a text takes in a line of JSON at most, where it is not Latin and written as \uXXXX; and the rest.
_JSON_CHARACTERS, _JSON_REST = 3, 1 << 16

# Of what `sources.opened` gives: a BinaryIO for Parquet, and a BufferedReader, into which one can peek, for all others.
Reader = Callable[[Any, ReadOptions], Iterator[Document | Problem]]


def read(file: CorpusFile, options: ReadOptions) -> Iterator[Document | Problem]:
    """Yields the documents of a file, and its problems in their places; never raises for what the file holds.

    A file that is no longer what `files.find` found when it has been read is a problem too, and a fatal one.
    """
    try:
        if file.size:
            with sources.opened(file) as stream:
                yield from READERS[file.form](stream, options)
    except UnreadableError as error:
        yield _fatal(file, str(error), error.place)
    except sources.ERRORS as error:
        yield _fatal(file, _reason(error), "")
    else:
        try:
            sources.check_unchanged(file)
        except UnreadableError as error:
            yield _fatal(file, str(error), "")


def _fatal(file: CorpusFile, message: str, place: str) -> Problem:
    """What stopped the reading; or why, where the file changed meanwhile."""
    try:
        sources.check_unchanged(file)
    except UnreadableError as error:
        message, place = str(error), ""
    return Problem("unreadable", place, message, fatal=True)


def read_lines(stream: io.BufferedReader, options: ReadOptions) -> Iterator[Document | Problem]:
    """One document per line."""
    text = sources.decoded(stream, options)
    encoding = sources.name_of(text)
    for place, line in sources.lines(text, options, options.max_document_bytes):
        yield line if isinstance(line, Problem) else documents.make(line, place, options, encoding)


def read_whole(stream: io.BufferedReader, options: ReadOptions) -> Iterator[Document | Problem]:
    """The file is one document."""
    text = sources.decoded(stream, options)
    whole = text.read(options.max_document_bytes + 1)
    if len(whole) > options.max_document_bytes:
        yield documents.too_long("", options)
    else:
        yield documents.make(whole, "", options, sources.name_of(text))


def read_jsonl(stream: io.BufferedReader, options: ReadOptions) -> Iterator[Document | Problem]:
    """One JSON object per line, with the text in the field `text_field`. Blank lines are passed over.

    It is the text that `max_document_bytes` limits; the line is held to what such a text may take in it.
    """
    text = sources.decoded(stream, options)
    encoding = sources.name_of(text)
    for place, line in sources.lines(text, options, _JSON_CHARACTERS * options.max_document_bytes + _JSON_REST):
        if isinstance(line, Problem):
            yield line
        elif line.strip():
            size = documents.size_of(line, place, encoding)
            problem = size if isinstance(size, Problem) else documents.full_of_nuls(line, place)
            yield problem or _json_document(line, place, options)


def _json_document(line: str, place: str, options: ReadOptions) -> Document | Problem:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        return Problem("not JSON", place, _reason(error))
    if not isinstance(record, dict):
        return Problem("no text field", place, f"expected an object, found {type(record).__name__}")
    text = _field(record, options.text_field)
    if text is None and options.text_field not in record:
        fields = f"its fields are {documents.shown(record)}"
        return Problem("no text field", place, f"{options.text_field!r}: {fields} (corpus.text_field)")
    if not isinstance(text, str):
        return Problem("no text field", place, f"{options.text_field!r}: it is no text (corpus.text_field)")
    return documents.make(text, place, options)


def _field(record: Any, path: str) -> Any:
    """What stands at a key, or at a path of keys with dots between them; a key that has the dots itself goes first."""
    if not isinstance(record, dict):
        return None
    if path in record:
        return record[path]
    keys = path.split(".")
    for count in range(1, len(keys)):
        first = ".".join(keys[:count])
        if first in record and (value := _field(record[first], ".".join(keys[count:]))) is not None:
            return value
    return None


READERS: dict[str, Reader] = {
    "lines": read_lines,
    "files": read_whole,
    "jsonl": read_jsonl,
    "csv": tables.read_csv,
    "tsv": tables.read_tsv,
    "parquet": parquet.read_parquet,
    "mediawiki": mediawiki.read_mediawiki,
}


def _reason(error: Exception) -> str:
    if isinstance(error, EOFError):
        return "Truncated compressed stream"
    return reason(error, with_file=False)
