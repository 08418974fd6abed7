"""Finds phrases in Transform: `word2vec.phrases` over the whole text, by Beam."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from tensorflow_transform.beam import experimental

from components.skipgram import counting
from word2vec import phrases, vocabulary
from word2vec.text import Encoded

_BETWEEN = phrases.BETWEEN.encode()


def find(encoded: Encoded, config: Mapping[str, Any], number: int) -> Any:
    """The phrases of all texts, as an asset: per line a score and a pair, the highest score first.

    Args:
        encoded: some texts.
        config: `word2vec.settings.PhraseSettings` as a dict.
        number: of the pass, from 1 on.
    """
    tokens, indices = encoded
    counts = tf.math.unsorted_segment_sum(
        tf.ones_like(indices.flat_values), indices.flat_values, tf.size(tokens, tf.int64)
    )
    left = tf.boolean_mask(tokens, counts > 0)  # what was joined before is perhaps in no text any more
    numbers, together = phrases.pairs_of(encoded)
    both = tf.strings.reduce_join(tf.gather(tokens, numbers), 1, separator=_BETWEEN)
    (asset,) = tft.experimental.ptransform_analyzer(
        inputs=[tf.concat([left, both], 0), tf.concat([counts[counts > 0], together], 0)],
        ptransform=_Find(phrases.asset(number), **{key: config[key] for key in ("min_count", "threshold", "scoring")}),
        output_dtypes=[tf.string],
        output_shapes=[[]],
        output_asset_default_values=[b"0.0 " + _BETWEEN],
    )
    return asset


class _Find(experimental.PTransformAnalyzer):
    """From batches of (words, and pairs; their counts) to the file of phrases."""

    def __init__(self, name: str, min_count: int, threshold: float, scoring: str):
        super().__init__()
        self._name, self._min_count, self._threshold, self._scoring = name, min_count, threshold, scoring

    def expand(self, batches: beam.PCollection) -> beam.PCollection:
        counted = batches | "Count" >> counting.CountTokens()
        # As in gensim, what a pair would be called and a word of that name are counted as one.
        by_name = counted | "Name" >> beam.MapTuple(_named) | "PerName" >> beam.CombinePerKey(sum)
        words = counted | "Words" >> beam.Filter(lambda item: _BETWEEN not in item[0]) | beam.Values()
        facts = {
            "frequent": beam.pvalue.AsDict(by_name | "Frequent" >> beam.Filter(_is_frequent, self._min_count)),
            "distinct": beam.pvalue.AsSingleton(by_name | "Distinct" >> beam.combiners.Count.Globally()),
            "total": beam.pvalue.AsSingleton(words | "Total" >> beam.CombineGlobally(sum)),
        }
        how = {"scoring": self._scoring, "min_count": self._min_count}
        return (
            counted
            | "Pairs" >> beam.Filter(lambda item: _BETWEEN in item[0])
            | "Score" >> beam.FlatMap(_scored, self._threshold, how, **facts)
            | "ToList" >> beam.combiners.ToList()
            | "Write" >> beam.Map(_write, os.path.join(self.base_temp_dir, self._name, self._name))
        )


def _named(pair: bytes, count: float) -> tuple[bytes, float]:
    return pair.replace(_BETWEEN, vocabulary.JOINT.encode()), count


def _is_frequent(item: tuple[bytes, float], min_count: int) -> bool:
    return item[1] >= min_count


def _scored(
    item: tuple[bytes, float], threshold: float, how: Mapping[str, Any], frequent: Mapping[bytes, float],
    distinct: int, total: float,
) -> Iterator[tuple[float, bytes]]:  # fmt: skip
    name, _ = _named(*item)
    first, second = item[0].split(_BETWEEN)
    if name in frequent and first in frequent and second in frequent:
        score = phrases.score(
            first=frequent[first], second=frequent[second], together=frequent[name], distinct=distinct, total=total,
            **how,
        )  # fmt: skip
        if score > threshold:
            yield score, item[0]


def _write(found: list[tuple[float, bytes]], path: str) -> np.ndarray:
    tf.io.gfile.makedirs(os.path.dirname(path))
    with tf.io.gfile.GFile(path, "wb") as file:
        # A table of nothing cannot be made.
        for score, pair in sorted(found, key=lambda item: (-item[0], item[1])) or [(0.0, _BETWEEN)]:
            file.write(f"{score!r} ".encode() + pair + b"\n")
    return np.array(path.encode())
