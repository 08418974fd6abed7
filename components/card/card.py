"""The model card: what a model was made of, how, and how good it is; as JSON for programs and Markdown for people."""

from __future__ import annotations

import math
import re
from typing import Any

import pydantic

from components.evaluator.results import Evaluation, interval_text
from components.tuner.results import Tuning
from word2vec import tuning
from word2vec.errors import escaped

# What is to be known of the benchmarks of a model whose settings were tuned.
HALVES = "The benchmarks are of the half of the questions that the trials were not judged by."


class Corpus(pydantic.BaseModel):
    """The text; `spans` are the documents' bytes by the span's name, where it has spans."""

    paths: list[str]
    fingerprint: str
    documents: int
    bytes: int
    files: int
    skipped: int
    spans: dict[str, int] = {}


class Code(pydantic.BaseModel):
    """What made it: the package's version, a fingerprint of the components' code, the commit if it is known.

    `lock` is the SHA-256 of constraints.txt, which says what the packages' files are; None if it was not there.
    """

    version: str
    fingerprint: str
    commit: str | None
    lock: str | None = None
    libraries: dict[str, str]


class Benchmark(pydantic.BaseModel):
    """A benchmark or a section with a threshold; None where there is no number."""

    name: str
    measure: str
    score: float | None
    interval: tuple[float, float] | None
    coverage: float
    composed: int = 0
    lower_bound: float | None
    baseline_score: float | None
    change: float | None
    change_interval: tuple[float, float] | None
    least_change: float | None
    passed: bool

    @property
    def covered(self) -> str:
        """The coverage for people, with how many of the questions had a composed word."""
        return f"{self.coverage:.0%}" + (f", {self.composed:,} composed" if self.composed else "")


class ModelCard(pydantic.BaseModel):
    """All of it.

    Attributes:
        created: when, in ISO 8601, UTC.
        baseline: the folder of the model that it was compared with; None without one.
        settings: of the corpus, the pairs, the training and the evaluation.
        space: vectors of versions with the same one can be compared; None for models of earlier releases.
        stability: the mean cosine of a frequent word's vector with that in `baseline`, if both are in one space.
        tuning: what the Tuner found; None where there was none.
    """

    name: str
    created: str
    words: int
    dimensions: int
    blessed: bool
    reasons: list[str]
    benchmarks: list[Benchmark]
    baseline: str | None
    corpus: Corpus
    settings: dict[str, Any]
    code: Code
    space: str | None = None
    stability: float | None = None
    tuning: Tuning | None = None

    def markdown(self) -> str:
        """The card for people."""
        reasons = "\n".join(f"- {_text(reason)}" for reason in self.reasons)
        verdict = "Blessed." if self.blessed else f"Not blessed:\n\n{reasons}"
        compared = f"Compared with the last blessed model, {_code(self.baseline)}." if self.baseline else ""
        if self.stability is not None:
            compared += f" A frequent word's vector has a cosine of {self.stability:.3f} with that one's, on average."
        paths = ", ".join(map(_code, self.corpus.paths))
        libraries = ", ".join(f"{name} {version}" for name, version in self.code.libraries.items())
        commit = f", commit {self.code.commit}" if self.code.commit else ""
        is_cbow = self.settings["trainer"].get("architecture") == "cbow"  # cards of earlier releases do not have it
        architecture = "CBOW" if is_cbow else "skip-gram"
        lock = f" The packages are those of constraints.txt, SHA-256 `{self.code.lock}`." if self.code.lock else ""
        parts = [
            f"# Word vectors: {_text(self.name)}",
            f"{self.words:,} words, {self.dimensions} dimensions; {architecture}. Made {self.created}."
            + (f" Space {_code(self.space)}: vectors of its versions can be compared." if self.space else ""),
            f"## Verdict\n\n{verdict}\n\n{compared}".rstrip(),
            "## Benchmarks\n\n" + _table([_row(benchmark) for benchmark in self.benchmarks]),
            *([f"## Tuning\n\n{_tuned(self.tuning)}"] if self.tuning else []),
            f"## Text\n\n{self.corpus.documents:,} documents, {self.corpus.bytes / 1e6:,.1f} MB, "
            f"{self.corpus.files:,} files, {self.corpus.skipped:,} documents skipped: {paths}\n\n"
            f"Fingerprint `{self.corpus.fingerprint}`.",
            "## Settings\n\n"
            + _table([["setting", "value"], *([_code(key), _code(value)] for key, value in flat(self.settings))]),
            f"## Code\n\ntfx-word2vec {self.code.version}{commit}, fingerprint `{self.code.fingerprint}`; {libraries}."
            + lock,
            "## Use\n\nThe vectors reproduce what the text says, its prejudices included. Words of fewer occurrences "
            "than `skipgram.min_count` are unknown; rare ones have worse vectors than frequent ones.",
        ]
        return "\n\n".join(parts) + "\n"


def benchmarks_of(evaluation: Evaluation) -> list[Benchmark]:
    """The benchmarks of an evaluation, and the sections that have a threshold."""
    return [
        Benchmark(
            name=result.name,
            measure=result.measure,
            score=_number(result.score),
            interval=result.interval,
            coverage=result.coverage,
            composed=result.composed,
            lower_bound=result.lower_bound,
            baseline_score=None if result.baseline_score is None else _number(result.baseline_score),
            change=_number(math.nan if result.change is None else result.change),
            change_interval=result.change_interval,
            least_change=result.absolute,
            passed=not result.failed,
        )
        for result in evaluation.shown
    ]


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def _row(benchmark: Benchmark) -> list[str]:
    interval = interval_text(benchmark.interval)
    limits = [] if benchmark.lower_bound is None else [f"at least {benchmark.lower_bound:g}"]
    limits += [] if benchmark.least_change is None else [f"change at least {benchmark.least_change:+g}"]
    numbers = (benchmark.score, benchmark.baseline_score)
    score, before = ("-" if number is None else f"{number:.3f}" for number in numbers)
    said = f"{'; '.join(limits)}: {'passed' if benchmark.passed else 'failed'}" if limits else ""
    return [_text(benchmark.name), benchmark.measure, score, interval, benchmark.covered, before, said]


def _tuned(found: Tuning) -> str:
    """Which settings were found, and that the gate did not judge by the questions by which they were."""
    return (
        f"{tuning.text(found.settings)}: the best of {len(found.trials)} trials, with a score of {found.score:.3f}. "
        f"{HALVES}"
    )


def _table(rows: list[list[str]]) -> str:
    if rows and len(rows[0]) > 2:
        rows = [["benchmark", "measure", "score", "95 % interval", "coverage", "last blessed", "threshold"], *rows]
    header, *rest = rows
    lines = [header, ["---"] * len(header), *rest]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def flat(tree: dict[str, Any], prefix: str = "") -> list[list[str]]:
    """A tree of settings as rows of (key with dots, value)."""
    rows = []
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            rows += flat(value, f"{prefix}{key}.")
        else:
            rows.append([f"{prefix}{key}", str(value)])
    return rows


def _text(text: str) -> str:
    """Somebody's text in Markdown, shown as it stands; a `_` within a word marks nothing."""
    return re.sub(r"^[-+#]|[\\`*<>&\[\]~]|(?<![^\W_])_|_(?![^\W_])", r"\\\g<0>", escaped(text))


def _code(text: str) -> str:
    """Likewise, as code: between more backticks than there are in it."""
    text = escaped(text)
    if not text:
        return ""
    fence = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    blank = " " if "`" in (text[0], text[-1]) or text[0] == text[-1] == " " else ""
    return f"{fence}{blank}{text}{blank}{fence}"
