"""Transform's preprocessing_fn: from text to skip-gram pairs, all of it in the TensorFlow graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

from components import pairs, text, vocabulary


def preprocessing_fn(inputs: Mapping[str, Any], custom_config: Mapping[str, Any]) -> dict[str, tf.RaggedTensor]:
    """Normalises and tokenises texts, builds the vocabulary, subsamples, and draws each kept position's radius.

    Args:
        inputs: `text`, string [n, 1].
        custom_config: `pipeline.configs.SkipGramConfig` as a dict.

    Returns:
        `token_ids` and `radii`, each int64 [n, (kept tokens)]: run-length encoded pairs, as `pairs.expand` reads them.
    """
    texts = tf.reshape(inputs["text"], [-1])
    tokens = text.tokenize(texts)
    asset = _count(tokens.flat_values, custom_config)
    _count_all(tokens)
    ids = vocabulary.lookup_ids(tokens.flat_values, asset)
    counts, total = vocabulary.lookup_counts(ids, asset)

    seed = custom_config["seed"]
    keep_probability = pairs.keep_probability(counts, total, custom_config["subsampling"])
    draws = pairs.uniform(texts, tokens.row_splits, seed, pairs.SUBSAMPLING)
    kept = (ids >= 0) & (draws < keep_probability)
    radii = pairs.draw_radii(pairs.uniform(texts, tokens.row_splits, seed, pairs.RADIUS), custom_config["window"])
    return {
        pairs.TOKEN_IDS: tf.ragged.boolean_mask(tokens.with_values(ids), tokens.with_values(kept)),
        pairs.RADII: tf.ragged.boolean_mask(tokens.with_values(radii), tokens.with_values(kept)),
    }


def _count(tokens: tf.Tensor, config: Mapping[str, Any]) -> Any:
    """The vocabulary by falling frequency, as an asset.

    Counting within the batch first cuts what Beam shuffles tenfold.
    """
    words, _, counts = tf.unique_with_counts(tokens)
    return tft.vocabulary(
        words,
        weights=tf.cast(counts, tf.float32),
        frequency_threshold=config["min_count"],
        top_k=config["max_vocabulary"],
        store_frequency=True,
        vocab_filename=vocabulary.ASSET,
    )


def _count_all(tokens: tf.RaggedTensor) -> None:
    """How many tokens there are, those of no word of the vocabulary too, as an asset: a vocabulary of one word."""
    lengths = tokens.row_lengths()
    tft.vocabulary(
        tf.fill(tf.shape(lengths), vocabulary.TOKENS_ASSET),
        weights=tf.cast(lengths, tf.float32),
        store_frequency=True,
        vocab_filename=vocabulary.TOKENS_ASSET,
    )
