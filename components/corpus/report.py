"""What ExampleGen read, and what it had to skip: kept beside the examples, shown at the end of every run."""

from __future__ import annotations

import dataclasses
import json
from typing import ClassVar

import tensorflow as tf

from word2vec.errors import UserError


@dataclasses.dataclass(frozen=True)
class CorpusReport:
    """Counts over a whole corpus.

    Attributes:
        files: the files that were read; `empty_files` of them held nothing at all.
        documents: the documents read, without the `empty` ones, which have no text but blanks.
        bytes: the documents' size in UTF-8.
        skipped: documents that could not be read, by reason.
        examples: the first few of them by reason, each with file, place and detail; and of the empty files.
        fatal: files that could not be read to their end.
    """

    FILE: ClassVar[str] = "corpus_report.json"

    files: int
    empty_files: int
    documents: int
    bytes: int
    empty: int
    skipped: dict[str, int]
    examples: dict[str, list[str]]
    fatal: list[str]

    @classmethod
    def read(cls, path: str) -> CorpusReport:
        """The report that `write` left at a path."""
        with tf.io.gfile.GFile(path) as file:
            return cls(**json.load(file))

    def write(self, path: str) -> None:
        """Writes the report as JSON."""
        with tf.io.gfile.GFile(path, "w") as file:
            json.dump(dataclasses.asdict(self), file, indent=2, ensure_ascii=False)

    def check(self, max_skipped_share: float) -> None:
        """Raises UserError if the corpus must not be used."""
        if self.fatal:
            more = f" (and {len(self.fatal) - 1} more files like it)" if len(self.fatal) > 1 else ""
            raise UserError(f"corpus: {self.fatal[0]}{more}. Mend or leave out the file; nothing was written")
        skipped = sum(self.skipped.values())
        if skipped > max_skipped_share * (skipped + self.documents):
            share = skipped / (skipped + self.documents)
            raise UserError(
                f"corpus: {skipped:,} of {skipped + self.documents:,} documents had to be skipped "
                f"({share:.1%}, corpus.max_skipped_share allows {max_skipped_share:.1%}):\n"
                + "\n".join(self.skipped_lines())
            )
        if not self.documents:
            first = f"; the first: {self.examples['empty file'][0]}" if self.empty_files else ""
            raise UserError(
                f"corpus: no text in its {self.files:,} files "
                f"({self.empty_files:,} empty files, {self.empty:,} blank documents{first})"
            )

    def skipped_lines(self) -> list[str]:
        """The skipped documents for a person: one line per reason, and its first examples."""
        lines = []
        for reason, count in self.skipped.items():
            lines.append(f"  {reason}: {count:,}")
            lines.extend(f"    {example}" for example in self.examples[reason])
        return lines
