"""A benchmark's text to questions. A file is of one kind, which all of its lines tell; the odd one is named."""

from __future__ import annotations

import collections
import csv
import dataclasses
import functools
import math
import re
from collections.abc import Sequence
from typing import NoReturn

from word2vec.errors import UserError
from word2vec.questions import ANALOGY, SIMILARITY, Question

_SECTION = "all"  # of questions that come before any section
_NUMBER = re.compile(r"[-+]?(?:[0-9]+(?:[.,][0-9]*)?|[.,][0-9]+)(?:[eE][-+]?[0-9]+)?")
_LARGEST = 3e38  # a tf.Example has no larger scores
# What heads the column of people's scores, in the data sets that have others with numbers.
_SCORE_NAMES = re.compile(
    r"(?i)scores?\b|mean\b|average\b|avg\b|human|similarity\b|sim\b|simlex|relatedness\b|rating\b|gold\b"
)
# What heads a file of analogies: letters, or names that are numbered or say a word's part.
_COLUMN_NAMES = re.compile(
    r"(?i)(?:[a-d]|(?:word|w|term|token|item|col|column|field)[ _-]?[a-d1-4])[12*']?|answer|expected|target"
)


@dataclasses.dataclass(frozen=True)
class _Row:
    """A line that may be a question.

    Attributes:
        number: the line's, from 1.
        text: the line.
        fields: its parts; none where quotes do not match.
        mark: that separates them; None for blanks. But for commas, 7,5 is a number.
        section: that it is in; None before any.
    """

    number: int
    text: str
    fields: tuple[str, ...]
    mark: str | None
    section: str | None

    @functools.cached_property
    def width(self) -> int:
        """How many fields there are, without empty ones at the end."""
        return max((place for place, field in enumerate(self.fields, 1) if field), default=0)

    def score(self, column: int) -> float | None:
        """The number in a column, if it is one."""
        field = self.fields[column] if column < len(self.fields) else ""
        if not _NUMBER.fullmatch(field) or ("," in field and self.mark == ","):
            return None
        value = float(field.replace(",", "."))
        return value if math.isfinite(value) and abs(value) <= _LARGEST else None

    @functools.cached_property
    def kind(self) -> str | None:
        """What it looks like for itself. Four fields with a number behind two words are a pair and more of it."""
        if self.mark is None and self.width > 4:  # a sentence
            return None
        has_score = any(self.score(column) is not None for column in range(2, self.width))
        if self.width == 4 and (not has_score or self.score(1) is not None):
            return ANALOGY
        return SIMILARITY if has_score else None


def parse(text: str, path: str, benchmark: str) -> list[Question]:
    """The questions of a file.

    Args:
        text: the file's.
        path: its path, for the errors.
        benchmark: the name that its questions carry.

    Raises:
        UserError: a line is not a question of the file's kind.
    """
    rows = _rows(text)
    kinds = collections.Counter(row.kind for row in rows if row.kind)
    if not kinds:
        return _refuse(path, rows[0], "Expected four words, or two words and a score") if rows else []
    kind = max(kinds, key=kinds.__getitem__)  # of as many, the first
    return (_analogies if kind == ANALOGY else _pairs)(rows, path, benchmark)


def _rows(text: str) -> list[_Row]:
    rows, section = [], None
    for number, line in enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), 1):
        bare = line.strip()
        if bare.startswith(":"):
            section = bare[1:].strip() or _SECTION
        elif bare and not bare.startswith("#"):
            mark, fields = _split(line)
            rows.append(_Row(number, bare, tuple(field.strip() for field in fields), mark, section))
    return rows


def _split(line: str) -> tuple[str | None, list[str]]:
    """By the first of these that is in it, outside of quotes: tab, semicolon, comma, blanks."""
    for mark in "\t;,":
        fields = _fields(line, mark) if mark in line else []
        if len(fields) > 1:
            return mark, fields
    return None, [field for field in _fields(line.strip(), " ") if field] if '"' in line else line.split()


def _fields(line: str, mark: str) -> list[str]:
    if '"' not in line:
        return line.split(mark)
    try:
        return next(csv.reader([line.strip(" ")], delimiter=mark, skipinitialspace=True, strict=True))
    except csv.Error:
        return []


def _analogies(rows: Sequence[_Row], path: str, benchmark: str) -> list[Question]:
    first = rows[0]
    if first.section is None and first.width == 4 and all(map(_COLUMN_NAMES.fullmatch, first.fields[:4])):
        rows = rows[1:]
    questions = []
    for row in rows:
        if row.kind != ANALOGY or not all(row.fields[:4]):
            _refuse(path, row, "The file's lines are analogies: expected four words")
        questions.append(Question(benchmark, row.section or _SECTION, row.fields[:4], 1.0))
    return questions


def _pairs(rows: Sequence[_Row], path: str, benchmark: str) -> list[Question]:
    widths = collections.Counter(row.width for row in rows if row.kind == SIMILARITY)
    width = max(widths, key=widths.__getitem__)
    alike = [row for row in rows if row.width == width]
    columns = [
        column
        for column in range(2, width)
        if sum(row.score(column) is not None for row in alike) * 2 > len(alike) - (alike[0] is rows[0])
    ]
    header = rows[0] if any(_is_name(rows[0], column, width) for column in columns) else None
    column = _score_column(columns, header, path)
    expected = "two words and a score" + (f" ({width} fields, the score in the {_place(column)})" if width > 3 else "")
    questions = []
    for row in rows if header is None else rows[1:]:
        score = row.score(column)
        if not (row.width == width or row.width < width <= len(row.fields)) or score is None or not all(row.fields[:2]):
            _refuse(path, row, f"The file's lines are pairs: expected {expected}")
        questions.append(Question(benchmark, row.section or _SECTION, row.fields[:2], score))
    return questions


def _is_name(row: _Row, column: int, width: int) -> bool:
    """Whether a row names a column; what begins as a number does is a score that went wrong."""
    return row.width == width and bool(row.fields[column]) and not re.match(r"[-+.]?[0-9]", row.fields[column])


def _score_column(columns: Sequence[int], header: _Row | None, path: str) -> int:
    named = [column for column in columns if header and _SCORE_NAMES.match(header.fields[column])]
    if named or len(columns) == 1:
        return (named or columns)[0]
    if not columns:
        raise UserError(f"benchmark {path}: none of its columns has scores. Expected two words and a score per line")
    places = " and ".join(_place(column) for column in columns[:2])
    raise UserError(
        f"benchmark {path}: the {places} fields are both numbers. Name the score's column `score` in a header, or "
        "leave the others out"
    )


def _place(column: int) -> str:
    return ("first", "second", "third", "fourth", "fifth", "sixth")[column] if column < 6 else f"{column + 1}th"


def _refuse(path: str, row: _Row, expected: str) -> NoReturn:
    hint = ". Tabs separate words that have blanks" if row.mark is None and row.width > 3 else ""
    raise UserError(f"benchmark {path}, line {row.number}: {row.text[:60]!r} is no question. {expected}{hint}")
