"""The questions that a model is measured by: analogies and similar pairs, read from files, and as tf.Examples.

The benchmarks' ExampleGen writes them, the served model answers them, the Evaluator's metrics score the answers.
"""

from __future__ import annotations

import dataclasses
import io
import math
import re
from collections.abc import Iterator

import tensorflow as tf
from apache_beam.io.filesystem import BeamIOError
from apache_beam.io.filesystems import FileSystems

from components import builtin
from components.errors import UserError

BENCHMARK, SECTION, KIND, WORDS, SCORE = "benchmark", "section", "kind", "words", "score"
ANALOGY, SIMILARITY = "analogy", "similarity"

# Of a question as a tf.Example. A pair leaves the last two of its four words empty; an analogy's score is 1.
FEATURES = {
    BENCHMARK: tf.io.FixedLenFeature([], tf.string),
    SECTION: tf.io.FixedLenFeature([], tf.string),
    KIND: tf.io.FixedLenFeature([], tf.string),
    WORDS: tf.io.FixedLenFeature([4], tf.string),
    SCORE: tf.io.FixedLenFeature([], tf.float32),
}


@dataclasses.dataclass(frozen=True)
class Question:
    """An analogy (a : b :: c : d) or a pair of words with the similarity that people gave it."""

    benchmark: str
    section: str
    words: tuple[str, ...]
    score: float

    @property
    def kind(self) -> str:
        """`ANALOGY` for four words, else `SIMILARITY`."""
        return ANALOGY if len(self.words) == 4 else SIMILARITY

    def serialize(self) -> bytes:
        """As a tf.Example with `FEATURES`."""
        words = [word.encode() for word in (*self.words, "", "")[:4]]
        texts = {
            BENCHMARK: [self.benchmark.encode()],
            SECTION: [self.section.encode()],
            KIND: [self.kind.encode()],
            WORDS: words,
        }
        features = {key: tf.train.Feature(bytes_list=tf.train.BytesList(value=value)) for key, value in texts.items()}
        features[SCORE] = tf.train.Feature(float_list=tf.train.FloatList(value=[self.score]))
        return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString(deterministic=True)


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
