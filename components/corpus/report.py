"""What ExampleGen read, and what it had to skip: kept beside the examples, shown at the end of every run."""

from __future__ import annotations

import collections
import dataclasses
import json
import os
from collections.abc import Iterable, Sequence
from typing import ClassVar

import tensorflow as tf

from components.corpus import spans
from word2vec.errors import UserError

EXAMPLES_PER_REASON = 3


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
        fingerprint: stands for the files' content; empty where it is not known.
        spans: the documents' bytes by the span's name, where the corpus has spans.
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
    fingerprint: str = ""
    spans: dict[str, int] = dataclasses.field(default_factory=dict)

    @classmethod
    def of(cls, uris: Iterable[str]) -> CorpusReport:
        """What was read into Examples, the spans' together; `uris` are the artifacts'."""
        reports = sorted((cls.read(os.path.join(uri, cls.FILE)) for uri in uris), key=lambda report: report.place)
        return reports[0] if len(reports) == 1 else _together(reports)

    @property
    def place(self) -> list[tuple[int, str]]:
        """Among others: the order of the spans."""
        return [(len(name), name) for name in self.spans]  # as dates, and as numbers

    @classmethod
    def read(cls, path: str) -> CorpusReport:
        """The report that `write` left at a path."""
        with tf.io.gfile.GFile(path) as file:
            return cls(**json.load(file))

    def write(self, path: str) -> None:
        """Writes the report as JSON."""
        with tf.io.gfile.GFile(path, "w") as file:
            json.dump(dataclasses.asdict(self), file, indent=2, ensure_ascii=False)

    def check(self, max_skipped_share: float, *, may_be_empty: bool = False) -> None:
        """Makes sure that the corpus can be used.

        Args:
            max_skipped_share: of its documents.
            may_be_empty: whether it may have no text at all.

        Raises:
            UserError: it must not be used.
        """
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
        if not self.documents and not may_be_empty:
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


def _together(reports: Sequence[CorpusReport]) -> CorpusReport:
    skipped: collections.Counter[str] = collections.Counter()
    examples: dict[str, list[str]] = {}
    for report in reports:
        skipped.update(report.skipped)
        for reason, texts in report.examples.items():
            examples.setdefault(reason, []).extend(texts)
    sums = {
        name: sum(getattr(report, name) for report in reports)
        for name in ("files", "empty_files", "documents", "bytes", "empty")
    }
    return CorpusReport(
        **sums,
        skipped=dict(sorted(skipped.items())),
        examples={reason: texts[:EXAMPLES_PER_REASON] for reason, texts in examples.items()},
        fatal=[text for report in reports for text in report.fatal],
        fingerprint=spans.fingerprint_of([report.fingerprint for report in reports]),
        spans={name: size for report in reports for name, size in report.spans.items()},
    )
