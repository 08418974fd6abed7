"""Files as streams of bytes and of text: decompressed, decoded, and the same from the first byte to the last."""

from __future__ import annotations

import codecs
import contextlib
import io
from collections.abc import Iterator
from typing import BinaryIO

import pyarrow as pa
from apache_beam.io.filesystem import BeamIOError
from apache_beam.io.filesystems import FileSystems

from components import file_io
from components.corpus.documents import Problem, ReadOptions, UnreadableError, too_long
from components.files import CorpusFile

ERRORS = (*file_io.ERRORS, pa.ArrowException)  # of damaged files, and of file systems

_BUFFER = 1 << 18
_HEAD = 4096
_NO_TEXT = (
    (b"\x1f\x8b", "compressed by gzip"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd"),
    (b"\xfd7zXZ\0", "compressed by xz"),
    (b"PK\x03\x04", "a zip archive"),
    (b"PAR1", "Parquet"),
    (b"%PDF-", "PDF"),
)


@contextlib.contextmanager
def opened(file: CorpusFile) -> Iterator[io.BufferedReader | BinaryIO]:
    """A file's bytes, decompressed; from a Parquet file, which needs to seek, as they are.

    Raises:
        UnreadableError: the file is no longer there.
    """
    try:
        raw = file_io.open_stored(file.path)
    except (FileNotFoundError, BeamIOError):
        check_unchanged(file)
        raise
    with raw:
        yield raw if file.form == "parquet" else file_io.decompressed(raw, file.compression)


def check_unchanged(file: CorpusFile) -> None:
    """Compares a file with what was found before it was read.

    Raises:
        UnreadableError: it is another one, or gone.
    """
    try:
        now = FileSystems.get_filesystem(file.path).metadata(file.path)
    except (OSError, BeamIOError):
        raise UnreadableError("it is gone since the run began to read the corpus") from None
    if (now.size_in_bytes, now.last_updated_in_seconds or 0.0) != (file.size, file.modified):
        raise UnreadableError(
            f"it changed while the corpus was read (from {file.size:,} to {now.size_in_bytes:,} bytes)"
            if now.size_in_bytes != file.size
            else "it was written anew while the corpus was read"
        )


def _mark_undecodable(error: UnicodeError) -> tuple[str, int]:
    """As Python's `surrogateescape`, but for bytes below 0x80 too, of which UTF-16 has some that cannot be decoded."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "".join(chr(0xDC00 + byte) for byte in error.object[error.start : error.end]), error.end


codecs.register_error("mark_undecodable", _mark_undecodable)


def decoded(stream: io.BufferedReader, options: ReadOptions, newline: str | None = None) -> io.TextIOWrapper:
    """A stream as text: in the encoding that its byte-order mark names, else `options.encoding`, by default UTF-8.

    Bytes that cannot be decoded become half surrogates U+DC00 to U+DCFF, for `documents.make` to find.

    Args:
        stream: at its beginning.
        options: the encoding.
        newline: as for `open`; by default CR LF and CR become LF.

    Raises:
        UnreadableError: this is no text, or in an encoding that its user has to name.
    """
    head = stream.peek(_HEAD)[:_HEAD]
    encoding = file_io.marked_encoding(head)
    if not encoding and options.encoding == "auto":
        _check_text(head)
    encoding = encoding or ("utf-8" if options.encoding == "auto" else options.encoding)
    errors = "surrogateescape" if encoding.startswith("utf-8") else "mark_undecodable"
    return io.TextIOWrapper(stream, encoding=encoding, errors=errors, newline=newline)


def _check_text(head: bytes) -> None:
    for mark, what in _NO_TEXT:
        if head.startswith(mark):
            raise UnreadableError(f"no text, but {what}, which its name does not say")
    if head.startswith(b"BZh") and head[4:10] == b"1AY&SY":
        raise UnreadableError("no text, but compressed by bz2, which its name does not say")
    head = head.rstrip(b"\0") or head  # a crash may leave NULs behind a text, which is then a document of its own
    if head.count(0) * 8 > len(head):
        raise UnreadableError(
            f"full of NULs; it may be in {_guess(head)}. Set corpus.encoding (utf-16-le, utf-16-be, utf-32-le, …)",
            "line 1",
        )


def _guess(head: bytes) -> str:
    """Most text in UTF-16 is of characters below U+0800: every second byte is small."""
    if head.count(0) * 3 > len(head) * 2:
        return "UTF-32, or damaged"
    return "UTF-16-BE" if head[::2].count(0) > head[1::2].count(0) else "UTF-16-LE"


def name_of(text: io.TextIOWrapper) -> str:
    """The encoding's name without how it is marked."""
    return text.encoding.lower().removesuffix("-sig")


def lines(text: io.TextIOWrapper, options: ReadOptions, limit: int) -> Iterator[tuple[str, str | Problem]]:
    """Yields each line with its place; one of more than `limit` characters is passed over, and not held in memory."""
    number = 0
    while line := text.readline(limit + 2):
        number += 1
        place = f"line {number}"
        if len(line) <= limit or (len(line) == limit + 1 and line[-1] == "\n"):
            yield place, line.removesuffix("\n")
            continue
        while not line.endswith("\n") and (line := text.readline(_BUFFER)):
            pass
        yield place, too_long(place, options)
