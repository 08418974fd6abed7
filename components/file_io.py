"""Opens files on any file system that Beam knows, decompresses them, and tells their encoding by the mark.

The corpus and the questions are read so. What is wrong with the questions is said before a run begins: so neither Beam
(two seconds) nor Arrow is imported for a file that does not need it.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import zlib
from collections.abc import Callable
from typing import Any, BinaryIO, Protocol

ERRORS = (OSError, EOFError, zlib.error, lzma.LZMAError)  # of damaged files, and of file systems

_BUFFER = 1 << 18
_BYTE_ORDER_MARKS = (  # the longer ones first: UTF-32's begins with UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF8, "utf-8-sig"),
)


def open_stored(path: str) -> BinaryIO:
    """A file's bytes as they are stored.

    Args:
        path: a local file, or one on any file system that Beam knows.
    """
    if "://" not in path:
        return open(path, "rb")
    from apache_beam.io.filesystem import CompressionTypes
    from apache_beam.io.filesystems import FileSystems

    return FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED)


def decompressed(raw: BinaryIO, compression: str) -> io.BufferedReader:
    """A stream's bytes as they were before they were compressed; reading them raises one of `ERRORS` at a damage.

    Args:
        raw: as it is stored.
        compression: one of `files.COMPRESSIONS`, or `none`.
    """
    return io.BufferedReader(_Filled(_decompressed(raw, compression)), _BUFFER)


def marked_encoding(head: bytes) -> str:
    """The encoding that the byte-order mark at a file's beginning names; without one, nothing."""
    return next((name for mark, name in _BYTE_ORDER_MARKS if head.startswith(mark)), "")


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def _decompressed(raw: BinaryIO, compression: str) -> _Readable:
    if compression == "none":
        return raw
    if compression == "gzip":
        return gzip.GzipFile(fileobj=raw)
    if compression == "zstd":
        import pyarrow as pa  # its codec tells a truncated stream from one that ends

        return pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), "zstd")
    return io.BufferedReader(_Streams(raw, {"bz2": bz2.BZ2Decompressor, "xz": lzma.LZMADecompressor}[compression]))


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

    def __init__(self, stream: _Readable):
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
