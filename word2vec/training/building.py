"""What a training is made of: the shape of its steps, the model, and the optimizer with its learning rate."""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf

from word2vec import memory, pairs, vocabulary
from word2vec.errors import UserError
from word2vec.settings import TrainerSettings
from word2vec.subwords import Subwords
from word2vec.training import model, optimizers, precision, samplers, strategies

# Where blocks_per_step is not set: as many as keep the most frequent word to so many occurrences per step, of which
# each sees the table as it was before the others; and never more than were found stable.
MOST_BLOCKS_PER_STEP = 16
MOST_REPEATS_PER_STEP = 8


@dataclasses.dataclass(frozen=True)
class Corpus:
    """What is expected of an epoch: how many positions, and which share of them the most frequent word has."""

    positions: float
    greatest_share: float

    @classmethod
    def of(cls, words: vocabulary.Vocabulary, subsampling: float) -> Corpus:
        """Of a vocabulary, whose frequent words are thinned out."""
        counts, total = tf.constant(words.counts), tf.constant(words.counts.sum())
        kept = words.counts * pairs.keep_probability(counts, total, subsampling).numpy()
        return cls(float(kept.sum()), float(kept.max() / kept.sum()))


def shape_of_steps(settings: TrainerSettings, corpus: Corpus, replicas: int) -> tuple[int, int]:
    """(blocks, their length), if so many replicas share the blocks.

    Raises:
        UserError: a step is larger than an epoch, or its blocks do not divide by the replicas.
    """
    blocks_per_step, length = settings.blocks_per_step, settings.block_length
    if blocks_per_step is None:
        stable = int(MOST_REPEATS_PER_STEP / (corpus.greatest_share * length))
        fitting = int(corpus.positions / length)
        wanted = max(min(stable, fitting, MOST_BLOCKS_PER_STEP), 1)
        return max(wanted // replicas, 1) * replicas, length
    strategies.check_divides(replicas, blocks_per_step)
    if blocks_per_step * length > corpus.positions:
        raise UserError(
            f"trainer.blocks_per_step = {blocks_per_step} x trainer.block_length = {length} are "
            f"{blocks_per_step * length:,} positions a step, but a whole epoch has about {corpus.positions:,.0f}. "
            "Lower one of them, or give more text"
        )
    return blocks_per_step, length


def make(
    words: vocabulary.Vocabulary,
    settings: TrainerSettings,
    window: int,
    shape: tuple[int, int],
    workers: int = 1,
) -> model.Word2Vec:
    """The model.

    Args:
        words: the vocabulary.
        settings: of the training.
        window: the greatest distance of a context word.
        shape: (blocks per step, their length).
        workers: with tables of their own.

    Raises:
        UserError: there is not enough memory.
    """
    same = (
        "dimensions", "architecture", "loss", "negatives", "shared_negatives", "bias", "bias_start", "window_weights",
        "table_precision", "seed",
    )  # fmt: skip
    subwords = Subwords.of(words.words, settings.subwords) if settings.subwords else None
    _check_memory(settings, len(words), subwords, workers)
    return model.Word2Vec(
        len(words),
        window=window,
        blocks_per_step=shape[0],
        block_length=shape[1],
        sampler=samplers.make(settings.sampler, words.counts, settings.noise_power),
        remove_accidental_hits=settings.remove_accidental_hits,
        subwords=subwords,
        dtype=precision.policy(settings.precision),
        **{key: getattr(settings, key) for key in same},
    )


def _check_memory(settings: TrainerSettings, words: int, subwords: Subwords | None, workers: int) -> None:
    """Makes sure that there is memory for the tables, before hours of training end without it.

    Raises:
        UserError: there is not.
    """
    rows = words + (subwords.size if subwords else words)
    size = np.dtype(settings.table_precision).itemsize
    tables = rows * settings.dimensions * size * optimizers.TABLES[settings.optimizer]
    exported = words * settings.dimensions * 4  # a copy
    needed = tables + (exported if workers == 1 else tables)  # workers know what all had at the last exchange
    free = memory.free()
    if needed > free and not tf.config.list_logical_devices("GPU"):
        of_buckets = f" and of {len(subwords.buckets):,} buckets of n-grams" if subwords else ""
        raise UserError(
            f"not enough memory: the vectors of {words:,} words{of_buckets}, of {settings.dimensions} numbers each, "
            f"take {memory.text(needed)} to train, and {memory.text(free)} are free. Lower trainer.dimensions or "
            f"skipgram.max_vocabulary, or raise skipgram.min_count{_half(settings)}"
        )


def _half(settings: TrainerSettings) -> str:
    """What else would help against too little memory."""
    return ", or set trainer.table_precision=float16" if settings.table_precision == "float32" else ""


def set_optimizer(
    network: model.Word2Vec, settings: TrainerSettings, learning_rate: float, epochs: int, epoch_steps: tf.Variable
) -> optimizers.LinearDecay:
    """Gives the model its optimizer.

    Args:
        network: the model.
        settings: of the training.
        learning_rate: at the start.
        epochs: over which it falls.
        epoch_steps: int64, about how many steps an epoch has.

    Returns:
        The learning rate.
    """
    schedule = optimizers.LinearDecay(
        learning_rate,
        settings.min_learning_rate,
        epoch_steps,
        epochs=epochs,
        warmup_steps=settings.warmup_steps,
    )
    shares = {"bias": settings.first_bias_learning_rate / settings.first_learning_rate}
    network.compile(optimizer=optimizers.make(settings.optimizer, schedule, settings.precision, shares))
    network.optimizer.build([table.embeddings for table in network.tables])
    return schedule
