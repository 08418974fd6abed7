"""What readers yield: documents, and in the place of whatever could not be read a problem."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from word2vec.errors import printable

_SHOWN_NAMES = 8
_SHOWN_CHARACTERS = 40


@dataclasses.dataclass(frozen=True)
class Document:
    """A document's text, which can be written as UTF-8, and where it stands in its file (`line 7`)."""

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
    """How to read files (`pipeline.configs.CorpusConfig` says what each means)."""

    text_field: str
    max_document_bytes: int
    encoding: str = "auto"
    delimiter: str = "auto"
    quoting: str = "auto"


class UnreadableError(Exception):
    """The file's rest cannot be read. Its text says why; `place` says where, if that is known."""

    def __init__(self, message: str, place: str = ""):
        super().__init__(message)
        self.place = place


def make(text: str, place: str, options: ReadOptions, encoding: str | None = None) -> Document | Problem:
    """A document, unless its text is none.

    Args:
        text: half surrogates in it are what cannot be decoded; of decoded bytes, U+DC00 to U+DCFF are the bytes.
        place: where it stands.
        options: how long it may be.
        encoding: what it was decoded from, if it was.
    """
    size = size_of(text, place, encoding)
    if isinstance(size, Problem):
        return size
    if size > options.max_document_bytes:
        return too_long(place, options)
    return full_of_nuls(text, place) or Document(text, place)


def full_of_nuls(text: str, place: str) -> Problem | None:
    """What is wrong with a text of which more than an eighth are NULs."""
    if text.count("\0") * 8 > len(text):
        return Problem("full of NULs", place, "no text, or in another encoding (corpus.encoding)")
    return None


def size_of(text: str, place: str, encoding: str | None = None) -> int | Problem:
    """How many bytes a text takes in UTF-8, unless it has what cannot be decoded; see `make`."""
    try:
        return len(text) if text.isascii() else len(text.encode())
    except UnicodeEncodeError as error:
        if encoding is None:
            return Problem("half a character", place, "half of a surrogate pair")
        place = place or f"line {text.count(chr(10), 0, error.start) + 1}"
        byte = bytes([ord(text[error.start]) & 0xFF])
        return Problem(f"not {encoding.upper()}", place, f"byte {byte!r} (corpus.encoding)")


def too_long(place: str, options: ReadOptions) -> Problem:
    """A document over the limit."""
    return Problem("too long", place, f"over {options.max_document_bytes:,} bytes (corpus.max_document_bytes)")


def no_column(names: Iterable[str], options: ReadOptions, place: str = "") -> UnreadableError:
    """A table that does not have the column with the text."""
    return UnreadableError(f"no column {options.text_field!r}, there are {shown(names)} (corpus.text_field)", place)


def two_columns(options: ReadOptions, place: str = "") -> UnreadableError:
    """A table that has the column with the text twice."""
    return UnreadableError(f"two columns are called {options.text_field!r} (corpus.text_field)", place)


def shown(names: Iterable[str]) -> str:
    """The first few names, none of them longer than a line bears."""
    few = [
        f"{name[:_SHOWN_CHARACTERS]}…" if len(name) > _SHOWN_CHARACTERS else name
        for name, _ in zip(names, range(_SHOWN_NAMES), strict=False)
    ]
    return printable(", ".join(few)) or "none"
