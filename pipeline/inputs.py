"""What a run reads from outside: its files, and fingerprints of them, for caches know files by their names only."""

from __future__ import annotations

from typing import NamedTuple

from components import files
from pipeline.configs import Config


class Fingerprints(NamedTuple):
    """Each changes when a file is added, removed or rewritten."""

    corpus: str = ""
    benchmarks: str = ""
    schema: str = ""


class Inputs(NamedTuple):
    """The files that the settings name."""

    corpus: list[files.CorpusFile]
    benchmarks: list[files.CorpusFile]
    schema: list[files.CorpusFile]

    @classmethod
    def find(cls, config: Config) -> Inputs:
        """Lists them.

        Raises:
            UserError: a path without any file, or a file whose form can't be told.
        """
        corpus = config.corpus
        return cls(
            corpus=files.find(corpus.paths, corpus.form, corpus.compression),
            benchmarks=files.find(config.evaluator.benchmarks, form="questions", what="benchmark"),
            schema=files.find([corpus.schema_file], form="schema", what="corpus.schema_file"),
        )

    @property
    def fingerprints(self) -> Fingerprints:
        """Of the three, each by itself."""
        return Fingerprints(*(files.fingerprint(file_list) for file_list in self))
