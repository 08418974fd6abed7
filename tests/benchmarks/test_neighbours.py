from __future__ import annotations

import numpy as np
import pytest

from benchmarks import neighbours


@pytest.mark.parametrize(("limit", "found", "there"), [(40, 1, 3), (3, 2, 2), (1, 0, 0)])
def test_hits(monkeypatch, limit, found, there):
    """Words around a circle: the pair's second word is pushed out of the two nearest by rare words between them."""
    monkeypatch.setattr(neighbours, "NEAREST", 2)
    angles = np.concatenate([[0.0, 1.0, 2.0], np.linspace(0.05, 0.95, 37)])
    unit = np.stack([np.cos(angles), np.sin(angles)], 1)
    assert neighbours.hits(unit, np.array([[0, 1], [1, 2], [1, 39]]), limit) == (found, there)
