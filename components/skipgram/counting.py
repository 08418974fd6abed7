"""Counts tokens by vectors, where TFT would hand every batch's every distinct token through Beam by itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import tensorflow as tf
from apache_beam.transforms import window

# Distinct tokens that a bundle keeps in memory; at most as many again wait to be added up. Some 100 MB.
_MOST_KEPT = 2**20

# The tokens go through Beam in so many parts, by their hash: Beam then handles a table per part and not each token, and
# a worker has but one part of all distinct tokens in memory.
_PARTS = 256


class CountTokens(beam.PTransform):
    """From batches of (tokens, counts) to the sum of each token's counts.

    Takes a PCollection of (tokens: object [n], counts: float32 [n]), and returns one of (token: bytes, sum: float).
    """

    def expand(self, batches: beam.PCollection) -> beam.PCollection:
        """Adds up within a bundle, and then over all of them."""
        return (
            batches
            | "CountInBundle" >> beam.ParDo(_CountInBundle())
            | "PerPart" >> beam.GroupByKey()
            | "AddUp" >> beam.FlatMap(_add_up)
        )


class _Sums:
    """The sum of each token's counts, added up when as many rows wait as there are sums: so each row but a few times.

    Args:
        most_waiting: rows that may wait in any case.
    """

    def __init__(self, most_waiting: int = _MOST_KEPT // 4):
        self._most_waiting = most_waiting
        self.clear()

    def clear(self) -> None:
        self._sums, self._waiting, self._rows = _table([], []), list[pa.Table](), 0

    def __len__(self) -> int:
        return len(self._sums)

    def add(self, rows: pa.Table) -> None:
        self._waiting.append(rows)
        self._rows += len(rows)
        if self._rows > max(self._most_waiting, len(self._sums)):
            self.table()

    def table(self) -> pa.Table:
        """All of them, each token once."""
        if self._waiting:
            rows = pa.concat_tables([self._sums, *self._waiting])
            self._sums = rows.group_by("token").aggregate([("count", "sum")]).rename_columns({"count_sum": "count"})
            self._waiting, self._rows = [], 0
        return self._sums


class _CountInBundle(beam.DoFn):
    """Adds up what a bundle has of each token; if there are very many distinct tokens, it passes the sums on in parts.

    Its elements are (number of the part, table of tokens and sums as bytes).

    Args:
        most_kept: distinct tokens in memory.
    """

    def __init__(self, most_kept: int = _MOST_KEPT):
        self._most_kept = most_kept

    def start_bundle(self) -> None:
        self._sums = _Sums(self._most_kept // 4)

    def process(self, batch: tuple[np.ndarray, np.ndarray]) -> Iterable[tuple[int, bytes]]:
        self._sums.add(_table(*batch))
        if len(self._sums) > self._most_kept:
            yield from self._drain()

    def finish_bundle(self) -> Iterator[Any]:
        for part in self._drain():
            yield window.GlobalWindows.windowed_value(part)

    def _drain(self) -> Iterator[tuple[int, bytes]]:
        table = self._sums.table()
        self._sums.clear()
        if not len(table):
            return
        parts = tf.strings.to_hash_bucket_fast(table["token"].to_pylist(), _PARTS).numpy()
        order = np.argsort(parts, kind="stable")
        numbers, starts = np.unique(parts[order], return_index=True)
        sorted_table = table.take(order)
        for number, start, stop in zip(numbers.tolist(), starts, [*starts[1:], len(table)], strict=True):
            yield number, _to_bytes(sorted_table.slice(start, stop - start))


def _add_up(part: tuple[int, Iterable[bytes]]) -> Iterator[tuple[bytes, float]]:
    """The sums of a part's tokens over all bundles."""
    sums = _Sums()
    for table in part[1]:
        sums.add(_from_bytes(table))
    return zip(*(sums.table()[name].to_pylist() for name in ("token", "count")), strict=True)


def _table(tokens: Iterable[bytes], counts: Iterable[float]) -> pa.Table:
    return pa.table({"token": pa.array(tokens, pa.binary()), "count": pa.array(counts, pa.float64())})


def _to_bytes(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def _from_bytes(table: bytes) -> pa.Table:
    return pa.ipc.open_stream(table).read_all()
