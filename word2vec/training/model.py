"""The model: two tables of vectors, and how blocks of positions train them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from word2vec import settings
from word2vec.subwords import Subwords
from word2vec.training import architectures, losses, samplers
from word2vec.training.architectures import Examples
from word2vec.training.blocks import Batch, Blocks

DEFAULTS = settings.TrainerSettings()


class StepResult(NamedTuple):
    """What a step did.

    Attributes:
        loss: the sum over the pairs, float32 []; 0 where it was not measured.
        pairs: what the loss was summed over, float32 []; 0 where it was not measured.
        positions: how many positions it trained on, int64 [].
    """

    loss: tf.Tensor
    pairs: tf.Tensor
    positions: tf.Tensor


class SampledValues(NamedTuple):
    """Noise words given by the caller, as `sampled_values` of `tf.nn.nce_loss`.

    Attributes:
        ids: int32 [S, K], the noise words of each block.
        true_expected_count: float32 [S, keys], how often the sampler is expected to draw each key.
        sampled_expected_count: float32 [S, K], the same for each noise word.
    """

    ids: tf.Tensor
    true_expected_count: tf.Tensor
    sampled_expected_count: tf.Tensor


@keras.saving.register_keras_serializable("tfx_word2vec")
class InPlaceUniform(keras.initializers.RandomUniform):
    """Keras' RandomUniform as one graph, which scales the draws in place instead of in two more tables."""

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> tf.Tensor:
        """The initial values."""
        return tf.function(super().__call__, autograph=False)(shape, dtype)


