"""Transform's preprocessing_fn: from text to skip-gram pairs, all of it in the TensorFlow graph."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

from components.skipgram import lookups
from components.skipgram import phrases as found
from word2vec import pairs, phrases, text, vocabulary


def preprocessing_fn(inputs: Mapping[str, Any], custom_config: Mapping[str, Any]) -> dict[str, tf.RaggedTensor]:
    """Normalises and tokenises texts, builds the vocabulary, subsamples, and draws each kept position's radius.

    Args:
        inputs: `text`, string [n, 1].
        custom_config: `word2vec.settings.SkipGramSettings` as a dict.

    Returns:
        `token_ids` and `radii`, each int64 [n, (kept tokens)]: run-length encoded pairs, as `pairs.expand` reads them.
    """
    texts = tf.reshape(inputs["text"], [-1])
    tokens, indices = _with_phrases(text.encode(texts), custom_config["phrases"])
    asset = _count(tokens, indices.flat_values, custom_config)
    _count_all(indices)
    # Looked up once per distinct token.
    distinct_ids = lookups.ids(tokens, asset)
    distinct_counts, total = lookups.counts(distinct_ids, asset)
    ids = tf.gather(distinct_ids, indices.flat_values)
    seed = custom_config["seed"]
    keep_probability = pairs.keep_probability(distinct_counts, total, custom_config["subsampling"])
    draws = pairs.uniform(texts, indices.row_splits, seed, pairs.SUBSAMPLING)
    kept = (ids >= 0) & (draws < tf.gather(keep_probability, indices.flat_values))
    radii = pairs.draw_radii(pairs.uniform(texts, indices.row_splits, seed, pairs.RADIUS), custom_config["window"])
    kept_ids = tf.ragged.boolean_mask(indices.with_values(ids), indices.with_values(kept))
    return {pairs.TOKEN_IDS: kept_ids, pairs.RADII: kept_ids.with_values(tf.boolean_mask(radii, kept))}


def _with_phrases(encoded: text.Encoded, config: Mapping[str, Any] | None) -> text.Encoded:
    """Finds phrases, and joins them, as often as it is set."""
    if config:
        for number in range(1, config["passes"] + 1):
            asset = found.find(encoded, config, number)
            encoded = phrases.join(encoded, functools.partial(lookups.ids, asset=asset))
    return encoded


def _count(tokens: tf.Tensor, indices: tf.Tensor, config: Mapping[str, Any]) -> Any:
    """The vocabulary by falling frequency, as an asset.

    Counting within the batch first cuts what Beam shuffles tenfold.
    """
    counts = tf.math.unsorted_segment_sum(tf.ones_like(indices), indices, tf.size(tokens))
    return tft.vocabulary(
        tokens,
        weights=tf.cast(counts, tf.float32),
        frequency_threshold=config["min_count"],
        top_k=config["max_vocabulary"],
        store_frequency=True,
        vocab_filename=vocabulary.ASSET,
    )


def _count_all(tokens: tf.RaggedTensor) -> None:
    """How many tokens there are, also those that are not in the vocabulary, as an asset: a vocabulary of one word."""
    lengths = tokens.row_lengths()
    tft.vocabulary(
        tf.fill(tf.shape(lengths), vocabulary.TOKENS_ASSET),
        weights=tf.cast(lengths, tf.float32),
        store_frequency=True,
        vocab_filename=vocabulary.TOKENS_ASSET,
    )
