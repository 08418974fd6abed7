"""Finds the files of a corpus, on any file system that Beam knows, and tells their form and compression by name."""

from __future__ import annotations

import dataclasses
import fnmatch
import functools
import hashlib
import os
import re
import stat
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Sequence

from components import builtin
from word2vec.errors import UserError, printable, reason

COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".xz": "xz"}
_FORMS = [
    (re.compile(r"\.(txt|text)$"), "lines"),
    (re.compile(r"\.(jsonl|ndjson)$"), "jsonl"),
    (re.compile(r"\.csv$"), "csv"),
    (re.compile(r"\.(tsv|tab)$"), "tsv"),
    (re.compile(r"\.(parquet|pq)$"), "parquet"),
    (re.compile(r"\.(html?|md|rst)$"), "files"),
    (re.compile(r"\.xml(-p\d+p\d+\S*)?$"), "mediawiki"),  # Wikimedia's own names: ...-pages-articles1.xml-p1p41242.bz2
]
_HIDDEN = (".", "_")
_GLOB = re.compile(r"[*?\[]")
_GLOB_PARTS = re.compile(r"\*\*|[*?]|\[!?\]?[^\]]*\]|\[|[^*?\[]+")


@dataclasses.dataclass(frozen=True)
class CorpusFile:
    """A file of the corpus, and how to read it."""

    path: str
    form: str
    compression: str
    size: int
    modified: float


class NoFileError(UserError):
    """Paths that name no file: perhaps none has come yet."""


# A file's path, its size in bytes, and when it was last written, in seconds.
Match = tuple[str, int, float]


def find(paths: Sequence[str], form: str = "auto", compression: str = "auto", what: str = "corpus") -> list[CorpusFile]:
    """Lists the files that the paths name, each once, sorted.

    Args:
        paths: files, folders (read with their subfolders, also with linked ones) or globs; local, or on any file system
            that Beam knows. A path that exists is no glob, whatever characters it has.
        form: how to read them; `auto` tells by each file's name.
        compression: likewise.
        what: what the files are, for the errors.

    Raises:
        NoFileError: a path without any file.
        UserError: a path that cannot be listed; a file whose form cannot be told.
    """
    found = []
    for path in paths:
        matches = match(path, what)
        if not matches:
            raise NoFileError(
                f"{what} {printable(path)}: no file matches. "
                "Expected a file, a folder or a glob (quoted, so that the shell leaves it alone)"
            )
        found += matches
    return describe(found, form, compression, what)


def match(path: str, what: str = "corpus") -> list[Match]:
    """Lists the files that a path names; perhaps there are none.

    Args:
        path: see `find`.
        what: what the files are, for the error.

    Raises:
        UserError: it cannot be listed.
    """
    try:
        return list(_match(builtin.resolve(path)))
    except (OSError, ValueError) as error:
        raise UserError(f"{what} {printable(path)}: cannot be listed: {reason(error)}") from None


def describe(
    matches: Iterable[Match], form: str = "auto", compression: str = "auto", what: str = "corpus"
) -> list[CorpusFile]:
    """Says how to read files; each is there once, sorted.

    Args:
        matches: the files.
        form: how to read them; `auto` tells by each file's name.
        compression: likewise.
        what: what the files are, for the errors.

    Raises:
        UserError: a file whose form cannot be told.
    """
    files_by_path = {
        name: CorpusFile(
            path=name,
            form=_form(name, what) if form == "auto" else form,
            compression=compression_of(name) if compression == "auto" else compression,
            size=size,
            modified=modified,
        )
        for name, size, modified in matches
    }
    for file in files_by_path.values():
        if file.form == "parquet" and file.compression != "none":
            raise UserError(
                f"{what} {printable(file.path)}: Parquet within {file.compression} cannot be read. "
                "Unpack the file; Parquet compresses its columns itself"
            )
    return _each_once(files_by_path)


def absolute(path: str) -> str:
    """The one file or folder that a setting names, wherever it is read: `~` is the user's home; URIs stay as they are.

    `file://` is a path of this machine.
    """
    path = _local_path(path)
    return path if "://" in path else os.path.abspath(os.path.expanduser(path))


def expression(glob: str) -> str:
    """A glob, or a piece of one, as a regular expression, in which `.` stands for every character.

    `*` stays within a folder, `**` does not. Characters in brackets are read as `fnmatch` reads them, also a range
    without any.
    """
    simple = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
    return "".join(
        simple.get(part) or (fnmatch.translate(part)[4:-3] if part[0] == "[" else re.escape(part))
        for part in _GLOB_PARTS.findall(glob)
    )


def compression_of(path: str) -> str:
    """What a file is compressed by, to judge by its name: one of `COMPRESSIONS`, or `none`."""
    return COMPRESSIONS.get(os.path.splitext(path)[1].lower(), "none")


def fingerprint(files: Sequence[CorpusFile]) -> str:
    """Changes when a file is added, removed, resized or rewritten, or read in another way."""
    return hashlib.sha256(repr(list(files)).encode()).hexdigest()


def _each_once(files_by_path: dict[str, CorpusFile]) -> list[CorpusFile]:
    """Sorted; of several names that lead to one file through links, its own, or else the first."""
    kept: dict[str, str] = {}
    real_folder = functools.cache(os.path.realpath)
    for path in sorted(files_by_path):
        real = path
        if "://" not in path:
            folder, name = os.path.split(path)
            real = os.path.realpath(path) if os.path.islink(path) else os.path.join(real_folder(folder), name)
        if real not in kept or path == real:
            kept[real] = path
    return [files_by_path[path] for path in sorted(kept.values())]


