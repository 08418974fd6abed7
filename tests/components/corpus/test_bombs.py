"""Small files that would take much memory or time: both are bounded by `max_document_bytes`, whatever the form."""

from __future__ import annotations

import gzip
import os
import resource

import pytest

from components import files
from components.corpus import readers

LIMIT = 200_000
MEMORY = 100_000_000
SECONDS = 60  # of one core; what is not linear takes hours
SIZE = 1 << 30  # an eighth of it is written


def write_gzip(path, start: bytes, repeated: bytes, end: bytes = b"") -> None:
    block = repeated * ((1 << 20) // len(repeated))
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(start)
        for _ in range(SIZE >> 23):
            file.write(block)
        file.write(end)


STREAMS = {
    "a line without an end": ("a.txt.gz", b"", b"x"),
    "a document without an end": ("a.md.gz", b"", b"x"),
    "JSON without an end": ("a.jsonl.gz", b'{"text": "', b"x"),
    "nested JSON": ("a.jsonl.gz", b"", b"["),
    "a CSV quote that never closes": ("a.csv.gz", b'text\n"', b"some text in a line\n"),
    "a CSV field of quotes": ("a.csv.gz", b'text\n"', b'""'),
    "a CSV header without an end": ("a.csv.gz", b"text", b","),
    "a quoted CSV header without an end": ("a.csv.gz", b'"', b"some text in a line\n"),
    "a CSV row without an end": ("a.csv.gz", b"text\n", b"x,"),
    "a TSV header without an end": ("a.tsv.gz", b"text", b"\tx"),
    "a TSV row without an end": ("a.tsv.gz", b"text\n", b"x\t"),
    "an XML element without an end": ("a.xml.gz", b"<mediawiki><page><revision><text>", b"x"),
    "an XML tag without an end": ("a.xml.gz", b"<mediawiki><page ", b"x"),
    "an XML attribute without an end": ("a.xml.gz", b"<mediawiki><page a='", b"x"),
    "an XML comment without an end": ("a.xml.gz", b"<mediawiki><!--", b"x"),
    "nested XML": ("a.xml.gz", b"<mediawiki>", b"<a>"),
    "a wiki's title without an end": ("a.xml.gz", b"<mediawiki><page><title>", b"x"),
    "blanks before XML": ("a.xml.gz", b"", b" "),
}


@pytest.mark.parametrize(("name", "start", "repeated"), STREAMS.values(), ids=STREAMS)
def test_streams_without_an_end(tmp_path, name, start, repeated):
    path = tmp_path / name
    write_gzip(path, start, repeated)
    assert all(isinstance(item, readers.Problem) for item in read_bounded(path))


def read_bounded(path) -> list[object]:
    """Reads a file in a child that may not have more memory than a bound; returns the problems and lengths."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(ours)
            with open("/proc/self/statm", encoding="utf-8") as file:
                used = int(file.read().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
            resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
            (found,) = files.find([str(path)])
            kinds = [
                item if isinstance(item, readers.Problem) else len(item.text)
                for item in readers.read(found, readers.ReadOptions("text", LIMIT))
            ]
            with os.fdopen(theirs, "w") as out:
                out.write(repr(kinds))
            code = 0
        finally:
            os._exit(code)
    os.close(theirs)
    with os.fdopen(ours) as answer:
        text = answer.read()
    _, status = os.waitpid(child, 0)
    assert status == 0, "it took too much"
    return eval(text, {"Problem": readers.Problem})
