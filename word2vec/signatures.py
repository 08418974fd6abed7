"""What a served model can be asked: its signatures' names, inputs and outputs, and how much they take."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import tensorflow as tf

# Neighbours that a query gets at most: a request for all of a million words' neighbours would take all memory.
MOST_NEIGHBOURS = 1000

# Rows times neighbours that a request gets at most: 10,000 words' 1,000 neighbours would take gigabytes.
MOST_ANSWERS = 1_000_000

# Words of a row of words at most: a million of them in one row would make every other row as wide.
MOST_WORDS = 100


@dataclasses.dataclass(frozen=True)
class Signature:
    """What a signature takes and gives, by name; the first dimension is a row per question."""

    inputs: Mapping[str, tf.DType]
    outputs: Mapping[str, tf.DType]


_FOUND = {"scores": tf.float32, "known": tf.bool}
_TERMS = {**dict.fromkeys(("positive", "negative"), tf.string), "k": tf.int32, "restrict_vocab": tf.int32}
_NEIGHBOURS = {"neighbours": tf.string, **_FOUND}
SIGNATURES = {
    "serving_default": Signature({"words": tf.string}, {"embeddings": tf.float32, "known": tf.bool}),
    "most_similar": Signature({"words": tf.string, "k": tf.int32}, _NEIGHBOURS),
    "similarity": Signature({"word1": tf.string, "word2": tf.string}, {"cosine": tf.float32, "known": tf.bool}),
    "analogy": Signature({**dict.fromkeys("abc", tf.string), "k": tf.int32}, {"answers": tf.string, **_FOUND}),
    "nearest": Signature(_TERMS, _NEIGHBOURS),
    "nearest_cosmul": Signature(_TERMS, _NEIGHBOURS),
    "nearest_to_vector": Signature(
        {"vectors": tf.float32, "without": tf.string, "k": tf.int32, "restrict_vocab": tf.int32}, _NEIGHBOURS
    ),
    "doesnt_match": Signature({"words": tf.string}, {"word": tf.string, "known": tf.bool}),
    "n_similarity": Signature({"words1": tf.string, "words2": tf.string}, {"cosine": tf.float32, "known": tf.bool}),
    "rank": Signature({"word1": tf.string, "word2": tf.string}, {"rank": tf.int32, "known": tf.bool}),
    "embed_text": Signature({"texts": tf.string}, {"embeddings": tf.float32, "known_share": tf.float32}),
    "embed_text_sif": Signature({"texts": tf.string}, {"embeddings": tf.float32, "known_share": tf.float32}),
    "evaluate": Signature({"examples": tf.string}, {"answers": tf.float32}),
    "evaluate_composed": Signature({"examples": tf.string}, {"answers": tf.float32}),
}

# Those of models whose words can be composed of n-grams alone.
WITH_SUBWORDS = frozenset({"evaluate_composed"})

# Those that came later: a version that was pushed before them has not got them, and is served all the same.
LATER = frozenset(
    {
        "nearest", "nearest_cosmul", "nearest_to_vector", "doesnt_match", "n_similarity", "rank",
        "embed_text_sif", *WITH_SUBWORDS,
    }
)  # fmt: skip
