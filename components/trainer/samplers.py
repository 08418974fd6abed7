"""Samplers of noise words, and the expected counts that NCE needs of them."""

from __future__ import annotations

import numpy as np
import tensorflow as tf


class UnigramSampler:
    """Draws words with replacement in proportion to their count to a power.

    Mikolov et al. 2013 (arXiv 1310.4546, section 2.2) found the power 3/4 best; 0 draws uniformly.

    Args:
        counts: int64 [V], how often each word occurs.
        power: the exponent.
    """

    def __init__(self, counts: np.ndarray, power: float):
        weights = np.maximum(counts, 1).astype(np.float64) ** power
        self.probabilities = weights / weights.sum()
        # float64: of a million words, float32 could not tell the rare ones apart.
        self._cumulative = tf.constant(np.cumsum(self.probabilities))

    def draw(self, shape: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Draws word ids.

        Args:
            shape: int32 [rank].
            seed: int64 [2]; the same seed draws the same words.

        Returns:
            int32 of that shape.
        """
        uniforms = tf.random.stateless_uniform(shape, seed, dtype=tf.float64)
        places = tf.searchsorted(self._cumulative, tf.reshape(uniforms, [-1]), side="right")
        return tf.reshape(tf.minimum(places, len(self.probabilities) - 1), shape)

    def expected_counts(self, draws: int) -> np.ndarray:
        """How often each word is expected among so many draws: float64 [V]."""
        return draws * self.probabilities
