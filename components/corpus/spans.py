"""Spans: text that arrives piece by piece, told apart by the paths of its files, as TFX's ExampleGen tells them."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from components import files
from components.files import CorpusFile
from word2vec.errors import printable

_LARGEST = 2**63 - 1  # number that ML Metadata can keep
_EPOCH = datetime.date(1970, 1, 1)
_SPEC = re.compile(r"\{(SPAN|VERSION|YYYY|MM|DD)(?::([^{}]*))?\}")
_DATE = {"YYYY", "MM", "DD"}
_DIGITS = {"YYYY": r"[0-9]{4}", "MM": r"[0-9]{2}", "DD": r"[0-9]{2}"}


@dataclasses.dataclass(frozen=True)
class Span:
    """The files of one span, in its newest version.

    Attributes:
        number: TFX's span: that of the path; for a date, the days since 1970-01-01.
        version: TFX's version, the newest; 0 where paths have none.
        is_date: whether the paths have dates.
        files: sorted.
    """

    number: int
    version: int
    is_date: bool
    files: tuple[CorpusFile, ...]

    @property
    def label(self) -> str:
        """The span as people write it: 2026-11-26, or 17."""
        return label(self.number, is_date=self.is_date)

    @property
    def fingerprint(self) -> str:
        """Changes when a file of the span is added, removed or rewritten."""
        return files.fingerprint(self.files)


def label(number: int, *, is_date: bool) -> str:
    """A span as people write it: a date, or its number."""
    return str(_EPOCH + datetime.timedelta(number)) if is_date else str(number)


def has_spec(path: str) -> bool:
    """Whether a path tells spans apart."""
    return _SPEC.search(path) is not None


def check(paths: Iterable[str]) -> None:
    """Makes sure that paths tell all spans apart, and by the same.

    Raises:
        ValueError: they do not.
    """
    kinds = {_Pattern.of(path).is_date if has_spec(path) else None for path in paths}
    if None in kinds and len(kinds) > 1:
        raise ValueError("some paths have {SPAN} or a date and some do not. Expected it in all of them, or in none")
    if len(kinds) > 1:
        raise ValueError("some paths have {SPAN} and some have a date. Expected the same in all of them")


def find(paths: Sequence[str], form: str = "auto", compression: str = "auto") -> tuple[list[Span], list[str]]:
    """Lists the spans that there are, each in its newest version.

    Args:
        paths: each with {SPAN}, or with {YYYY}, {MM} and {DD}, and perhaps {VERSION}; for the rest as `files.find`
            takes them. The files of a span may come from several of them, each in the newest version that it has there.
        form: how to read the files; see `files.find`.
        compression: likewise.

    Returns:
        (spans, others): the spans by falling number; and the paths of files that are where spans are expected, but
        whose names tell none.

    Raises:
        NoFileError: there is no file of a span.
        UserError: there is one whose form cannot be told, or that cannot be listed.
    """
    found: dict[int, list[files.Match]] = {}
    versions: dict[int, int] = {}
    others: list[str] = []
    patterns = [_Pattern.of(path) for path in paths]
    for pattern in patterns:
        by_place: dict[tuple[int, int], list[files.Match]] = {}
        for file in pattern.match():
            place = pattern.place_of(file[0])
            if place is None:
                others.append(file[0])
            else:
                by_place.setdefault(place, []).append(file)
        newest = dict(sorted(by_place))  # the last one stays
        for number, version in newest.items():
            found.setdefault(number, []).extend(by_place[number, version])
            versions[number] = max(version, versions.get(number, 0))
    is_date = patterns[0].is_date
    if not found:
        wrong = f"the files there are of no span, as {printable(others[0])}" if others else "no file matches"
        name = "a date in the place of {YYYY}, {MM} and {DD}" if is_date else "a number in the place of {SPAN}"
        raise files.NoFileError(f"corpus {printable(paths[0])}: {wrong}. Expected files whose paths have {name}")
    spans = [
        Span(number, versions[number], is_date, tuple(files.describe(found[number], form, compression)))
        for number in sorted(found, reverse=True)
    ]
    return spans, sorted(set(others))


class Slot(NamedTuple):
    """A place in a window on a cluster, where a task of its own reads each span.

    Attributes:
        number: the span's; empty where there are fewer spans than places.
        fingerprint: of its files; of a place without a span, a text of its own. So no cache answers for two of them
            with one artifact, which ML Metadata takes but once as a task's input.
    """

    number: str = ""
    fingerprint: str = ""

    @classmethod
    def parse(cls, text: str) -> Slot:
        """From what `str` makes of it."""
        return cls(*text.split(" "))

    def __str__(self) -> str:
        return f"{self.number} {self.fingerprint}"


def slots(spans: Sequence[Span], size: int) -> list[Slot]:
    """The spans of a window in as many places, the newest first."""
    taken = [Slot(str(span.number), span.fingerprint) for span in in_window(spans, size)]
    return taken + [Slot("", f"none-{place}") for place in range(len(taken) + 1, size + 1)]


def fingerprint_of(spans: Sequence[str]) -> str:
    """Stands for several spans' files together; `spans` are their fingerprints, by rising number."""
    return spans[0] if len(spans) == 1 else hashlib.sha256("\n".join(spans).encode()).hexdigest()


