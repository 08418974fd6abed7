"""What a run reads from outside: its files, and fingerprints of them, for caches know files by their names only."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

from components import files
from components.corpus import spans
from pipeline.configs import Config


class Fingerprints(NamedTuple):
    """Each changes when a file is added, removed or rewritten."""

    corpus: str = ""
    benchmarks: str = ""
    schema: str = ""


@dataclasses.dataclass(frozen=True)
class Inputs:
    """The files that the settings name.

    Attributes:
        corpus: the text; of a corpus with spans, that of the window.
        benchmarks: the questions.
        schema: one file.
        spans: of the window, the newest first; empty where the corpus has none.
        others: paths of files of which no span is known, where spans are expected.
    """

    corpus: list[files.CorpusFile]
    benchmarks: list[files.CorpusFile]
    schema: list[files.CorpusFile]
    spans: list[spans.Span]
    others: list[str]

    @classmethod
    def find(cls, config: Config) -> Inputs:
        """Lists them.

        Raises:
            NoFileError: a path without any file.
            UserError: a file whose form can't be told.
        """
        corpus = config.corpus
        window: list[spans.Span] = []
        others: list[str] = []
        if corpus.window is None:
            corpus_files = files.find(corpus.paths, corpus.form, corpus.compression)
        else:
            there, others = spans.find(corpus.paths, corpus.form, corpus.compression)
            window = spans.in_window(there, corpus.window)
            corpus_files = [file for span in window for file in span.files]
        return cls(
            corpus=corpus_files,
            benchmarks=files.find(config.evaluator.benchmarks, form="questions", what="benchmark"),
            schema=files.find([corpus.schema_file], form="schema", what="corpus.schema_file"),
            spans=window,
            others=others,
        )

    @property
    def fingerprints(self) -> Fingerprints:
        """Of the three, each by itself."""
        return Fingerprints(*map(files.fingerprint, (self.corpus, self.benchmarks, self.schema)))
