"""Reads benchmarks: files of analogies or of similar pairs."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterable, Iterator, Sequence

from apache_beam.io.filesystem import BeamIOError
from apache_beam.io.filesystems import FileSystems

from components import builtin, files
from components.errors import UserError
from components.questions import Question


def read_all(paths: Sequence[str]) -> list[Question]:
    """All questions of some benchmarks, each known by its file's name.

    Args:
        paths: files, folders or globs.

    Raises:
        UserError: as `read`; a path without a file, or two files of one name.
    """
    by_name: dict[str, str] = {}
    for path in paths:
        for file in files.find([path], form="questions", what="benchmark"):
            own = path if path.startswith(builtin.SCHEME) else file.path
            name = re.split(r"[/\\]", own)[-1].split(".")[0]
            if by_name.setdefault(name, own) != own:
                raise UserError(f"evaluator.benchmarks: {by_name[name]} and {own} would both be {name}. Rename one")
    return [question for name, path in by_name.items() for question in read(path, name)]


def check_thresholds(thresholds: Iterable[str], questions: Iterable[Question]) -> None:
    """Makes sure that every threshold, by benchmark or `benchmark/section`, has questions.

    Raises:
        UserError: one has none.
    """
    asked: dict[str, set[str]] = {}
    for question in questions:
        asked.setdefault(question.benchmark, set()).add(question.section)
    for threshold in thresholds:
        benchmark, _, section = threshold.partition("/")
        if benchmark not in asked:
            raise UserError(
                f"evaluator.thresholds.{threshold} is for no benchmark. There are {', '.join(sorted(asked))}"
            )
        if section and section not in asked[benchmark]:
            raise UserError(
                f"evaluator.thresholds.{threshold} is for no section. {benchmark} has "
                f"{', '.join(sorted(asked[benchmark]))}"
            )


def read(path: str, benchmark: str) -> list[Question]:
    """Reads a benchmark's file.

    Google's analogies: four words a line, sections begun by `: name`. Similarity: two words and a score a line,
    separated by tabs, commas or blanks. Lines that begin with # are comments; a header is passed over.

    Args:
        path: a file on any file system that Beam knows, or `builtin://NAME`.
        benchmark: the name that its questions carry.

    Raises:
        UserError: the file can't be read, a line is neither, or there is no question in it.
    """
    try:
        with FileSystems.open(builtin.resolve(path)) as file:
            questions = list(_parse(io.TextIOWrapper(file, encoding="utf-8-sig"), path, benchmark))
    except (OSError, BeamIOError) as error:
        raise UserError(
            f"benchmark {path}: cannot be read: {error}. "
            "Expected a file, or builtin://wordsim353, simlex999 or google_analogies"
        ) from None
    except UnicodeDecodeError as error:
        raise UserError(f"benchmark {path}: not UTF-8 at byte {error.start}") from None
    if not questions:
        raise UserError(
            f"benchmark {path}: no question in it. Expected lines of four words, or of two words and a score"
        )
    return questions


def _parse(lines: io.TextIOWrapper, path: str, benchmark: str) -> Iterator[Question]:
    section, is_first = "all", True
    for number, line in enumerate(lines, 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith(":"):
            section = line[1:].strip()
            continue
        fields = _split(line)
        if question := _question(fields, benchmark, section):
            yield question
        elif not (is_first and _is_header(fields)):
            raise UserError(
                f"benchmark {path}, line {number}: {line[:60]!r} is no question. "
                "Expected four words, or two words and a score"
            )
        is_first = False


def _split(line: str) -> list[str]:
    """By the first of these that is in it: tab, semicolon, comma, blanks. So 8,5 is a number between semicolons."""
    separator = next((mark for mark in "\t;," if mark in line), None)
    fields = line.split(separator)
    if len(fields) == 3 and separator != ",":
        fields[2] = fields[2].replace(",", ".")
    return [field.strip() for field in fields]


def _is_header(fields: list[str]) -> bool:
    """Whether it names columns; a third field that begins as a number does is a score that went wrong."""
    return len(fields) == 3 and not re.match(r"[-+.]?[0-9]", fields[2])


def _question(fields: list[str], benchmark: str, section: str) -> Question | None:
    if not all(fields):
        return None
    if len(fields) == 3:
        try:
            score = float(fields[2])
        except ValueError:
            return None
        return Question(benchmark, section, tuple(fields[:2]), score) if math.isfinite(score) else None
    return Question(benchmark, section, tuple(fields), 1.0) if len(fields) == 4 else None
