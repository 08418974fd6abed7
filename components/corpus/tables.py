"""CSV and TSV: rows of fields below a header."""

from __future__ import annotations

import csv
import io
import re
import sys
from collections.abc import Iterator

from components.corpus import documents, sources
from components.corpus.documents import Document, Problem, ReadOptions, UnreadableError

_Row = list[str]

_PIECE = 1 << 16
_GUESSES = ",;\t|"
_SEPARATOR_LINE = re.compile(r'"?sep=([^"\r\n])"?\r?\n?')  # spreadsheets' own, above the header


def read_csv(stream: io.BufferedReader, options: ReadOptions) -> Iterator[Document | Problem]:
    """CSV with a header; quoted fields may hold line breaks. If the delimiter is not set, the header shows it."""
    if options.quoting == "none":
        yield from _read_unquoted(stream, options)
    else:
        yield from _read_quoted(stream, options)


def read_tsv(stream: io.BufferedReader, options: ReadOptions) -> Iterator[Document | Problem]:
    """TSV with a header: a row per line, whose quotation marks are text, if they are not set to be more."""
    if options.quoting == "quotes":
        yield from _read_quoted(stream, options, "\t")
    else:
        yield from _read_unquoted(stream, options, "\t")


def _read_unquoted(
    stream: io.BufferedReader, options: ReadOptions, delimiter: str = ""
) -> Iterator[Document | Problem]:
    text = sources.decoded(stream, options)
    lines = sources.lines(text, options, _most_characters(options))
    place, first = next(lines, ("line 1", ""))
    if isinstance(first, str) and (separator_line := _SEPARATOR_LINE.fullmatch(first)):
        delimiter = delimiter or separator_line[1]
        place, first = next(lines, ("line 2", ""))
    if isinstance(first, Problem):
        raise UnreadableError(f"a header {first.detail}", place)
    delimiter = _delimiter(options, delimiter, first)
    columns = _Columns(first.split(delimiter), place, options, sources.name_of(text))
    for place, line in lines:
        if isinstance(line, Problem):
            yield line
        elif line:
            yield columns.document(line.split(delimiter), place)


def _read_quoted(stream: io.BufferedReader, options: ReadOptions, delimiter: str = "") -> Iterator[Document | Problem]:
    csv.field_size_limit(sys.maxsize)
    text = sources.decoded(stream, options, newline="")
    lines = _Lines(text, _most_characters(options))
    first = lines.peek()
    if separator_line := _SEPARATOR_LINE.fullmatch(first):
        next(lines)
        delimiter, first = delimiter or separator_line[1], lines.peek()
    rows = _rows(lines, _delimiter(options, delimiter, first), options)
    for place, header in rows:
        if isinstance(header, Problem):
            raise UnreadableError(f"a header that is {header.reason}: {header.detail}", place)
        columns = _Columns(header, place, options, sources.name_of(text))
        break
    for place, row in rows:
        if isinstance(row, Problem):
            yield row
        elif row:
            yield columns.document(row, place)


class _Columns:
    """The header: which field of a row is its text."""

    def __init__(self, header: _Row, place: str, options: ReadOptions, encoding: str):
        self._names = [name.strip() for name in header]
        self._place, self._options, self._encoding = place, options, encoding
        for name in self._names:
            if isinstance(checked := documents.make(name, place, options, encoding), Problem):
                raise UnreadableError(f"a header that is {checked.reason}: {checked.detail}", place)
        if options.text_field not in self._names:
            raise documents.no_column(self._names, options, place)
        if self._names.count(options.text_field) > 1:
            raise documents.two_columns(options, place)
        self._text = self._names.index(options.text_field)
        while not self._names[-1]:  # a delimiter at the end of every line
            self._names.pop()

    def document(self, row: _Row, place: str) -> Document | Problem:
        """A row's text, if its fields are as many as the header's; empty ones at its end do not count."""
        count = len(row)
        if count != len(self._names):
            while count > len(self._names) and not row[count - 1].strip():
                count -= 1
            if count != len(self._names):
                detail = f"{len(row):,} columns, expected {len(self._names):,} (corpus.delimiter)"
                reason = "no text field" if len(row) <= self._text else "other columns than the header"
                return Problem(reason, place, detail)
        return documents.make(row[self._text], place, self._options, self._encoding)


