"""Documents to what the compiled kernel trains on: one stream of positions, cut into blocks, as `blocks.pack` does."""

from __future__ import annotations

import numba
import numpy as np

from word2vec.training import blocks, kernel
from word2vec.training.tiles import KEPT


def cut(documents: blocks.Documents, window: int, length: int, first: int) -> kernel.Chunk:
    """Cuts documents into blocks, and shuffles these.

    Args:
        documents: some documents of an epoch.
        window: w.
        length: L.
        first: how many blocks of the epoch there were before.
    """
    tokens = len(documents.ids)
    count = -(-tokens // length)
    ids = np.zeros(count * length + 2 * window, np.int32)
    left, right = np.zeros((2, count * length), np.int32)
    ids[window : window + tokens] = documents.ids
    _reach(documents.row_splits, documents.radii, window, left, right)
    order = np.random.default_rng(documents.seed).permutation(count)
    return kernel.Chunk(ids, left, right, order, documents.epoch * blocks.STEPS_PER_EPOCH + first)


def compile_ahead(*, radii: bool = False) -> None:
    """Compiles `cut`, or loads it, so that no training need wait for it.

    Args:
        radii: whether the documents will have some.
    """
    nothing = np.zeros(0, np.int32)
    cut(blocks.Documents(nothing, np.zeros(1, np.int64), nothing if radii else None, 0, ()), 1, 1, 0)


@numba.njit(nogil=True, cache=KEPT)
def _reach(row_splits: np.ndarray, radii: np.ndarray | None, window: int, left: np.ndarray, right: np.ndarray) -> None:
    """How many context words each position has on its left and right, as `pairs.extents` has it."""
    for document in range(row_splits.shape[0] - 1):
        begin, end = row_splits[document], row_splits[document + 1]
        for place in range(begin, end):
            radius = window if radii is None else radii[place]
            left[place] = min(radius, place - begin)
            right[place] = min(radius, end - 1 - place)
