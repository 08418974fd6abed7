"""The TFMA metric over the answers that the served models give to `word2vec.questions`.

An answer is NaN where a word is out of vocabulary: such a question counts against the coverage, and never as wrong.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.utils import model_util

from components.evaluator import statistics
from components.evaluator.statistics import Answers
from word2vec import questions

# What is measured of a benchmark of each kind: `_lower` and `_upper` are the bounds of its 95 % bootstrap interval.
MEASURES = {
    questions.ANALOGY: ("analogy_accuracy", "analogy_accuracy_top5", "cosmul_accuracy", "cosmul_accuracy_top5"),
    questions.SIMILARITY: ("spearman_correlation", "pearson_correlation"),
}
# The first of each kind is the benchmark's score, which the thresholds are about.
MAIN = {kind: names[0] for kind, names in MEASURES.items()}
LOWER, UPPER = "_lower", "_upper"
COVERAGE, QUESTIONS, SCORE, CHANGE = "coverage", "questions", "score", "change"
CHANGE_LOWER, CHANGE_UPPER, SIGNIFICANT_CHANGE = CHANGE + LOWER, CHANGE + UPPER, f"significant_{CHANGE}"
# How many different ones there are among the covered questions, people's scores, and the first of the model's answers.
DISTINCT = "distinct_questions", "distinct_scores", "distinct_answers"
# Of how many of these a word's vector was made of its n-grams, where that is judged.
COMPOSED = "composed"
_WIDTH = len(questions.ANSWERS) + 1  # numbers per question: the answers, and how many of its words are composed


class AnswerScores(tfma.metrics.Metric):
    """All that is measured of the questions of a slice, for each model, and the change from the baseline to the model.

    For every model: each of `MEASURES` (NaN where nothing could be asked), for all but the baseline with its interval;
    `coverage` (the share of questions whose words all have vectors); `questions` (how many); `DISTINCT`; `COMPOSED`;
    and `score`, which is for value thresholds: the main measure, if there is one and enough was covered; else NaN,
    which no threshold lets pass, or 1, which all do.

    As TFMA's differences between models: `change` of the main measure on the questions that both models cover, with
    `change_lower` and `change_upper`, its 95 % interval by a paired bootstrap; and `significant_change`, which is for
    change thresholds: 0 where the interval contains 0, for then the change is noise; like `score` where too little was
    covered.

    Args:
        min_coverage: the least share of covered questions at which a model can be judged.
        when_uncovered: `block` or `pass` the thresholds of benchmarks that are covered less.
        samples: of the bootstrap.
        seed: of its random draws.
        name: TFMA's own.
    """

    def __init__(
        self,
        min_coverage: float = 0.0,
        when_uncovered: str = "block",
        samples: int = 1000,
        seed: int = 1,
        name: str = "answer_scores",
    ):
        super().__init__(
            _computations,
            name=name,
            min_coverage=min_coverage,
            when_uncovered=when_uncovered,
            samples=samples,
            seed=seed,
        )


def _computations(
    min_coverage: float,
    when_uncovered: str,
    samples: int,
    seed: int,
    name: str = "",
    eval_config: Any = None,
    model_names: list[str] | None = None,
) -> list[Any]:
    del name
    baseline = model_util.get_baseline_model_spec(eval_config)
    bootstrap = statistics.Bootstrap(samples, seed)
    gate = _Gate(min_coverage, when_uncovered == "block")
    features = [tfma.metrics.FeaturePreprocessor(feature_keys=[questions.KIND])]
    computations = []
    for model in model_names or [""]:
        is_baseline = baseline is not None and model == baseline.name
        combiners: list[_Gather] = [_Measures(model, None if is_baseline else bootstrap, gate)]
        if baseline is not None and not is_baseline:
            combiners.append(_Change(model, baseline.name, bootstrap, gate))
        computations += [
            tfma.metrics.MetricComputation(keys=combiner.keys, preprocessors=features, combiner=combiner)
            for combiner in combiners
        ]
    return computations


def _key(name: str, model: str, *, is_diff: bool = False) -> tfma.metrics.MetricKey:
    # Neither weighted nor not: so are the keys under which TFMA looks for what a specification's thresholds name.
    return tfma.metrics.MetricKey(name=name, model_name=model, example_weighted=None, is_diff=is_diff)


class _Gate:
    """What thresholds see of a benchmark that is too little covered to be judged."""

    def __init__(self, min_coverage: float, blocks: bool):
        self._min_coverage, self._blocks = min_coverage, blocks

    def score(self, score: float, coverage: float) -> float:
        if coverage >= self._min_coverage and not np.isnan(score):
            return score
        return float("nan") if self._blocks else 1.0

    def change(self, change: float, interval: tuple[float, float], score: float, coverage: float) -> float:
        if np.isnan(self.score(score, coverage)):
            return float("nan")
        # Also without a change to speak of: the baseline covers too little.
        return change if interval[0] > 0 or interval[1] < 0 else 0.0


class _Gather(beam.CombineFn):
    """Gathers the answers of some models; benchmarks have thousands of questions, not millions."""

    keys: list[tfma.metrics.MetricKey]  # of what it puts out

    def __init__(self, models: tuple[str, ...]):
        self._models = models

    def create_accumulator(self) -> list[np.ndarray]:
        return []

    def add_input(self, accumulator: list[np.ndarray], inputs: Any) -> list[np.ndarray]:
        """Adds the questions of an example, a row for each: whether it is an analogy, its label, the answers."""
        kind = np.ravel(inputs.features[questions.KIND])[0]
        predictions = inputs.predictions
        answers = [predictions[model] if isinstance(predictions, dict) else predictions for model in self._models]
        labels = inputs.labels
        while isinstance(labels, dict):  # by model: the same for all
            labels = next(iter(labels.values()))
        labels = np.ravel(labels)
        is_analogy = np.full(len(labels), kind in (questions.ANALOGY, questions.ANALOGY.encode()))
        # Behind the answers is what fills examples of fewer questions up.
        columns = [_numbers(answer)[: len(labels)] for answer in answers]
        accumulator.append(np.column_stack([is_analogy, labels, *columns]).astype(np.float64))
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[list[np.ndarray]]) -> list[np.ndarray]:
        return [rows for accumulator in accumulators for rows in accumulator]

    def answers(self, accumulator: list[np.ndarray]) -> list[Answers]:
        """Of each model, always in the same order, which the bootstrap's draws then are of."""
        rows = np.concatenate([np.zeros((0, 2 + _WIDTH * len(self._models))), *accumulator])
        rows = rows[np.lexsort(rows.T)]
        return [
            Answers(rows[:, 0] == 1, rows[:, 1], rows[:, start : start + _WIDTH - 1], rows[:, start + _WIDTH - 1] > 0)
            for start in range(2, rows.shape[1], _WIDTH)
        ]


