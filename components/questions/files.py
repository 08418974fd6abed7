"""Reads benchmarks: files of analogies or of similar pairs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from components import builtin, file_io, files
from components.questions import lines
from word2vec.errors import UserError, reason
from word2vec.questions import FEWEST_PAIRS, SIMILARITY, Question

_LARGEST = 1 << 26  # bytes, a hundred times as many as the largest benchmark has: more is a corpus


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


def doubts(questions: Iterable[Question]) -> list[str]:
    """What no model can be judged by, a line per benchmark: too few pairs, or all with the same score."""
    pairs: dict[str, set[Question]] = {}
    for question in questions:
        if question.kind == SIMILARITY:
            pairs.setdefault(question.benchmark, set()).add(question)
    lines = []
    for benchmark, asked in pairs.items():
        if len(asked) < FEWEST_PAIRS:
            lines.append(f"benchmark {benchmark}: {len(asked)} different pairs, too few to judge a model by")
        elif len({question.score for question in asked}) == 1:
            lines.append(f"benchmark {benchmark}: all scores are the same; no model can be judged by it")
    return lines


def read(path: str, benchmark: str) -> list[Question]:
    """Reads a benchmark's file.

    Google's analogies: four words per line, sections begun by `: name`. Similarity: two words and a score per line, and
    whatever columns there are more, as long as it can be told which is the score's. Fields are separated by tabs,
    semicolons, commas (with quotes as in CSV) or blanks. Lines that begin with # are comments; a header is passed over.

    Args:
        path: a file on any file system that Beam knows, or `builtin://NAME`.
        benchmark: the name that its questions carry.

    Raises:
        UserError: the file can't be read, a line is not a question of the file's kind, or there is no question in it.
    """
    try:
        data = _read(builtin.resolve(path))
    except file_io.ERRORS as error:
        raise UserError(
            f"benchmark {path}: cannot be read: {reason(error, with_file=False)}. "
            "Expected a file, or builtin://wordsim353, simlex999 or google_analogies"
        ) from None
    if len(data) > _LARGEST:
        raise UserError(f"benchmark {path}: over {_LARGEST:,} bytes. Expected a file of questions")
    questions = lines.parse(_decode(data, path), path, benchmark)
    if not questions:
        raise UserError(
            f"benchmark {path}: no question in it. Expected lines of four words, or of two words and a score"
        )
    return questions


def _read(path: str) -> bytes:
    with file_io.open_stored(path) as raw:
        return file_io.decompressed(raw, files.compression_of(path)).read(_LARGEST + 1)


def _decode(data: bytes, path: str) -> str:
    """By the byte-order mark; without one, UTF-8."""
    encoding = file_io.marked_encoding(data) or "utf-8"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError(f"benchmark {path}, line {line}: not {encoding.upper()} at byte {error.start}") from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise UserError(f"benchmark {path}, line {line}: a NUL character. Expected text in UTF-8")
    return text
