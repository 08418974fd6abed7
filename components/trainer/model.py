"""The skip-gram model: two tables of vectors, a bias, and the block kernel that trains them."""

from __future__ import annotations

from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from components.trainer import blocks, losses, samplers


class StepResult(NamedTuple):
    """What a step did, summed over its blocks: loss (float []), pairs (int64 []) and positions (int64 [])."""

    loss: tf.Tensor
    pairs: tf.Tensor
    positions: tf.Tensor


class SkipGram(keras.Model):
    """Scores a target and a context word by the product of their vectors (Mikolov et al. 2013, arXiv 1301.3781).

    Instead of pair by pair, it learns block by block: one matrix product scores all queries of a block with all its
    keys, and one more with noise words that the block shares (after HogBatch, Ji et al. 2016, arXiv 1611.06172). Only
    the rows that a step touched are updated, by plain stochastic gradient descent.

    Args:
        sampler: draws the noise words.
        vocabulary_size: V.
        dimensions: D.
        negatives: noise words asked for a pair.
        shared_negatives: K, noise words drawn for a block.
        bias: `expected_count` fixes the bias of a context word at the log of its expected count, which cancels NCE's
            correction; `learned` starts it at 0 and trains it, as in the textbook.
        seed: decides the initial vectors and the noise.
    """

    def __init__(
        self,
        sampler: samplers.UnigramSampler,
        *,
        vocabulary_size: int,
        dimensions: int,
        negatives: int,
        shared_negatives: int,
        bias: str,
        seed: int,
    ):
        super().__init__(name="skip_gram")
        self._sampler = sampler
        self._negatives, self._shared_negatives, self._seed = negatives, shared_negatives, seed
        self._loss = losses.NCE()
        log_expected = np.log(sampler.expected_counts(negatives)).astype(np.float32)
        self._log_expected = tf.constant(log_expected)
        limit = 0.5 / dimensions  # word2vec's own start: small targets, contexts of zero
        start = keras.initializers.RandomUniform(-limit, limit, seed=seed)
        self.target = self._table("target", (vocabulary_size, dimensions), start)
        self.context = self._table("context", (vocabulary_size, dimensions), keras.initializers.Zeros())
        self._bias_is_learned = bias == "learned"
        bias_start = (
            keras.initializers.Zeros()
            if self._bias_is_learned
            else lambda shape, dtype: tf.constant(log_expected, dtype)
        )
        self.bias = self._table("bias", (vocabulary_size,), bias_start)

    def _table(self, name: str, shape: tuple[int, ...], initializer: object) -> keras.Variable:
        # Every replica applies every replica's update to a copy of its own: so the copies stay equal, and what crosses
        # devices are rows, never a table.
        return keras.Variable(
            initializer,
            shape=shape,
            dtype="float32",
            name=name,
            synchronization="on_read",
            aggregation="only_first_replica",
        )

    def call(self, targets: tf.Tensor, contexts: tf.Tensor) -> tf.Tensor:
        """The score of each pair: float [n], from ids, int [n] each."""
        rows = tf.gather(self.target.value, targets) * tf.gather(self.context.value, contexts)
        return tf.reduce_sum(rows, -1) + tf.gather(self.bias.value, contexts)

    def train_on_blocks(self, batch: blocks.Blocks, learning_rate: tf.Tensor, step: tf.Tensor) -> StepResult:
        """One step of stochastic gradient descent on the sum of the pairs' losses.

        Args:
            batch: the blocks; under a strategy, this replica's part of them.
            learning_rate: float [].
            step: int64 [], decides the noise.

        Returns:
            What the step did, on this replica.
        """
        result, gradients = self._forward_backward(batch, step)
        replica = tf.distribute.get_replica_context()
        for table, ids, rows in gradients:
            ids, rows = replica.all_gather((ids, -learning_rate * rows), axis=0)
            tf.raw_ops.ResourceScatterAdd(resource=table.value.handle, indices=ids, updates=rows)
        return result

    def loss_on_blocks(self, batch: blocks.Blocks, step: tf.Tensor) -> StepResult:
        """The loss of the blocks, without learning from them."""
        return self._forward_backward(batch, step)[0]

    def _forward_backward(
        self, batch: blocks.Blocks, step: tf.Tensor
    ) -> tuple[StepResult, list[tuple[keras.Variable, tf.Tensor, tf.Tensor]]]:
        """The loss, and the gradients as (table, int32 [rows], float [rows, ...])."""
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        shape = [tf.shape(batch.ids)[0], self._shared_negatives]
        noise = self._sampler.draw(
            shape, tf.stack([tf.constant(self._seed, tf.int64), step * 4096 + tf.cast(replica, tf.int64)])
        )
        return self.gradients(batch, noise)

    def gradients(
        self, batch: blocks.Blocks, noise: tf.Tensor
    ) -> tuple[StepResult, list[tuple[keras.Variable, tf.Tensor, tf.Tensor]]]:
        """The loss of S blocks against given noise words, and its gradients.

        Args:
            batch: the blocks.
            noise: int32 [S, K].

        Returns:
            The sums over the blocks, and (table, ids int32 [rows], gradients float [rows, D] or [rows]) for each
            table's rows.
        """
        window = (batch.ids.shape[1] - batch.left.shape[1]) // 2
        query_ids = batch.ids[:, window:-window]
        queries = tf.gather(self.target.value, query_ids)
        keys = tf.gather(self.context.value, batch.ids)
        negatives = tf.gather(self.context.value, noise)

        pairs = batch.left + batch.right
        gradient = self._loss.forward(
            losses.Logits(
                positive=tf.matmul(queries, keys, transpose_b=True)
                + tf.gather(self.bias.value, batch.ids)[:, tf.newaxis],
                mask=tf.cast(blocks.pair_mask(batch), tf.float32),
                log_expected_positive=tf.gather(self._log_expected, batch.ids)[:, tf.newaxis],
                negative=tf.matmul(queries, negatives, transpose_b=True)
                + tf.gather(self.bias.value, noise)[:, tf.newaxis],
                weight=tf.cast(pairs, tf.float32)[:, :, tf.newaxis] * (self._negatives / self._shared_negatives),
                log_expected_negative=tf.gather(self._log_expected, noise)[:, tf.newaxis],
            )
        )
        context_ids = tf.concat([tf.reshape(batch.ids, [-1]), tf.reshape(noise, [-1])], 0)
        updates = [
            (
                self.target,
                tf.reshape(query_ids, [-1]),
                self._rows(tf.matmul(gradient.positive, keys) + tf.matmul(gradient.negative, negatives)),
            ),
            (
                self.context,
                context_ids,
                tf.concat(
                    [
                        self._rows(tf.matmul(gradient.positive, queries, transpose_a=True)),
                        self._rows(tf.matmul(gradient.negative, queries, transpose_a=True)),
                    ],
                    0,
                ),
            ),
        ]
        if self._bias_is_learned:
            by_key = tf.reshape(tf.reduce_sum(gradient.positive, 1), [-1])
            updates.append(
                (self.bias, context_ids, tf.concat([by_key, tf.reshape(tf.reduce_sum(gradient.negative, 1), [-1])], 0))
            )
        counts = StepResult(gradient.loss, tf.reduce_sum(tf.cast(pairs, tf.int64)), tf.math.count_nonzero(pairs))
        return counts, updates

    def _rows(self, vectors: tf.Tensor) -> tf.Tensor:
        return tf.reshape(vectors, [-1, vectors.shape[-1]])
