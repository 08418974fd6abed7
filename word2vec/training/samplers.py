"""Samplers of noise words, and the expected counts that the losses need of them.

All draw with replacement, from a seed. A word's id is its rank by frequency.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from word2vec import settings


class Sampler(abc.ABC):
    """Draws noise words.

    Args:
        counts: int64 [V], how often each word occurs, falling.

    Attributes:
        rate: how fast the mean losses move, of a sampler that learns.
    """

    rate = 0.0

    def __init__(self, counts: np.ndarray):
        self.counts = counts
        self.vocabulary_size = len(counts)
        self._own_table: tuple[np.ndarray, np.ndarray] | None = None

    @abc.abstractmethod
    def draw(self, shape: Any, seed: tf.Tensor) -> tf.Tensor:
        """Draws word ids.

        Args:
            shape: int32 [rank].
            seed: int64 [2]; the same seed draws the same words.

        Returns:
            int32 of that shape.
        """

    @abc.abstractmethod
    def probability(self, ids: tf.Tensor) -> tf.Tensor:
        """The probability that a draw is each of the words: float32, of the ids' shape."""

    def expected_count(self, ids: tf.Tensor, draws: int) -> tf.Tensor:
        """How often each of the words is expected among so many draws: float32, of the ids' shape."""
        return draws * self.probability(ids)

    def log_expected_counts(self, draws: int) -> np.ndarray:
        """log(expected count) of every word among so many draws: float32 [V]."""
        return np.log(self.expected_count(tf.range(self.vocabulary_size), draws).numpy())

    def observe(self, ids: tf.Tensor, losses: tf.Tensor) -> None:
        """Learns, within a step, what the model lost on noise words: ids int32 [n], losses float32 [n]."""
        del ids, losses

    def refresh(self) -> None:
        """Puts what was observed to use; called between steps, now and then."""
        return

    def agree(self, mean: Callable[[np.ndarray], np.ndarray]) -> None:
        """Puts what several workers' samplers observed to use, all alike; `mean` is over the workers' arrays."""
        del mean

    def alias_table(self) -> tuple[np.ndarray, np.ndarray]:
        """What draws as the sampler does now: (kept float32 [V], alias int32 [V]), see `alias_table`."""
        if self._own_table is None:
            self._own_table = alias_table(self.probability(tf.range(self.vocabulary_size)).numpy().astype(np.float64))
        return self._own_table

    @property
    def losses(self) -> tf.Variable | None:
        """The mean loss of each noise word, float32 [V], of a sampler that learns; else None."""
        return None

    def observed(self, count: int) -> None:
        """Hears that `losses` was moved by so many draws, as `observe` would have done."""
        del count

    @property
    def variables(self) -> list[tf.Variable]:
        """What a checkpoint must hold."""
        return []


class Uniform(Sampler):
    """Draws every word alike."""

    def draw(self, shape: Any, seed: tf.Tensor) -> tf.Tensor:
        """See `Sampler.draw`."""
        return tf.random.stateless_uniform(shape, seed, 0, self.vocabulary_size, tf.int32)

    def probability(self, ids: tf.Tensor) -> tf.Tensor:
        """1 / V."""
        return tf.fill(tf.shape(ids), 1.0 / self.vocabulary_size)


class LogUniform(Sampler):
    """Draws the word of rank k with probability log((k + 2) / (k + 1)) / log(V + 1), which is close to Zipf's law.

    The distribution of `tf.random.log_uniform_candidate_sampler`.
    """

    def draw(self, shape: Any, seed: tf.Tensor) -> tf.Tensor:
        """See `Sampler.draw`."""
        uniforms = tf.random.stateless_uniform(shape, seed, dtype=tf.float64)
        ids = tf.cast(tf.exp(uniforms * math.log(self.vocabulary_size + 1)), tf.int32) - 1
        return tf.clip_by_value(ids, 0, self.vocabulary_size - 1)

    def probability(self, ids: tf.Tensor) -> tf.Tensor:
        """See the class."""
        return tf.math.log1p(1 / (tf.cast(ids, tf.float32) + 1)) / math.log(self.vocabulary_size + 1)


class Unigram(Sampler):
    """Draws words in proportion to their count to a power, each draw in O(1) by an alias table.

    Mikolov et al. 2013 (arXiv 1310.4546, section 2.2) found the power 3/4 best; 0 draws uniformly.

    Args:
        counts: int64 [V].
        power: the exponent.
    """

    def __init__(self, counts: np.ndarray, power: float):
        super().__init__(counts)
        self.power = power
        weights = np.maximum(counts, 1).astype(np.float64) ** power
        self._prior = weights / weights.sum()
        kept, alias = alias_table(self._prior)
        self._probability = self._table("probability", self._prior.astype(np.float32))
        self._kept, self._alias = self._table("kept", kept), self._table("alias", alias)

    def _table(self, name: str, values: np.ndarray) -> Any:
        del name
        return tf.constant(values)

    def draw(self, shape: Any, seed: tf.Tensor) -> tf.Tensor:
        """See `Sampler.draw`."""
        # float64, for one draw gives both the column and the place in it.
        places = tf.random.stateless_uniform(shape, seed, dtype=tf.float64) * self.vocabulary_size
        columns = tf.cast(places, tf.int32)
        rest = tf.cast(places - tf.cast(columns, tf.float64), tf.float32)
        return tf.where(rest < tf.gather(self._kept, columns), columns, tf.gather(self._alias, columns))

    def probability(self, ids: tf.Tensor) -> tf.Tensor:
        """In proportion to the count to the power."""
        return tf.gather(self._probability, ids)

    def alias_table(self) -> tuple[np.ndarray, np.ndarray]:
        """See `Sampler.alias_table`."""
        return self._kept.numpy(), self._alias.numpy()