def _most_characters(options: ReadOptions) -> int:
    """The length of a row whose text is short enough: its quotation marks are doubled, and there are other columns."""
    return 2 * options.max_document_bytes + _PIECE


def _delimiter(options: ReadOptions, declared: str, first: str) -> str:
    """What separates fields: as set, as told by the file's name or first line, or as the header shows."""
    if options.delimiter != "auto":
        return options.delimiter
    if declared:
        return declared
    for guess in _GUESSES:
        header = next(csv.reader([first[:_PIECE].replace("\0", "")], delimiter=guess), [])
        if options.text_field in (name.strip() for name in header):
            return guess
    return max(_GUESSES, key=first.count)


class _TooLongError(Exception):
    """A row that is longer than any row may be."""


class _Lines:
    """A text's lines for `csv.reader`, in pieces, of which no row may take more than a limit."""

    def __init__(self, text: io.TextIOWrapper, limit: int):
        self._text, self._limit = text, limit
        self._next: str | None = None
        self.number = 0
        self.row: list[str] = []
        self._size = 0

    def peek(self) -> str:
        """The next line, or its beginning."""
        if self._next is None:
            self._next = self._text.readline(self._limit + 1)
        return self._next

    def start_row(self) -> None:
        """What is read from now on is of another row."""
        self.row, self._size = [], 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line, self._next = self.peek(), None
        if not line:
            raise StopIteration
        self.number += line[-1] in "\r\n"
        self.row.append(line)
        self._size += len(line)
        if self._size > self._limit:
            raise _TooLongError
        return line

    def pieces(self) -> Iterator[str]:
        """What of the row was read, and what follows, in small pieces."""
        for line in self.row:
            yield from (line[start : start + _PIECE] for start in range(0, len(line), _PIECE))
        self.row = []
        while piece := self._text.readline(_PIECE):
            self.number += piece[-1] in "\r\n"
            yield piece


def _rows(lines: _Lines, delimiter: str, options: ReadOptions) -> Iterator[tuple[str, _Row | Problem]]:
    """Yields each row with the line that it begins on.

    Raises:
        UnreadableError: quotation marks that leave open where rows begin and end.
    """
    rows = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        place = f"line {lines.number + 1}"
        lines.start_row()
        try:
            yield place, next(rows)
        except StopIteration:
            return
        except _TooLongError:
            if not _pass_over(lines.pieces(), delimiter):
                raise UnreadableError("a quoted field that never ends (corpus.quoting)", place) from None
            rows = csv.reader(lines, delimiter=delimiter, strict=True)
            yield place, documents.too_long(place, options)
        except csv.Error as error:
            if len(lines.row) > 1 or "unexpected end" in str(error):  # rows that follow are in the field, or were
                raise UnreadableError(
                    f"a quoted field that does not end before line {lines.number}: {error} (corpus.quoting)", place
                ) from None
            yield place, Problem("not CSV", place, str(error))


_QUOTED = re.compile(r'[^"]*(?:""[^"]*)*')


def _pass_over(pieces: Iterator[str], delimiter: str) -> bool:
    """Reads to the end of a row as `csv.reader` would, and says whether there is one outside of quotation marks."""
    end_of_field = re.escape(delimiter)
    ends = re.compile(rf"[{end_of_field}\r\n]")
    fields = re.compile(rf'(?:(?:[^"{end_of_field}\r\n][^{end_of_field}\r\n]*|"{_QUOTED.pattern}")?{end_of_field})*')
    state = "start"  # of a field; or: plain, quoted, or at a quotation mark that may be its last
    for piece in pieces:
        place = 0
        while place < len(piece):
            if state == "start":  # many at a time
                place = _end(fields, piece, place)
            if place == len(piece):
                break
            if state == "quoted":
                place = _end(_QUOTED, piece, place) + 1
                state = "quoted" if place > len(piece) else "closing"
            elif piece[place] == '"' and state in ("start", "closing"):
                place, state = place + 1, "quoted"
            elif end := ends.search(piece, place):
                if end[0] != delimiter:
                    return True
                place, state = end.end(), "start"
            else:
                place, state = len(piece), "plain"
    return state != "quoted"


def _end(pattern: re.Pattern[str], text: str, place: int) -> int:
    match = pattern.match(text, place)
    assert match is not None  # both patterns match an empty text too
    return match.end()
