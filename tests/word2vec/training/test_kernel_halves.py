"""Tables of half precision: what is read, how it is rounded, and that a training ends where it does in float32."""

from __future__ import annotations

import numba
import numpy as np
import pytest

from tests.word2vec.training.test_kernel import SUBWORDS, Both
from word2vec.training import kernel, kernel_halves

needs_float16 = pytest.mark.skipif(not kernel_halves.are_known(), reason="this CPU has no float16")
ALL = np.arange(2**16, dtype=np.uint16)


@numba.njit
def widened(bits):
    out = np.zeros(len(bits), np.float32)
    for place in range(len(bits)):
        out[place] = kernel_halves.widen(bits[place])
    return out


@needs_float16
def test_every_float16_is_read_as_what_it_is():
    np.testing.assert_array_equal(widened(ALL), ALL.view(np.float16).astype(np.float32))


@needs_float16
def test_what_is_added_is_right_on_average_and_never_off_by_more_than_the_last_bit():
    start = np.float16(0.25)
    last = np.float32(np.spacing(start))
    for share in (0.02, 0.5, 0.75):
        rows = np.full((500, 64), start, np.float16)
        for number, row in enumerate(rows.view(np.uint16)):
            kernel_halves.add(row, np.full(64, share * last, np.float32), np.uint32(number * 7919))
        moved = (rows.astype(np.float32) - np.float32(start)) / last
        assert set(np.unique(moved)) == {0, 1}
        assert moved.mean() == pytest.approx(share, abs=0.015)  # 5 standard deviations of 32,000 are 0.014
        assert np.ptp(moved.mean(0)) < 0.2  # whatever the place


@needs_float16
def test_what_is_added_away_from_zero_and_nothing():
    finite = ALL[np.isfinite(ALL.view(np.float16))]
    same = finite.copy()
    kernel_halves.add(same, np.zeros(len(same), np.float32), np.uint32(5))
    np.testing.assert_array_equal(same.view(np.float16), finite.view(np.float16))
    row = np.array([-0.25, 0.25, 60_000, 1], np.float16)
    kernel_halves.add(row.view(np.uint16), np.array([-0.5, -0.5, 60_000, np.nan], np.float32), np.uint32(1))
    assert row[:3].tolist() == [-0.75, -0.25, np.inf]
    assert np.isnan(row[3])


def test_a_table_of_float32_is_changed_as_ever():
    row = np.array([1, 2], np.float32)
    kernel_halves.add(row, np.array([1e-7, -1e-7], np.float32), np.uint32(1))
    np.testing.assert_array_equal(row, np.array([1, 2], np.float32) + np.array([1e-7, -1e-7], np.float32))


@needs_float16
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"dimensions": 32, "length": 16},
        {"subwords": SUBWORDS},
        {"architecture": "cbow", "optimizer": "adagrad", "bias": "learned"},
    ],
    ids=["skipgram", "whole vectors", "subwords", "cbow"],  # three kinds of kernels to compile
)
def test_a_training_moves_as_the_models_of_float32(settings):
    both = Both(loss="nce", **settings)
    for table, array in zip(both.model.tables, both.arrays, strict=True):  # both start from what float16 can hold
        array[:] = array.astype(np.float16)
        table.embeddings.assign(array.reshape(table.embeddings.shape))
    before = [array.copy() for array in both.arrays]
    short = [array.astype(np.float16) for array in both.arrays[:2]]
    both.tables = kernel.Tables(*(array.view(np.uint16) for array in short), *both.tables[2:])
    losses = both.train()
    assert losses[1] == pytest.approx(losses[0], rel=0.01)
    for table, array, start in zip(both.model.tables, short, before, strict=False):
        moved = table.embeddings.numpy() - start
        difference = array.astype(np.float32) - table.embeddings.numpy()
        assert np.abs(moved).max() > 0.05
        assert np.abs(difference).max() < 0.05 * np.abs(moved).max() + 0.005
        assert abs(difference.mean()) < 0.001


@needs_float16
def test_the_same_blocks_are_rounded_alike():
    tables = []
    for _ in range(2):
        both = Both(loss="nce", dimensions=32)
        short = [array.astype(np.float16) for array in both.arrays]
        both.tables = kernel.Tables(*(array.view(np.uint16) for array in short))
        both.train()
        tables.append(short)
    for one, other in zip(*tables, strict=True):
        np.testing.assert_array_equal(one, other)
