"""Reads benchmarks: files of analogies or of similar pairs."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator

from apache_beam.io.filesystem import BeamIOError
from apache_beam.io.filesystems import FileSystems

from components import builtin
from components.errors import UserError
from components.questions import Question


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
        fields = re.split(r"\t|,|;" if re.search(r"[\t,;]", line) else r"\s+", line)
        fields = [field.strip() for field in fields]
        if question := _question(fields, benchmark, section):
            yield question
        elif not is_first:
            raise UserError(
                f"benchmark {path}, line {number}: {line[:60]!r} is no question. "
                "Expected four words, or two words and a score"
            )
        is_first = False


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
