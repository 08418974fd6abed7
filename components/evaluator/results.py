"""What an evaluation found: every benchmark and section with its measures, thresholds, and why it blocked."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.writers import eval_config_writer

from components.evaluator import eval_config, metrics, stability
from components.evaluator.stability import Stability
from word2vec import questions


@dataclasses.dataclass(frozen=True)
class Result:
    """A benchmark, or a section of it.

    Attributes:
        benchmark: its name.
        section: the section's; None for the whole benchmark.
        values: what was measured of the model, by `metrics.AnswerScores`'s names.
        baseline: the same for the baseline; empty without one.
        changes: TFMA's differences between both; empty without a baseline.
        lower_bound: the score at which the model is blessed, if there is such a threshold.
        absolute: the least change at which it is.
        failed: which of `lower_bound` and `absolute` was not reached.
    """

    benchmark: str
    section: str | None
    values: dict[str, float]
    baseline: dict[str, float]
    changes: dict[str, float]
    lower_bound: float | None
    absolute: float | None
    failed: tuple[str, ...]

    @property
    def name(self) -> str:
        """As in the thresholds: `benchmark` or `benchmark/section`."""
        return self.benchmark if self.section is None else f"{self.benchmark}/{self.section}"

    @property
    def measure(self) -> str:
        """The main measure's name, with blanks."""
        kinds = [kind for kind, name in metrics.MAIN.items() if not math.isnan(self.values[name])]
        return metrics.MAIN[kinds[0]].replace("_", " ") if kinds else "-"

    @property
    def score(self) -> float:
        """The main measure; NaN if nothing could be asked."""
        return self._main(self.values)

    @property
    def interval(self) -> tuple[float, float] | None:
        """The score's 95 % bootstrap interval; None without a score."""
        if math.isnan(self.score):
            return None
        return self._main(self.values, metrics.LOWER), self._main(self.values, metrics.UPPER)

    @property
    def baseline_score(self) -> float | None:
        """The baseline's score; None without one."""
        return self._main(self.baseline) if self.baseline else None

    @property
    def change(self) -> float | None:
        """The change from the baseline, of the questions that both cover; None without one, or without a change."""
        return self.changes.get(metrics.CHANGE)

    @property
    def change_interval(self) -> tuple[float, float] | None:
        """The 95 % bootstrap interval of the change from the baseline; None without one, or without a change."""
        lower = self.changes.get(metrics.CHANGE_LOWER, math.nan)
        return None if math.isnan(lower) else (lower, self.changes[metrics.CHANGE_UPPER])

    @property
    def has_threshold(self) -> bool:
        """Whether the model can be blocked by it."""
        return self.lower_bound is not None or self.absolute is not None

    @property
    def coverage(self) -> float:
        """The share of questions whose words are all in the vocabulary, or have vectors where these are judged."""
        return self.values[metrics.COVERAGE]

    @property
    def composed(self) -> int:
        """Of how many of the covered questions a word's vector was made of its n-grams."""
        return round(self.values.get(metrics.COMPOSED, 0))

    @property
    def problem(self) -> str:
        """Why there is no score, or none that counts: of people's scores, of the model, or of their coverage."""
        total = round(self.values[metrics.QUESTIONS])
        covered = round(self.coverage * total)
        if not covered or not math.isnan(self.score):
            return (
                f"only {100 * covered // total}% of its {total} questions have all their words in the vocabulary "
                "(evaluator.min_coverage, evaluator.when_uncovered)"
            )
        distinct, scores, answers = (self.values.get(name, math.nan) for name in metrics.DISTINCT)
        if scores == 1 and covered >= questions.FEWEST_PAIRS:
            return f"all scores are the same, of {covered} pairs"
        if answers == 1 and covered >= questions.FEWEST_PAIRS:
            return f"all answers of the model are the same, to {covered} pairs"
        asked = f"{covered} pair{'' if covered == 1 else 's'}"
        if covered < total:
            asked += f" of its {total} with all their words in the vocabulary"
        elif distinct < covered:
            asked += f", {distinct:.0f} of them different,"
        return f"{asked} {'is' if covered == 1 else 'are'} too few to judge (at least {questions.FEWEST_PAIRS})"

    @property
    def reasons(self) -> list[str]:
        """Why it blocks, one line per threshold."""
        if self.failed and math.isnan(self.values[metrics.SCORE]):
            return [f"{self.name}: cannot judge, for {self.problem}"]
        bound = math.nan if self.lower_bound is None else self.lower_bound  # there is one where it was not reached
        said = {
            "lower_bound": lambda: (
                f"{self.name}: {self.measure} {self.score:.3f} is "
                f"{bound - self.score:.3f} below its threshold {bound:g}"
            ),
            "absolute": lambda: (
                f"{self.name}: {self.measure} changed by {self.changes[metrics.CHANGE]:+.3f} (95 % "
                f"interval {self.changes[metrics.CHANGE_LOWER]:+.3f} to {self.changes[metrics.CHANGE_UPPER]:+.3f}) "
                f"from the last blessed model; its threshold is {self.absolute:+g}"
            ),
        }
        return [said[limit]() for limit in self.failed]

    def _main(self, values: dict[str, float], suffix: str = "") -> float:
        main_values = [values[name + suffix] for name in metrics.MAIN.values() if not math.isnan(values[name])]
        return main_values[0] if main_values else math.nan


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What the Evaluator found.

    Attributes:
        results: the benchmarks, each followed by its sections, both in alphabetical order.
        has_thresholds: whether any is set; without one no model is blessed.
        stability: how far the words have moved from the last blessed model; None without one.
        signature: of the served model, that answered.
    """

    results: list[Result]
    has_thresholds: bool
    stability: Stability | None = None
    signature: str = eval_config.KNOWN_WORDS

    @property
    def benchmarks(self) -> list[Result]:
        """The whole benchmarks."""
        return [result for result in self.results if result.section is None]

    @property
    def shown(self) -> list[Result]:
        """The whole benchmarks, and the sections that have a threshold."""
        return [result for result in self.results if result.section is None or result.has_threshold]

    @property
    def unjudged(self) -> list[str]:
        """The benchmarks, and sections with a threshold, that block nothing and have no score, and why."""
        return [
            f"{result.name}: {'passes without a score' if result.has_threshold else 'no score'}, for {result.problem}"
            for result in self.shown
            if math.isnan(result.score) and not result.failed
        ]

    @property
    def reasons(self) -> list[str]:
        """Why the model is not blessed; nothing if it is."""
        if not self.has_thresholds:
            return ["no threshold is set (evaluator.thresholds), and a model that nothing vouches for is not pushed"]
        moved = self.stability.reasons if self.stability else []
        return [reason for result in self.results for reason in result.reasons] + moved


def read(folder: str) -> Evaluation:
    """Reads the Evaluator's `evaluation` artifact."""
    config = eval_config_writer.load_eval_run(folder)[0]
    limits = eval_config.limits_of(config)
    failures = _failures(folder) if limits else {}
    results = []
    for of_slice in tfma.load_metrics(folder):
        key = _slice(of_slice.slice_key)
        groups: dict[str, dict[str, float]] = {"values": {}, "baseline": {}, "changes": {}}
        for pair in of_slice.metric_keys_and_values:
            is_baseline = pair.key.model_name == eval_config.BASELINE
            group = "changes" if pair.key.is_diff else "baseline" if is_baseline else "values"
            groups[group][pair.key.name] = pair.value.double_value.value
        name = "/".join(part for part in key if part is not None)
        results.append(
            Result(
                *key,
                values=groups["values"],
                baseline=groups["baseline"],
                changes=groups["changes"],
                lower_bound=limits.get(name, {}).get("lower_bound"),
                absolute=limits.get(name, {}).get("absolute") if groups["changes"] else None,
                failed=tuple(sorted(failures.get(key, ()), reverse=True)),
            )
        )
    results.sort(key=lambda result: (result.benchmark, result.section or ""))
    signature = next(spec.signature_name for spec in config.model_specs if spec.name != eval_config.BASELINE)
    return Evaluation(results, bool(limits), stability.read(folder), signature)


def interval_text(interval: tuple[float, float] | None) -> str:
    """An interval for people; empty where there is none."""
    return "" if interval is None else "{:.3f} to {:.3f}".format(*interval)


def _slice(key: Any) -> tuple[str, str | None]:
    features = {part.column: part.bytes_value.decode() for part in key.single_slice_keys}
    return features[questions.BENCHMARK], features.get(questions.SECTION)


def _failures(folder: str) -> dict[tuple[str, str | None], set[str]]:
    failures: dict[tuple[str, str | None], set[str]] = {}
    for of_slice in tfma.load_validation_result(folder).metric_validations_per_slice:
        for failure in of_slice.failures:
            limit = "lower_bound" if failure.metric_threshold.HasField("value_threshold") else "absolute"
            failures.setdefault(_slice(of_slice.slice_key), set()).add(limit)
    return failures