def reading(corpus: str) -> str:
    """Stands for how a corpus is read; `corpus` are its settings as JSON."""
    return hashlib.sha256(corpus.encode()).hexdigest()


def in_window(spans: Sequence[Span], size: int) -> list[Span]:
    """Those spans that lie among the `size` newest numbers, by falling number; numbers of which there is none count.

    Args:
        spans: by falling number.
        size: of the window.
    """
    return [span for span in spans if span.number > spans[0].number - size]


@dataclasses.dataclass(frozen=True)
class _Pattern:
    """A path with places for a span and its version.

    Attributes:
        glob: what finds its files, and others beside them.
        expression: what tells the span of a file, or of the folder that it is in.
        is_date: whether the span is a date.
    """

    glob: str
    expression: re.Pattern[str]
    is_date: bool

    @classmethod
    def of(cls, path: str) -> _Pattern:
        """Reads it.

        Raises:
            ValueError: it tells no span, or more than one.
        """
        path = files.absolute(path)
        names = [match[1] for match in _SPEC.finditer(path)]
        is_date = bool(_DATE.intersection(names))
        if is_date and "SPAN" in names:
            raise ValueError(f"{path!r} has {{SPAN}} and a date. Expected one of them")
        if is_date and sorted(name for name in names if name in _DATE) != sorted(_DATE):
            raise ValueError(f"{path!r}: expected each of {{YYYY}}, {{MM}} and {{DD}} once")
        if not is_date and names.count("SPAN") != 1:
            raise ValueError(f"{path!r}: expected {{SPAN}} once, or {{YYYY}}, {{MM}} and {{DD}}")
        if names.count("VERSION") > 1:
            raise ValueError(f"{path!r}: expected {{VERSION}} at most once")
        expression, begin = "", 0
        for match in _SPEC.finditer(path):
            expression += files.expression(path[begin : match.start()]) + f"(?P<{match[1]}>{_digits(path, match)})"
            begin = match.end()
        expression += files.expression(path[begin:])
        return cls(_glob(path), re.compile(f"{expression.rstrip('/')}(/.*)?", re.DOTALL), is_date)

    def match(self) -> list[files.Match]:
        """The files that may be of a span: those that the path names itself, and those in folders that it names."""
        return files.match(self.glob) + files.match(f"{self.glob.rstrip('/')}/**")

    def place_of(self, path: str) -> tuple[int, int] | None:
        """(span, version) of a file; None if its path tells none that there can be."""
        match = self.expression.fullmatch(path)
        if match is None:
            return None
        told = {name: int(digits) for name, digits in match.groupdict().items()}
        if max(told.values()) > _LARGEST:
            return None
        if not self.is_date:
            return told["SPAN"], told.get("VERSION", 0)
        try:
            number = (datetime.date(told["YYYY"], told["MM"], told["DD"]) - _EPOCH).days
        except ValueError:
            return None
        return None if number < 0 else (number, told.get("VERSION", 0))  # TFX's windows begin at 0


def _glob(path: str) -> str:
    """A path with stars in the places of specs; never two beside each other, unless somebody has written them."""
    places = _SPEC.sub("\0", path)
    return re.sub(r"[\0*]*\0[\0*]*", lambda found: "**" if "**" in found[0] else "*", places)


def _digits(path: str, spec: re.Match[str]) -> str:
    """The expression of the digits in a place: of a width that the path says, or of any."""
    name, width = spec.groups()
    if name in _DIGITS:
        if width is not None:
            raise ValueError(f"{path!r}: {spec[0]} has no width. Expected {{{name}}}")
        return _DIGITS[name]
    if width is None:
        return "[0-9]+"
    if not re.fullmatch("[1-9][0-9]?", width):
        raise ValueError(f"{path!r}: {spec[0]}: expected a width from 1 to 99, as in {{{name}:3}}")
    return f"[0-9]{{{width}}}"
