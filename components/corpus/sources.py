"""Files as streams of bytes and of text: decompressed, decoded, and the same from the first byte to the last."""

from __future__ import annotations

import bz2
import codecs
import contextlib
import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import pyarrow as pa
from apache_beam.io.filesystem import BeamIOError, CompressionTypes
from apache_beam.io.filesystems import FileSystems

from components.corpus.documents import Problem, ReadOptions, UnreadableError, too_long
from components.files import CorpusFile

ERRORS = (OSError, EOFError, zlib.error, lzma.LZMAError, pa.ArrowException)  # of damaged files, and of file systems

_BUFFER = 1 << 18
_HEAD = 4096
_BYTE_ORDER_MARKS = (  # the longer ones first: UTF-32's begins with UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF8, "utf-8-sig"),
)
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
        raw = FileSystems.open(file.path, compression_type=CompressionTypes.UNCOMPRESSED)
    except (FileNotFoundError, BeamIOError):
        check_unchanged(file)
        raise
    with raw:
        yield raw if file.form == "parquet" else io.BufferedReader(_Filled(_decompressed(raw, file)), _BUFFER)


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


def _decompressed(raw: BinaryIO, file: CorpusFile) -> BinaryIO:
    if file.compression == "none":
        return raw
    if file.compression == "gzip":
        return gzip.GzipFile(fileobj=raw)
    if file.compression == "zstd":  # Arrow's codec tells a truncated stream from one that ends
        return pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), "zstd")
    return io.BufferedReader(_Streams(raw, {"bz2": bz2.BZ2Decompressor, "xz": lzma.LZMADecompressor}[file.compression]))


class _Streams(io.RawIOBase):
    """Decompresses one stream after the other, NULs between them and at the end passed over, to the file's last byte.

    Python's own BZ2File and LZMAFile take a damaged stream, where it is not the first, for the end.
    """

    def __init__(self, raw: BinaryIO, decompressor: Callable[[], Any]):
        super().__init__()
        self._raw, self._make = raw, decompressor
        self._now = decompressor()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = b""
        while not data:
            given = b""
            if self._now.eof:
                given = self._now.unused_data.lstrip(b"\0")
                while not given:
                    given = self._raw.read(_BUFFER)
                    if not given:
                        return 0
                    given = given.lstrip(b"\0")
                self._now = self._make()
            elif self._now.needs_input:
                given = self._raw.read(_BUFFER)
                if not given:
                    raise EOFError("Compressed file ended before the end-of-stream marker was reached")
            data = self._now.decompress(given, len(buffer))
        buffer[: len(data)] = data
        return len(data)


class _Filled(io.RawIOBase):
    """Fills a buffer to its end before the stream's, so that one can peek into it."""

    def __init__(self, stream: BinaryIO):
        super().__init__()
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        size = 0
        while size < len(buffer) and (data := self._stream.read(len(buffer) - size)):
            buffer[size : size + len(data)] = data
            size += len(data)
        return size


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
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS if head.startswith(mark)), "")
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


def lines(text: io.TextIOWrapper, options: ReadOptions) -> Iterator[tuple[str, str | Problem]]:
    """Yields each line with its place; a line that is too long is passed over without being held in memory."""
    limit, number = options.max_document_bytes, 0
    while line := text.readline(limit + 2):
        number += 1
        place = f"line {number}"
        if len(line) <= limit or (len(line) == limit + 1 and line[-1] == "\n"):
            yield place, line.removesuffix("\n")
            continue
        while not line.endswith("\n") and (line := text.readline(_BUFFER)):
            pass
        yield place, too_long(place, options)
