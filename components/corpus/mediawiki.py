"""MediaWiki's dumps: the articles of a wiki, in XML."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any
from xml.parsers import expat

from components import file_io
from components.corpus import documents, sources, wikitext
from components.corpus.documents import Document, Problem, ReadOptions, UnreadableError
from word2vec.errors import printable

_CHUNK = 1 << 18
_DEPTH = 64  # a dump has some five levels
_SHORT = 10_000  # characters of a title or a namespace
_REDIRECT = re.compile(r"\s*#\w+\s*(?::\s*)?\[\[")


def read_mediawiki(stream: io.BufferedReader, options: ReadOptions) -> Iterator[Document | Problem]:
    """The articles of a MediaWiki dump, without their markup; redirects have no text of their own.

    Of a page with several revisions the last is read. Pages of other namespaces than the articles' have no text.
    """
    pages = _Pages(options)
    for chunk, parser in _parsed(stream, options, pages):
        if parser is not None and chunk - parser.CurrentByteIndex > max(options.max_document_bytes, 4 * _CHUNK):
            raise UnreadableError("a tag or a comment that never ends", f"line {parser.CurrentLineNumber}")
        yield from pages.taken()


def _parsed(stream: io.BufferedReader, options: ReadOptions, pages: _Pages) -> Iterator[tuple[int, Any]]:
    """Feeds a file to a parser; yields after each part how many bytes it was fed, and the parser."""
    must_decode = (
        options.encoding != "auto" or file_io.marked_encoding(stream.peek(4)) == "utf-32"  # which expat can't read
    )
    text = sources.decoded(stream, options) if must_decode else None
    parser = expat.ParserCreate("utf-8" if must_decode else None)  # else by its byte-order mark, or its first line
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = pages.start, pages.end
    parser.CharacterDataHandler = pages.characters
    parser.EntityDeclHandler = pages.entity
    fed, last = 0, False
    while not last:
        data = _encoded(text, parser) if text else stream.read(_CHUNK)
        last = not data
        fed += len(data)
        try:
            parser.Parse(data, last)
        except expat.ExpatError as error:
            yield fed, None  # what came before it
            what = "not XML" if pages.root else "no MediaWiki dump"
            raise UnreadableError(f"{what}: {expat.ErrorString(error.code)}", f"line {error.lineno}") from None
        yield fed, parser


def _encoded(text: io.TextIOWrapper, parser: Any) -> bytes:
    try:
        return text.read(_CHUNK).encode()
    except UnicodeEncodeError:
        place = f"line {parser.CurrentLineNumber} or later"
        raise UnreadableError(f"not {sources.name_of(text).upper()} (corpus.encoding)", place) from None


# The names that every wiki has, beside those in its own language.
_CANONICAL = (
    *("talk", "user", "user talk", "project", "project talk", "file", "file talk", "mediawiki", "mediawiki talk"),
    *("template", "template talk", "help", "help talk", "category", "category talk"),
)


class _Namespaces:
    """The namespaces of a wiki, which have names in its own language."""

    def __init__(self) -> None:
        self._keys = {name: str(key) for key, name in enumerate(_CANONICAL, start=1)}
        self._keys |= {"image": "6", "special": "-1", "media": "-2"}

    def add(self, key: str, name: str) -> None:
        """Takes one as the dump names it."""
        if name:
            self._keys[name.strip().lower()] = key

    def key(self, title: str) -> str:
        """The key of a title's namespace: 0 for articles."""
        name, colon, _ = title.partition(":")
        return self._keys.get(name.strip().replace("_", " ").lower(), "0") if colon else "0"


class _Pages:
    """Makes documents of what a parser finds."""

    def __init__(self, options: ReadOptions):
        self._options = options
        self._path: list[str] = []
        self.root: str | None = None
        self._namespaces = _Namespaces()
        self._namespace_key = ""
        self._parts: dict[str, list[str]] = {}
        self._sizes: dict[str, int] = {}
        self._number = 0
        self._done: list[Document | Problem] = []

    def taken(self) -> list[Document | Problem]:
        """What was made since this was asked last."""
        done, self._done = self._done, []
        return done

    def entity(self, *declared: Any) -> None:
        """Dumps declare none, and one that does so may be a bomb."""
        raise UnreadableError("it declares entities, which no MediaWiki dump does")

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """An element begins."""
        name = tag.rpartition(":")[2]
        if self.root is None:
            self.root = name
            if name != "mediawiki":
                raise UnreadableError(f"no MediaWiki dump, its first element is <{printable(name[:40])}>")
        if len(self._path) == _DEPTH:
            raise UnreadableError(f"elements in more than {_DEPTH} others, which no MediaWiki dump has")
        self._path.append(name)
        if name == "page":
            self._parts, self._sizes = {}, {}
            self._number += 1
        elif name in ("title", "ns", "text", "namespace"):
            self._parts[name], self._sizes[name] = [], 0
            self._namespace_key = attributes.get("key", "")

    def characters(self, text: str) -> None:
        """Text within an element; of what is too long, its beginning is kept."""
        name = self._path[-1]
        if name in self._parts:
            limit = self._options.max_document_bytes if name == "text" else _SHORT
            if self._sizes[name] <= limit:
                self._parts[name].append(text)
            self._sizes[name] += len(text)

    def end(self, tag: str) -> None:
        """An element ends."""
        name = self._path.pop()
        if name == "namespace":
            self._namespaces.add(self._namespace_key, "".join(self._parts["namespace"]))
        elif name == "page":
            self._done.append(self._document())
            self._parts = {}

    def _document(self) -> Document | Problem:
        title = "".join(self._parts.get("title", ()))
        place = f"page {printable(title[:200])!r}" if title else f"page {self._number}"
        if "text" not in self._parts:
            return Problem("no text field", place, "it has no <text>")
        if self._sizes["text"] > self._options.max_document_bytes:
            return documents.too_long(place, self._options)
        text = "".join(self._parts["text"])
        key = "".join(self._parts["ns"]).strip() if "ns" in self._parts else self._namespaces.key(title)
        if key != "0" or _REDIRECT.match(text):
            return Document("", place)
        checked = documents.make(text, place, self._options)
        if isinstance(checked, Problem):
            return checked
        return Document(wikitext.plain(text), place)
