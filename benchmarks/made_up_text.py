"""Made-up text: words by Zipf's law, as subsampling leaves them."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from word2vec import pairs, settings

_SETTINGS = settings.SkipGramSettings()
WINDOW = _SETTINGS.window


def zipf_counts(vocabulary: int) -> np.ndarray:
    """How often each word occurs, the most frequent first: int64 [V]."""
    return np.maximum(1e9 / np.arange(1, vocabulary + 1), 1).astype(np.int64)


def words(counts: np.ndarray, draw: np.random.Generator, shape: int | tuple[int, ...]) -> np.ndarray:
    """Ids of words that are drawn by their counts after subsampling: int32 of the shape."""
    keep = pairs.keep_probability(tf.constant(counts), tf.constant(counts.sum()), _SETTINGS.subsampling).numpy()
    shares = np.cumsum(counts * keep)
    return np.searchsorted(shares, draw.random(shape) * shares[-1], side="right").astype(np.int32)
