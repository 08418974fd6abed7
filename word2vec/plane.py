"""Words on a plane, for people to look at."""

from __future__ import annotations

import numpy as np


def places(unit: np.ndarray, seed: int) -> np.ndarray:
    """Unit vectors on a plane, by t-SNE (van der Maaten and Hinton 2008) from PCA's start.

    Args:
        unit: float32 [n, D].
        seed: of the random draws.

    Returns:
        float [n, 2].
    """
    from sklearn import decomposition, manifold  # a second that only those who draw need to wait

    if len(unit) < 10:
        return decomposition.PCA(2, random_state=seed).fit_transform(unit) if len(unit) > 2 else unit[:, :2]
    short = decomposition.PCA(min(40, *unit.shape), random_state=seed).fit_transform(unit)
    perplexity = min(30, (len(unit) - 1) / 3)
    # Half of scikit-learn's steps: a map of 1,500 words has a trustworthiness of 0.916 instead of 0.920. The coarser
    # angle takes a fifth less time, and changes neither that nor the divergence (0.821 and 2.26 for 0.822 and 2.23).
    tsne = manifold.TSNE(2, perplexity=perplexity, init="pca", max_iter=500, angle=0.8, random_state=seed, n_jobs=-1)
    return tsne.fit_transform(short)