@keras.saving.register_keras_serializable("tfx_word2vec")
class WordTable(keras.layers.Embedding):
    """A table of vectors: Keras' Embedding, of which only the rows that are asked for are ever read.

    Args:
        *args: Keras' own.
        precision: of what is kept.
        **kwargs: Keras' own.
    """

    def __init__(self, *args: Any, precision: settings.TablePrecision = "float32", **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._precision = precision

    @property
    def variable_dtype(self) -> str:
        """Keras' own: of the vectors."""
        return self._precision

    def get_config(self) -> dict[str, Any]:
        """Keras' own."""
        return {**super().get_config(), "precision": self._precision}

    def call(self, ids: tf.Tensor) -> tf.Tensor:
        """The rows of ids (int32, any shape) in the policy's compute type: [..., D]."""
        return tf.cast(tf.gather(self.embeddings.value, ids), self.compute_dtype)


@keras.saving.register_keras_serializable("tfx_word2vec")
class Word2Vec(keras.Model):
    """Skip-gram or CBOW: scores words by the products of their vectors (Mikolov et al. 2013, arXiv 1301.3781).

    Instead of pair by pair, it learns block by block: one matrix product scores all queries of a block with all its
    keys and with noise words that the block shares (after HogBatch, Ji et al. 2016, arXiv 1611.06172). Gradients are
    computed in closed form, for the touched rows only.

    The layers are `target`, `context` and, if it is learned, `bias`. To subclass it, override `sample` or
    `gradients`; to train it by Keras' own loop, `compile` it with an optimizer of `word2vec.training.optimizers` and
    `fit` it on `blocks.dataset`.

    Args:
        vocabulary_size: V.
        dimensions: D.
        window: the greatest distance of a context word.
        block_length: L.
        blocks_per_step: S, of all replicas together.
        sampler: draws the noise words; a full softmax needs its probabilities only.
        architecture: `skipgram` or `cbow`; see the module `architectures`.
        loss: `nce`, `negative_sampling`, `sampled_softmax` or `full_softmax`.
        negatives: noise words wanted per pair.
        shared_negatives: K, noise words drawn per block.
        bias: `expected_count` fixes the bias of a context word at the log of its expected count, which cancels the
            correction; `learned` trains it, as in the textbook.
        bias_start: where a learned bias starts: `zero`, `expected_count` (its log) or `share` (the log of a word's).
        window_weights: see the module of this name.
        remove_accidental_hits: whether noise that is a pair's own context does not count for that pair.
        subwords: of which rows of `target` each word's vector is the mean; None where each word has a row. Of the mean,
            each row moves by the whole gradient, as in fastText: by its share of it, a word of twenty n-grams would
            move twenty times as slowly.
        table_precision: of the target and context vectors where they are kept; float16 is the compiled kernel's alone.
        seed: decides the initial vectors and the noise.
        dtype: Keras' policy; products are computed in its compute type, sums stay float32.
    """

    def __init__(
        self,
        vocabulary_size: int,
        dimensions: int,
        *,
        window: int,
        block_length: int,
        blocks_per_step: int,
        sampler: samplers.Sampler,
        architecture: settings.Architecture = DEFAULTS.architecture,
        loss: settings.Loss = DEFAULTS.loss,
        negatives: int = DEFAULTS.negatives,
        shared_negatives: int = DEFAULTS.shared_negatives,
        bias: settings.Bias = DEFAULTS.bias,
        bias_start: settings.BiasStart = DEFAULTS.bias_start,
        window_weights: settings.WindowWeights = DEFAULTS.window_weights,
        remove_accidental_hits: bool = DEFAULTS.remove_accidental_hits,
        subwords: Subwords | None = None,
        table_precision: settings.TablePrecision = DEFAULTS.table_precision,
        seed: int = DEFAULTS.seed,
        dtype: Any = "float32",
    ):
        super().__init__(name="word2vec", dtype=dtype)
        self._config = {
            "vocabulary_size": vocabulary_size,
            "dimensions": dimensions,
            "window": window,
            "block_length": block_length,
            "blocks_per_step": blocks_per_step,
            "architecture": architecture,
            "loss": loss,
            "negatives": negatives,
            "shared_negatives": shared_negatives,
            "bias": bias,
            "bias_start": bias_start,
            "window_weights": window_weights,
            "remove_accidental_hits": remove_accidental_hits,
            "subwords": subwords,
            "table_precision": table_precision,
            "seed": seed,
        }
        self.sampler, self.objective = sampler, losses.BY_NAME[loss]()
        self.window, self.shape, self.block_length = window, (blocks_per_step, block_length), block_length
        self.negatives, self.shared_negatives, self.seed = negatives, shared_negatives, seed
        self.architecture = architecture
        self.examples = architectures.BY_NAME[architecture](window, block_length, window_weights)
        self.window_weights, self.remove_accidental_hits = window_weights, remove_accidental_hits
        # word2vec's own start: small targets, contexts of zero.
        start = InPlaceUniform(-0.5 / dimensions, 0.5 / dimensions, seed=seed)
        self.subwords, rows = subwords, vocabulary_size
        if subwords is not None:
            rows = subwords.size
            # Not in the graphs, where they would be once per graph.
            self._splits, self._rows_of_words = tf.constant(subwords.splits), tf.constant(subwords.rows)
        kept: dict[str, Any] = {"dtype": self.dtype_policy, "precision": table_precision}
        self.target = WordTable(rows, dimensions, start, name="target", **kept)
        self.context = WordTable(vocabulary_size, dimensions, "zeros", name="context", **kept)
        self.bias = None
        if bias == "learned":
            first = keras.initializers.Constant(self._first_bias(bias_start))
            self.bias = WordTable(vocabulary_size, 1, first, name="bias", dtype="float32")
        for table in self.tables:
            table.build()
        self._mean_loss = keras.metrics.Mean("loss")
        self.built = True

    def _first_bias(self, start: str) -> np.ndarray:
        """Where a learned bias starts: float32 [V, 1]."""
        counts = self.sampler.counts
        if start == "share":
            first = np.log(counts / counts.sum())
        elif start == "expected_count":
            first = self.sampler.log_expected_counts(self.negatives)
        else:
            first = np.zeros(len(counts))
        return first.astype(np.float32)[:, np.newaxis]

    def get_config(self) -> dict[str, Any]:
        """Keras' own: what `from_config` needs, the sampler's counts included."""
        name = next(name for name, kind in samplers.BY_NAME.items() if type(self.sampler) is kind)
        sampler = {"name": name, "counts": self.sampler.counts.tolist(), "power": getattr(self.sampler, "power", 0.0)}
        dtype = keras.saving.serialize_keras_object(self.dtype_policy)
        subwords = None if self.subwords is None else self.subwords.to_config()
        return {**self._config, "sampler": sampler, "subwords": subwords, "dtype": dtype}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Word2Vec:
        """Keras' own: a model as `get_config` says."""
        del custom_objects
        sampler = dict(config["sampler"], counts=np.array(config["sampler"]["counts"], np.int64))
        dtype = keras.saving.deserialize_keras_object(config["dtype"])
        subwords = config.get("subwords") and Subwords.from_config(config["subwords"])
        return cls(**{**config, "sampler": samplers.make(**sampler), "subwords": subwords, "dtype": dtype})

    @property
    def tables(self) -> list[WordTable]:
        """The layers that are trained."""
        return [table for table in (self.target, self.context, self.bias) if table is not None]

    def call(self, pair: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        """The score of each target and context: float32 [n], from ids, int32 [n] each."""
        targets, contexts = pair
        scores = tf.reduce_sum(tf.cast(self._read_targets(targets)[0] * self.context(contexts), tf.float32), -1)
        return scores if self.bias is None else scores + self.bias(contexts)[..., 0]

    def train_step(self, data: Batch) -> dict[str, tf.Tensor]:
        """Keras' training step."""
        result = self.train_on_batch_of_blocks(Batch(data[0], Blocks(*data[1])), tf.constant(True))
        self._mean_loss.update_state(result.loss / tf.maximum(result.pairs, 1e-9), result.pairs)
        return {"loss": self._mean_loss.result()}

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """Keras' own: the mean loss per pair."""
        return [self._mean_loss]

    def train_on_batch_of_blocks(self, batch: Batch, measure: tf.Tensor) -> StepResult:
        """One step of the optimizer on the sum of the pairs' losses.

        Args:
            batch: the blocks; under a strategy, this replica's share of them.
            measure: bool [], whether to compute the loss too, and not only its gradient.
        """
        scores, gradients = self.gradients(batch.blocks, self.sample(batch), self.optimizer.scale_loss(1.0))
        self.optimizer.apply(gradients, [table.embeddings for table in self.tables])
        loss, pairs = tf.cond(
            measure,
            lambda: (self.objective.value(scores), tf.reduce_sum(scores.pairs)),
            lambda: (tf.constant(0.0), tf.constant(0.0)),
        )
        return StepResult(loss, pairs, batch.blocks.positions())

    def loss_on_batch_of_blocks(self, batch: Batch) -> StepResult:
        """The loss, without learning from it."""
        scores, _ = self.gradients(batch.blocks, self.sample(batch))
        return StepResult(self.objective.value(scores), tf.reduce_sum(scores.pairs), batch.blocks.positions())

    def sample(self, batch: Batch) -> SampledValues | None:
        """The noise of a batch's blocks; None for a loss that needs none.

        It is drawn for the blocks of all replicas, of which each takes its own: so one device and many draw the same.
        """
        if not self.objective.samples:
            return None
        blocks, words = self.shape[0], self.shared_negatives
        noise = self.sampler.draw([blocks, words], tf.stack([tf.constant(self.seed, tf.int64), batch.step]))
        replica = tf.distribute.get_replica_context()
        own = blocks // replica.num_replicas_in_sync
        ids = noise if own == blocks else tf.slice(noise, [replica.replica_id_in_sync_group * own, 0], [own, words])
        return SampledValues(
            ids,
            self.sampler.expected_count(self.examples.keys(batch.blocks), self.negatives),
            self.sampler.expected_count(ids, self.negatives),
        )

    def gradients(
        self, blocks: Blocks, sampled: SampledValues | None, scale: Any = 1.0
    ) -> tuple[losses.Scores, Sequence[tf.IndexedSlices]]:
        """The scores of S blocks, and the gradients of the loss, summed over their pairs.

        Args:
            blocks: what to train on.
            sampled: the noise; None for a loss that needs none.
            scale: what the gradients are multiplied by.

        Returns:
            The scores, and one gradient per table: float32 rows [n, D] (the bias: [n, 1]) of ids int32 [n].
        """
        examples = self.examples(blocks)
        queries, rows_of = self._read_targets(examples.inputs)
        mix = None
        if examples.mix is not None:
            mix = tf.cast(examples.mix, self.compute_dtype)
            queries = tf.matmul(mix, queries)
        if sampled is None:
            scores, by_query, context = self._against_all(examples, queries, scale)
        else:
            scores, by_query, context = self._against_noise(examples, queries, sampled, scale)
        by_input = by_query if mix is None else tf.matmul(mix, by_query, transpose_a=True)
        return scores, [rows_of(by_input), *context]

    def _read_targets(self, ids: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.IndexedSlices]]:
        """The target vectors of words.

        Args:
            ids: int32, any shape.

        Returns:
            The vectors, [..., D] in the policy's compute type; and what makes their gradients those of the table.
        """
        flat = tf.reshape(ids, [-1])
        if self.subwords is None:
            return self.target(ids), lambda gradients: tf.IndexedSlices(_rows(gradients), flat)
        words, places = tf.unique(flat)
        begins, ends = (tf.gather(self._splits, words + more) for more in (0, 1))
        at = tf.ragged.range(begins, ends)
        rows, of_word = tf.gather(self._rows_of_words, at.flat_values), at.value_rowids()
        means = tf.math.segment_mean(tf.cast(self.target(rows), tf.float32), of_word)
        vectors = tf.reshape(tf.gather(means, places), tf.concat([tf.shape(ids), [means.shape[1]]], 0))

        def rows_of(gradients: tf.Tensor) -> tf.IndexedSlices:
            by_word = tf.math.unsorted_segment_sum(_rows(gradients), places, tf.size(words))
            return tf.IndexedSlices(tf.gather(by_word, of_word), rows)

        return tf.cast(vectors, self.compute_dtype), rows_of

    def _against_noise(
        self, examples: Examples, queries: tf.Tensor, sampled: SampledValues, scale: Any
    ) -> tuple[losses.Scores, tf.Tensor, list[tf.IndexedSlices]]:
        ids = tf.concat([examples.keys, sampled.ids], 1)
        words = self.context(ids)
        logits = tf.cast(tf.matmul(queries, words, transpose_b=True), tf.float32)
        distinct = None
        if self.remove_accidental_hits:
            distinct = tf.cast(examples.keys[:, :, tf.newaxis] != sampled.ids[:, tf.newaxis], tf.float32)
        if self.bias is not None:
            logits += tf.linalg.matrix_transpose(self.bias(ids))
            if self.objective.corrected:
                expected = tf.concat([sampled.true_expected_count, sampled.sampled_expected_count], 1)
                logits -= tf.math.log(expected)[:, tf.newaxis]
        # A bias fixed at log(expected count) and the correction cancel.
        scores = losses.Scores(logits, examples.pairs, self.negatives, distinct)
        gradient = self.objective.gradient(scores)
        self.sampler.observe(*self._losses_of_noise(scores, sampled.ids))
        scaled = tf.cast(gradient * scale, self.compute_dtype)
        flat = tf.reshape(ids, [-1])
        context = [tf.IndexedSlices(_rows(tf.matmul(scaled, queries, transpose_a=True)), flat)]
        if self.bias is not None:
            by_word = tf.reduce_sum(gradient * scale, 1)
            context.append(tf.IndexedSlices(tf.reshape(by_word, [-1, 1]), flat))
        return scores, tf.matmul(scaled, words), context

    def _losses_of_noise(self, scores: losses.Scores, ids: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """What each noise word costs, the mean over its block's pairs: (ids int32 [n], losses float32 [n])."""
        _, noise = scores.split()
        share = tf.reduce_sum(scores.pairs, -1, keepdims=True)
        share /= tf.maximum(tf.reduce_sum(share, 1, keepdims=True), 1e-9)
        return tf.reshape(ids, [-1]), tf.reshape(tf.reduce_sum(share * tf.nn.softplus(noise), 1), [-1])

    def _against_all(
        self, examples: Examples, queries: tf.Tensor, scale: Any
    ) -> tuple[losses.Scores, tf.Tensor, list[tf.IndexedSlices]]:
        """The candidates are the whole vocabulary, shared by all blocks; the gradient has all its rows."""
        every = tf.range(self.context.input_dim)
        keys, words = self.context(examples.keys), self.context(every)
        flat = tf.reshape(queries, [-1, queries.shape[-1]])
        of_all = tf.reshape(tf.matmul(flat, words, transpose_b=True), [-1, self.shape[1], self.context.input_dim])
        positive = tf.cast(tf.matmul(queries, keys, transpose_b=True), tf.float32)
        of_all = tf.cast(of_all, tf.float32)
        if self.bias is not None:
            positive += tf.linalg.matrix_transpose(self.bias(examples.keys))
            of_all += tf.transpose(self.bias(every))
        else:
            positive += tf.math.log(self.sampler.expected_count(examples.keys, self.negatives))[:, tf.newaxis]
            of_all += tf.math.log(self.sampler.expected_count(every, self.negatives))
        scores = losses.Scores(tf.concat([positive, of_all], -1), examples.pairs, self.negatives)
        gradient = self.objective.gradient(scores) * scale
        by_key, by_word = tf.split(tf.cast(gradient, self.compute_dtype), [scores.keys, self.context.input_dim], -1)
        by_word = tf.reshape(by_word, [-1, self.context.input_dim])
        ids = tf.concat([tf.reshape(examples.keys, [-1]), every], 0)
        rows = [_rows(tf.matmul(by_key, queries, transpose_a=True)), _rows(tf.matmul(by_word, flat, transpose_a=True))]
        context = [tf.IndexedSlices(tf.concat(rows, 0), ids)]
        if self.bias is not None:
            by_id = [tf.reshape(tf.reduce_sum(part, axis=-2), [-1, 1]) for part in (by_key, by_word)]
            context.append(tf.IndexedSlices(tf.cast(tf.concat(by_id, 0), tf.float32), ids))
        by_query = tf.matmul(by_key, keys) + tf.reshape(tf.matmul(by_word, words), tf.shape(queries))
        return scores, by_query, context


def _rows(vectors: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.reshape(vectors, [-1, vectors.shape[-1]]), tf.float32)