def _match(path: str) -> Iterator[Match]:
    path = _local_path(path)
    return _match_remote(path) if "://" in path else _match_local(path)


def _local_path(path: str) -> str:
    """`file://` is a path of this machine; other URIs stay as they are."""
    if path.startswith("file://"):
        return urllib.request.url2pathname(urllib.parse.urlsplit(path).path)
    return path


def _match_remote(path: str) -> Iterator[Match]:
    """Files of another file system, by Beam; folders are no more than names with slashes there."""
    from apache_beam.io.filesystems import FileSystems  # two seconds, which a local file does not cost

    if _GLOB.search(path) and not path.endswith("/"):
        try:
            only = FileSystems.get_filesystem(path).metadata(path)
        except OSError:
            pass
        else:
            yield only.path, only.size_in_bytes, only.last_updated_in_seconds or 0.0
            return
    folder = f"{path.rstrip('/')}/"
    as_it_stands = re.sub(r"([*?\[])", r"[\1]", folder) + "**"
    for pattern in ([] if path.endswith("/") else [path]) + [as_it_stands, f"{folder}**"]:
        base = _GLOB.split(pattern)[0].rpartition("/")[0]
        matches = [
            (match.path, match.size_in_bytes, match.last_updated_in_seconds or 0.0)
            for match in FileSystems.match([pattern])[0].metadata_list
            if not match.path.endswith("/") and (match.path == path or _visible(match.path, base, pattern))
        ]
        if matches:
            yield from matches
            return


def _match_local(path: str) -> Iterator[Match]:
    if not os.path.lexists(path):
        path = os.path.expanduser(path)
    path = os.path.abspath(path)
    if os.path.isdir(path):
        yield from _below(path, lambda name, is_folder: _visible(name, path, ""))
    elif os.path.lexists(path):
        yield _look_at(path)
    elif _GLOB.search(path):
        yield from _glob(path)


def _glob(pattern: str) -> Iterator[Match]:
    """Files that match, in Beam's sense: `*` stays within a folder, `**` does not; or else those in folders that do."""
    base = _GLOB.split(pattern)[0].rpartition("/")[0]
    if not os.path.isdir(base or "/"):
        return
    matches = re.compile(expression(pattern), re.DOTALL).fullmatch
    depth = None if "**" in pattern else pattern.count("/")
    folders: list[str] = []

    def wanted(path: str, is_folder: bool) -> bool:
        if not _visible(path, base, pattern):
            return False
        if not is_folder:
            return matches(path) is not None
        if matches(path):
            folders.append(path)
        return depth is None or path.count("/") < depth

    files = list(_below(base or "/", wanted, everything=depth is None))
    yield from files
    if not files:
        for folder in folders:
            yield from _below(folder, functools.partial(_shown_in, folder))


def _shown_in(base: str, path: str, is_folder: bool) -> bool:
    return _visible(path, base, "")


def _visible(path: str, base: str, pattern: str) -> bool:
    """Whether no name below `base` begins with a dot or `_`, but where the pattern begins with it at the same place."""
    named = pattern[len(base) + 1 :].split("/")
    for index, name in enumerate(path[len(base) + 1 :].split("/") if base != "/" else path[1:].split("/")):
        asked = named[index] if index < len(named) and not any("**" in each for each in named[:index]) else ""
        if name.startswith(_HIDDEN) and asked[:1] != name[0]:
            return False
    return True


def _below(folder: str, wanted: Callable[[str, bool], bool], *, everything: bool = True) -> Iterator[Match]:
    """The wanted files below a folder; links to folders are followed, but not where they lead back.

    Args:
        folder: its path.
        wanted: of a path, and whether it is a folder's.
        everything: of a folder that several links lead to, the way by which one gets there makes no difference.
    """
    seen: set[tuple[int, int]] = set()
    left: list[tuple[str, frozenset[tuple[int, int]]]] = [(folder, frozenset())]
    links: list[tuple[str, frozenset[tuple[int, int]]]] = []  # followed at last, so that a folder goes by its own name
    while left or links:
        path, above = (left or links).pop()
        facts = os.stat(path)
        identity = (facts.st_dev, facts.st_ino)
        if identity in (seen if everything else above):
            continue
        seen.add(identity)
        with os.scandir(path) as listed:
            entries = sorted(listed, key=lambda entry: entry.name, reverse=True)
        for entry in entries:
            is_folder = entry.is_dir()
            if not wanted(entry.path, is_folder):
                continue
            if is_folder:
                (links if entry.is_symlink() else left).append((entry.path, above | {identity}))
            elif entry.is_symlink() or entry.is_file():
                yield _look_at(entry.path)


def _look_at(path: str) -> Match:
    try:
        facts = os.stat(path)
    except FileNotFoundError:
        raise OSError(
            f"{printable(path)} is a link that leads nowhere" if os.path.islink(path) else "it is gone"
        ) from None
    if not stat.S_ISREG(facts.st_mode):
        raise OSError(f"{printable(path)} is no file that can be read twice")
    return path, facts.st_size, facts.st_mtime


def _stem(path: str) -> str:
    root, ending = os.path.splitext(path)
    return root if ending.lower() in COMPRESSIONS else path


def _form(path: str, what: str) -> str:
    for pattern, form in _FORMS:
        if pattern.search(_stem(path).lower()):
            return form
    raise UserError(
        f"{what} {printable(path)}: its name does not tell how to read it. "
        "Expected an ending such as .txt, .jsonl, .csv, .parquet or .xml; or set corpus.form"
    )
