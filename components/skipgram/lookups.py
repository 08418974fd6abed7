"""Looks words up in the vocabulary that Transform is making, within a preprocessing_fn."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

from word2vec import vocabulary


def ids(words: tf.Tensor, asset: Any) -> tf.Tensor:
    """The ids of words.

    Args:
        words: string [n].
        asset: what tft.vocabulary returned, with `store_frequency`.

    Returns:
        int64 [n]; -1 for a word that is not in the vocabulary.
    """
    return tft.apply_vocabulary(
        words, asset, lookup_fn=lambda x, path: tft.tf_utils.construct_and_lookup_table(vocabulary.word_table, path, x)
    )


def counts(ids: tf.Tensor, asset: Any) -> tuple[tf.Tensor, tf.Tensor]:
    """The counts of words, by their ids.

    Args:
        ids: int64 [n].
        asset: what tft.vocabulary returned, with `store_frequency`.

    Returns:
        (counts, total): float32 [n], 0 for the id -1; and float64 [], the sum over the vocabulary.
    """
    tables = []

    def construct(path: Any) -> tf.lookup.StaticHashTable:
        tables.append(vocabulary.count_table(path))
        return tables[-1]

    id_counts, _ = tft.tf_utils.construct_and_lookup_table(construct, asset, ids)
    _, all_counts = tables[-1].export()
    return id_counts, tf.reduce_sum(tf.cast(all_counts, tf.float64))
