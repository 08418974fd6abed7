"""Accuracies and correlations of answers, and their bootstrap intervals (Efron 1979), by the percentile method."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from word2vec import questions

# Numbers that are resampled at a time: they stay in the core's cache.
_NUMBERS_AT_A_TIME = 100_000


@dataclasses.dataclass(frozen=True)
class Answers:
    """A model's answers to some questions.

    Attributes:
        is_analogy: bool [n].
        labels: float64 [n], people's scores.
        values: float64 [n, 3], as `questions.ANSWERS` names them.
        composed: bool [n], whether a word's vector is made of its n-grams; False alone if none is.
    """

    is_analogy: np.ndarray
    labels: np.ndarray
    values: np.ndarray
    composed: np.ndarray | bool = False

    @property
    def kind(self) -> str:
        """The questions' kind; they are all of one."""
        return questions.ANALOGY if self.is_analogy.any() else questions.SIMILARITY

    @property
    def covered(self) -> np.ndarray:
        """Which questions had an answer: bool [n]."""
        return ~np.isnan(self.values).all(-1)

    @property
    def coverage(self) -> float:
        """The share of questions that had an answer; NaN of none."""
        return float(self.covered.mean()) if len(self.covered) else float("nan")

    @property
    def distinct(self) -> tuple[float, float, float]:
        """How many different ones there are among the covered questions, their labels, and their first answers.

        Questions of one label and one answer are taken for one.
        """
        rows = np.column_stack([self.labels, self.values[:, 0]])[self.covered]
        labels, answers = (float(len(np.unique(column))) for column in rows.T)
        return float(len(np.unique(rows, axis=0))), labels, answers

    @property
    def judged(self) -> Answers:
        """These, but none if they are pairs of which too few differ."""
        is_enough = self.kind == questions.ANALOGY or self.distinct[0] >= questions.FEWEST_PAIRS
        return self if is_enough else self.take(np.zeros(len(self.labels), bool))

    def column(self, name: str) -> np.ndarray:
        """One of the answers: float64 [n]."""
        return self.values[:, questions.ANSWERS.index(name)]

    def of_kind(self, is_analogy: bool) -> Answers:
        """The covered ones of a kind."""
        return self.take((self.is_analogy == is_analogy) & self.covered)

    def take(self, which: np.ndarray) -> Answers:
        """Some of them: bool [n]."""
        composed = self.composed if isinstance(self.composed, bool) else self.composed[which]
        return Answers(self.is_analogy[which], self.labels[which], self.values[which], composed)


class Measure(Protocol):
    """What is measured of answers."""

    def __call__(self, answers: Answers, counts: np.ndarray | None = None) -> np.ndarray | float:
        """The measure of the answers, or of samples of them.

        Args:
            answers: to n questions.
            counts: float64 [samples, n], how often each question is in a sample of n; None for the questions
                as they are.

        Returns:
            A number, or one per sample: float64 [samples]; NaN where it can't be measured.
        """
        ...


@dataclasses.dataclass(frozen=True)
class Share:
    """The share of right answers among the first so many; NaN of none.

    Attributes:
        rank: how many.
        column: which of the answers, by its name.
    """

    rank: int
    column: str

    def __call__(self, answers: Answers, counts: np.ndarray | None = None) -> np.ndarray | float:
        """See `Measure`."""
        return _mean(self.hits(answers).astype(float), _or_ones(counts, answers))[()]

    def hits(self, answers: Answers) -> np.ndarray:
        """Which answers are right: bool [n]."""
        return answers.column(self.column) <= self.rank


def pearson(answers: Answers, counts: np.ndarray | None = None) -> np.ndarray | float:
    """Pearson's correlation of cosines and people's scores.

    NaN for fewer than `questions.FEWEST_PAIRS`, or where one never differs.
    """
    return _correlation(answers.column(questions.COSINE), answers.labels, _or_ones(counts, answers))


def spearman(answers: Answers, counts: np.ndarray | None = None) -> np.ndarray | float:
    """Spearman's: Pearson's of the ranks, equal values sharing the mean of theirs."""
    counts = _or_ones(counts, answers)
    cosines, labels = (_ranks(each, counts) for each in (answers.column(questions.COSINE), answers.labels))
    return _correlation(cosines, labels, counts)


def _or_ones(counts: np.ndarray | None, answers: Answers) -> np.ndarray:
    return np.ones(len(answers.labels)) if counts is None else counts