def _numbers(answer: np.ndarray) -> np.ndarray:
    """A model's answers to an example, a row per question; those of `evaluate` are without composed words."""
    width = np.shape(answer)[-1]
    return np.pad(np.reshape(answer, [-1, width]), [(0, 0), (0, _WIDTH - width)])


class _Measures(_Gather):
    """Each of the metric's values of one model; without a bootstrap, without the intervals."""

    def __init__(self, model: str, bootstrap: statistics.Bootstrap | None, gate: _Gate):
        super().__init__((model,))
        self._bootstrap, self._gate = bootstrap, gate
        suffixes = ("",) if bootstrap is None else ("", LOWER, UPPER)
        names = [f"{measure}{suffix}" for names in MEASURES.values() for measure in names for suffix in suffixes]
        names += [COVERAGE, QUESTIONS, SCORE, *DISTINCT, COMPOSED]
        self._keys = {name: _key(name, model) for name in names}
        self.keys = list(self._keys.values())

    def extract_output(self, accumulator: list[np.ndarray]) -> dict[tfma.metrics.MetricKey, float]:
        (answers,) = self.answers(accumulator)
        values = {COVERAGE: answers.coverage, QUESTIONS: float(len(answers.labels))}
        values |= dict(zip(DISTINCT, answers.distinct, strict=True))
        values[COMPOSED] = float((answers.covered & answers.composed).sum())
        for kind, names in MEASURES.items():
            of_kind = answers.of_kind(kind == questions.ANALOGY).judged
            measures = [statistics.MEASURES[name] for name in names]
            values |= {name: float(measure(of_kind)) for name, measure in zip(names, measures, strict=True)}
            if self._bootstrap is not None:
                intervals = self._bootstrap.intervals(measures, of_kind)
                for name, (lower, upper) in zip(names, intervals, strict=True):
                    values[name + LOWER], values[name + UPPER] = lower, upper
        values[SCORE] = self._gate.score(values[MAIN[answers.kind]], answers.coverage)
        return {key: values[name] for name, key in self._keys.items()}


class _Change(_Gather):
    """The change of the main measure from the baseline to a model."""

    def __init__(self, model: str, baseline: str, bootstrap: statistics.Bootstrap, gate: _Gate):
        super().__init__((model, baseline))
        self._bootstrap, self._gate = bootstrap, gate
        self.keys = [
            _key(name, model, is_diff=True) for name in (CHANGE, CHANGE_LOWER, CHANGE_UPPER, SIGNIFICANT_CHANGE)
        ]

    def extract_output(self, accumulator: list[np.ndarray]) -> dict[tfma.metrics.MetricKey, float]:
        model, baseline = self.answers(accumulator)
        both = model.covered & baseline.covered
        measure = statistics.MEASURES[MAIN[model.kind]]
        score = float(measure(model.take(model.covered).judged))
        pair = model.take(both), baseline.take(both)
        change = float(measure(pair[0])) - float(measure(pair[1]))
        interval = self._bootstrap.interval_of_change(measure, *pair)
        significant = self._gate.change(change, interval, score, model.coverage)
        return dict(zip(self.keys, (change, *interval, significant), strict=True))
