"""Sums over workers, by TensorFlow's collectives."""

from __future__ import annotations

import functools

import numpy as np
import tensorflow as tf

from word2vec.training import strategies

# Numbers that are summed by one operation: so that what it needs beside them is small, and each is worth its latency.
_AT_A_TIME = 2**22


class Collective:
    """Sums over the workers of a strategy; see `exchange.Collective`.

    Args:
        strategy: MultiWorkerMirroredStrategy, with one device per worker.

    Attributes:
        worker: which this is, counted from 0.
        workers: how many there are.
        sent: bytes that this worker has sent, in a ring: 2 (n - 1) / n times what is summed (Patarasuk and Yuan 2009).
    """

    def __init__(self, strategy: tf.distribute.Strategy):
        self._strategy, self.worker, self.workers = strategy, strategies.number(strategy), strategy.num_replicas_in_sync
        self.sent = 0.0

    def sum(self, array: np.ndarray) -> np.ndarray:
        """See `exchange.Collective.sum`."""
        flat = array.reshape(-1)
        pieces = [self._summed(flat[begin : begin + _AT_A_TIME]) for begin in range(0, flat.size, _AT_A_TIME)]
        return np.concatenate([*pieces, flat[:0]]).reshape(array.shape)

    def _summed(self, piece: np.ndarray) -> np.ndarray:
        self.sent += 2 * (self.workers - 1) / self.workers * piece.nbytes
        (total, *_) = self._strategy.experimental_local_results(_sum_of(self._strategy, piece.dtype.name)(piece))
        return total.numpy()


@functools.cache
def _sum_of(strategy: tf.distribute.Strategy, dtype: str) -> tf.types.experimental.PolymorphicFunction:
    """Sums arrays of one dimension."""

    def everyones(array: tf.Tensor) -> tf.Tensor:
        # What is made here stands on a device, which all_reduce asks for.
        return tf.distribute.get_replica_context().all_reduce("sum", tf.identity(array))

    @tf.function(input_signature=[tf.TensorSpec([None], dtype)])
    def total(array: tf.Tensor) -> tf.Tensor:
        return strategy.run(everyones, (array,))

    return total
