"""Counts tokens by vectors, where TFT would hand every batch's every distinct token through Beam by itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.transforms import window

# Distinct tokens that a bundle keeps in memory; at most as many again wait to be added up. Some 100 MB.
_MOST_KEPT = 2**20


class CountTokens(beam.PTransform):
    """From batches of (tokens, counts) to the sum of each token's counts.

    Takes a PCollection of (tokens: object [n], counts: float32 [n]), and returns one of (token: bytes, sum: float).
    """

    def expand(self, batches: beam.PCollection) -> beam.PCollection:
        """Adds up within a bundle, and then over all of them."""
        return batches | "CountInBundle" >> beam.ParDo(_CountInBundle()) | "CountPerToken" >> beam.CombinePerKey(sum)


class _CountInBundle(beam.DoFn):
    """Adds up what a bundle has of each token; if there are very many distinct tokens, it passes the sums on in parts.

    Args:
        most_kept: distinct tokens in memory.
    """

    def __init__(self, most_kept: int = _MOST_KEPT):
        self._most_kept = most_kept

    def start_bundle(self) -> None:
        self._sums, self._rows = _table([], []), 0
        self._batches: list[pa.Table] = []

    def process(self, batch: tuple[np.ndarray, np.ndarray]) -> Iterable[tuple[bytes, float]]:
        tokens, counts = batch
        self._batches.append(_table(tokens, counts))
        self._rows += len(tokens)
        # As many new rows as there are sums already: so each row is added up but a few times.
        if self._rows > max(self._most_kept // 4, len(self._sums)):
            self._add_up()
        if len(self._sums) > self._most_kept:
            yield from self._drain_sums()

    def finish_bundle(self) -> Iterator[Any]:
        self._add_up()
        for counted in self._drain_sums():
            yield window.GlobalWindows.windowed_value(counted)

    def _add_up(self) -> None:
        rows = pa.concat_tables([self._sums, *self._batches])
        self._sums = rows.group_by("token").aggregate([("count", "sum")]).rename_columns({"count_sum": "count"})
        self._batches, self._rows = [], 0

    def _drain_sums(self) -> Iterator[tuple[bytes, float]]:
        tokens, counts = (self._sums[name].to_pylist() for name in ("token", "count"))
        self._sums = _table([], [])
        return zip(tokens, counts, strict=True)


def _table(tokens: Iterable[bytes], counts: Iterable[float]) -> pa.Table:
    return pa.table({"token": pa.array(tokens, pa.binary()), "count": pa.array(counts, pa.float64())})
