"""Finds the files of a corpus, on any file system that Beam knows, and tells their form and compression by name."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
from collections.abc import Sequence

from apache_beam.io.filesystem import BeamIOError
from apache_beam.io.filesystems import FileSystems

from components import builtin
from components.errors import UserError

COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}
_FORMS = [
    (re.compile(r"\.(txt|text)$"), "lines"),
    (re.compile(r"\.(jsonl|ndjson)$"), "jsonl"),
    (re.compile(r"\.(csv|tsv)$"), "csv"),
    (re.compile(r"\.(parquet|pq)$"), "parquet"),
    (re.compile(r"\.(html?|md|rst)$"), "files"),
    (re.compile(r"\.xml(-p\d+p\d+\S*)?$"), "mediawiki"),  # Wikimedia's own names: ...-pages-articles1.xml-p1p41242.bz2
]


@dataclasses.dataclass(frozen=True)
class CorpusFile:
    """A file of the corpus, and how to read it."""

    path: str
    form: str
    compression: str
    size: int
    modified: float


def find(paths: Sequence[str], form: str = "auto", compression: str = "auto", what: str = "corpus") -> list[CorpusFile]:
    """Lists the files that the paths name, each once, sorted.

    Args:
        paths: files, folders (read with their subfolders) or globs; local, or on any file system that Beam knows.
        form: how to read them; `auto` tells by each file's name.
        compression: likewise.
        what: what the files are, for the errors.

    Raises:
        UserError: a path without any file, or a file whose form can't be told.
    """
    found = {}
    for path in paths:
        matches = _match(path, what)
        if not matches:
            raise UserError(
                f"{what} {path}: no file matches. "
                "Expected a file, a folder or a glob (quoted, so that the shell leaves it alone)"
            )
        for match in matches:
            found[match.path] = CorpusFile(
                path=match.path,
                form=_form(match.path) if form == "auto" else form,
                compression=_compression(match.path) if compression == "auto" else compression,
                size=match.size_in_bytes,
                modified=match.last_updated_in_seconds or 0.0,
            )
    return [found[path] for path in sorted(found)]


def fingerprint(files: Sequence[CorpusFile]) -> str:
    """Changes when a file is added, removed, resized or rewritten, or read in another way."""
    return hashlib.sha256(repr(list(files)).encode()).hexdigest()


def _match(path: str, what: str) -> list:
    path = builtin.resolve(path)
    if "://" not in path:
        path = os.path.abspath(os.path.expanduser(path))
    pattern = f"{path.rstrip('/')}/**" if path.endswith("/") or os.path.isdir(path) else path
    try:
        matches = FileSystems.match([pattern])[0].metadata_list
    except (BeamIOError, ValueError) as error:
        raise UserError(f"{what} {path}: cannot be listed: {error}") from None
    visible = [
        match
        for match in matches
        if not os.path.basename(match.path).startswith((".", "_")) and not os.path.isdir(match.path)
    ]
    return visible or ([] if pattern != path or "://" not in path else _match(f"{path}/", what))


def _stem(path: str) -> str:
    root, ending = os.path.splitext(path)
    return root if ending in COMPRESSIONS else path


def _form(path: str) -> str:
    for pattern, form in _FORMS:
        if pattern.search(_stem(path).lower()):
            return form
    raise UserError(
        f"corpus {path}: its name does not tell how to read it. "
        "Expected an ending such as .txt, .jsonl, .csv, .parquet or .xml; or set corpus.form"
    )


def _compression(path: str) -> str:
    return COMPRESSIONS.get(os.path.splitext(path)[1], "none")