class Adaptive(Unigram):
    """Draws a word the more, the more the model loses on it as noise.

    A word's weight is its unigram weight times a moving average of its observed loss (in the spirit of adaptive
    importance sampling, Bengio and Senecal 2008). A draw is O(1) by an alias table, which is rebuilt once as many words
    have been drawn as there are in the vocabulary: O(1) per draw as well.

    Args:
        counts: int64 [V].
        power: the unigram weight's exponent.
        rate: of the moving average.
    """

    # What noise costs a model that has learned nothing, log 2: where every average starts.
    _START = math.log(2.0)

    def __init__(self, counts: np.ndarray, power: float, rate: float = 0.05):
        super().__init__(counts, power)
        self.rate = rate
        self._loss = self._table("loss", np.full(len(counts), self._START, np.float32))
        self._seen = self._table("seen", np.zeros((), np.int64))

    def _table(self, name: str, values: np.ndarray) -> Any:
        # Every replica hears of every replica's losses, and keeps a copy of its own.
        return keras.Variable(
            values,
            dtype=str(values.dtype),
            trainable=False,
            name=name,
            synchronization="on_read",
            aggregation="only_first_replica",
        ).value

    @property
    def variables(self) -> list[tf.Variable]:
        """The averages and the tables."""
        return [self._probability, self._kept, self._alias, self._loss, self._seen]

    @property
    def losses(self) -> tf.Variable:
        """The averages."""
        return self._loss

    def observed(self, count: int) -> None:
        """See `Sampler.observed`."""
        self._seen.assign_add(count)

    def observe(self, ids: tf.Tensor, losses: tf.Tensor) -> None:
        """Moves the averages of the words drawn; a word drawn several times moves by their mean."""
        ids, losses = tf.distribute.get_replica_context().all_gather((ids, losses), axis=0)
        words, places, times = tf.unique_with_counts(ids)
        seen = tf.math.unsorted_segment_sum(losses, places, tf.size(words)) / tf.cast(times, tf.float32)
        before = tf.gather(self._loss, words)
        moved = before + self.rate * (seen - before)
        tf.raw_ops.ResourceScatterUpdate(resource=self._loss.handle, indices=words, updates=moved)
        self._seen.assign_add(tf.size(ids, tf.int64))

    def refresh(self) -> None:
        """Rebuilds the alias table, if enough was drawn since the last time."""
        if int(self._seen.numpy()) >= self.vocabulary_size:
            self._rebuild()

    def agree(self, mean: Callable[[np.ndarray], np.ndarray]) -> None:
        """See `Sampler.agree`."""
        self._loss.assign(mean(self._loss.numpy()))
        self._rebuild()

    def _rebuild(self) -> None:
        weights = self._prior * self._loss.numpy().astype(np.float64)
        probabilities = weights / weights.sum()
        kept, alias = alias_table(probabilities)
        self._probability.assign(probabilities.astype(np.float32))
        self._kept.assign(kept)
        self._alias.assign(alias)
        self._seen.assign(0)


def alias_table(probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Walker's alias table (Walker 1977), built by prefix sums (Hübschle-Schneider and Sanders 2019, section 4.1).

    A draw picks one of the n columns, and from it the column's own word with the probability `kept`, else its alias.
    The words below the mean fill their columns up from those above it, both in order: cumulative sums of what is
    missing and of what is left over tell who fills up whom.

    Args:
        probabilities: float64 [n].

    Returns:
        (kept float32 [n], alias int32 [n]).
    """
    scaled = probabilities * len(probabilities)
    is_heavy = scaled >= 1
    is_heavy[scaled.argmax()] = True  # even if rounding left none
    light, heavy = np.flatnonzero(~is_heavy), np.flatnonzero(is_heavy)
    kept, alias = np.ones(len(scaled)), np.arange(len(scaled))
    missing, left_over = np.cumsum(1 - scaled[light]), np.cumsum(scaled[heavy] - 1)
    donors = np.searchsorted(left_over, np.concatenate([[0], missing])[: len(light)], side="right")
    donors = np.minimum(donors, len(heavy) - 1)
    kept[light], alias[light] = scaled[light], heavy[donors]
    # A heavy word whose last taker took too much is itself filled up by the next heavy one.
    taker = np.searchsorted(missing, left_over[:-1], side="right")
    short = np.flatnonzero(taker < len(missing))
    short = short[donors[taker[short]] <= short]
    kept[heavy[short]] = 1 - (missing[taker[short]] - left_over[short])
    alias[heavy[short]] = heavy[short + 1]
    return np.clip(kept, 0, 1).astype(np.float32), alias.astype(np.int32)


BY_NAME: dict[settings.Sampler, type[Sampler]] = {
    "unigram": Unigram,
    "log_uniform": LogUniform,
    "uniform": Uniform,
    "adaptive": Adaptive,
}


def make(name: settings.Sampler, counts: np.ndarray, power: float) -> Sampler:
    """The sampler of a setting; `power` is for `unigram` and `adaptive`."""
    sampler = BY_NAME[name]
    return sampler(counts, power) if issubclass(sampler, Unigram) else sampler(counts)
