"""What a pair of words counts by the distance between them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from word2vec import settings


def by_distance(window: int, weighting: settings.WindowWeights) -> np.ndarray:
    """What a pair of words counts by their distance.

    word2vec draws a radius r from 1 to w at every position and takes the pairs within. With `expected`, a pair at
    distance d counts (w - d + 1) / w instead, the probability that r >= d: the same gradient on average, without the
    chance. With `drawn`, the radii that Transform drew decide, and each of their pairs counts 1. With `harmonic`, a
    pair counts 1 / d, as in GloVe (Pennington, Socher and Manning 2014, section 4.2).

    Args:
        window: w.
        weighting: `expected`, `drawn` or `harmonic`.

    Returns:
        float64 [w], of the distances 1 to w.
    """
    return BY_NAME[weighting](np.arange(1, window + 1), window)


def by_radius(weighting: str) -> bool:
    """Whether the radii that Transform drew decide what is a pair; else all within the window are pairs."""
    return weighting == "drawn"


BY_NAME: dict[settings.WindowWeights, Callable[[np.ndarray, int], np.ndarray]] = {
    "expected": lambda distance, window: (window - distance + 1) / window,
    "drawn": lambda distance, window: np.ones(window),
    "harmonic": lambda distance, window: 1 / distance,
}