def _ranks(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The mean rank of each value in a sample that has it so often: from [n] and [..., n], float64 [..., n].

    The values are sorted once, and not in each sample.
    """
    if not len(values):
        return np.zeros_like(counts)
    _, which, times = np.unique(values, return_inverse=True, return_counts=True)
    starts = np.cumsum(times) - times
    of_value = np.add.reduceat(counts[..., np.argsort(which, kind="stable")], starts, axis=-1)
    return (of_value.cumsum(-1) - (of_value - 1) / 2)[..., which]


def _mean(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Of values [..., n] that a sample has so often: float64 [...]; NaN of none."""
    if not values.shape[-1]:
        return np.full(counts.shape[:-1], np.nan)
    return np.einsum("...i,...i->...", values, counts) / counts.sum(-1)


def _correlation(a: np.ndarray, b: np.ndarray, counts: np.ndarray) -> np.ndarray | float:
    if counts.shape[-1] < questions.FEWEST_PAIRS:
        return np.full(counts.shape[:-1], np.nan)[()]
    a, b = (values - values[..., :1] for values in (a, b))  # exact zeros where all are the same
    a, b = (values - _mean(values, counts)[..., None] for values in (a, b))
    together, of_a, of_b = (np.einsum("...i,...i,...i->...", *both, counts) for both in ((a, b), (a, a), (b, b)))
    spread = np.sqrt(of_a * of_b)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(spread > 0, together / spread, np.nan)[()]


MEASURES: dict[str, Measure] = {
    "analogy_accuracy": Share(1, questions.RANK_3COSADD),
    "analogy_accuracy_top5": Share(5, questions.RANK_3COSADD),
    "cosmul_accuracy": Share(1, questions.RANK_3COSMUL),
    "cosmul_accuracy_top5": Share(5, questions.RANK_3COSMUL),
    "spearman_correlation": spearman,
    "pearson_correlation": pearson,
}


@dataclasses.dataclass(frozen=True)
class Bootstrap:
    """Draws samples of the questions, with replacement, and looks at how a measure varies over them.

    Attributes:
        samples: how many.
        seed: the same draws for the same number of questions.
    """

    samples: int
    seed: int

    def intervals(self, measures: Sequence[Measure], answers: Answers) -> list[tuple[float, float]]:
        """Of each measure the bounds between which 95 % of the samples are; NaN if there is nothing to measure."""
        shares = [measure for measure in measures if isinstance(measure, Share)]
        if len(shares) == len(measures):
            return [self._of_mean(share.hits(answers)) for share in shares]

        def all_measures(counts: np.ndarray) -> list[np.ndarray]:
            return [np.asarray(measure(answers, counts)) for measure in measures]

        return self._percentiles(len(answers.labels), all_measures, len(measures))

    def interval_of_change(self, measure: Measure, model: Answers, baseline: Answers) -> tuple[float, float]:
        """Likewise of the difference of two models, both asked the same sample: a paired bootstrap."""
        if isinstance(measure, Share):
            one, other = (measure.hits(answers).astype(int) for answers in (model, baseline))
            return self._of_mean(one - other)

        def change(counts: np.ndarray) -> list[np.ndarray]:
            return [np.asarray(measure(model, counts) - measure(baseline, counts))]

        return self._percentiles(len(model.labels), change, 1)[0]

    def _of_mean(self, values: np.ndarray) -> tuple[float, float]:
        """Of the mean of values, of which few differ: how often a sample has each of them is multinomial.

        This is what drawing the values one by one gives, without drawing them.
        """
        if not len(values):
            return float("nan"), float("nan")
        distinct, counts = np.unique(values, return_counts=True)
        drawn = np.random.default_rng(self.seed).multinomial(len(values), counts / len(values), self.samples)
        return _middle(drawn @ distinct.astype(float) / len(values))

    def _percentiles(
        self, count: int, measure: Callable[[np.ndarray], list[np.ndarray]], outputs: int
    ) -> list[tuple[float, float]]:
        if not count:
            return [(float("nan"), float("nan"))] * outputs
        draw = np.random.default_rng(self.seed)
        at_a_time = max(_NUMBERS_AT_A_TIME // count, 1)
        parts = [
            measure(_times(draw.integers(0, count, (min(at_a_time, self.samples - done), count))))
            for done in range(0, self.samples, at_a_time)
        ]
        return [_middle(np.concatenate(values)) for values in zip(*parts, strict=True)]


def _times(draws: np.ndarray) -> np.ndarray:
    """How often each question was drawn: from int [samples, n], float64 of the same shape."""
    samples, count = draws.shape
    cells = draws + count * np.arange(samples)[:, None]
    return np.bincount(cells.ravel(), minlength=draws.size).reshape(draws.shape).astype(float)


def _middle(values: np.ndarray) -> tuple[float, float]:
    values = values[~np.isnan(values)]
    lower, upper = np.percentile(values, [2.5, 97.5]) if len(values) else (np.nan, np.nan)
    return float(lower), float(upper)
