"""Skip-gram pairs, as Transform stores them and as everyone else may want them.

With window w, each kept position i of a document draws a radius r_i from 1 to w, and the pairs are (t_i, t_j) for
0 < |i - j| <= r_i (Mikolov et al. 2013, arXiv 1301.3781, section 3.2). Stored are the kept tokens' ids and their radii:
that is exactly the pair list, at about a tenth of its bytes.

All draws are functions of (the text's fingerprint, the position, a seed), so that work which Beam does twice gives the
same result twice.
"""

from __future__ import annotations

import tensorflow as tf

# Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators", figure 16: the mixing function of
# SplitMix64.
_GAMMA = 0x9E3779B97F4A7C15
_MULTIPLIERS = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
_SHIFTS = (30, 27, 31)

TOKEN_IDS, RADII = "token_ids", "radii"  # the features of Transform's examples
SUBSAMPLING, RADIUS = 0, 1  # the two streams of draws


def features() -> dict[str, tf.io.RaggedFeature]:
    """Of a document's pairs as a tf.Example: as many ids as radii, int64, under the keys that Transform gives them."""
    return {
        name: tf.io.RaggedFeature(tf.int64, value_key=f"{name}$ragged_values", row_splits_dtype=tf.int64)
        for name in (TOKEN_IDS, RADII)
    }


def uniform(texts: tf.Tensor, row_splits: tf.Tensor, seed: int, stream: int) -> tf.Tensor:
    """One uniform draw per token, which depends on its text, its place there, the seed and the stream alone.

    Args:
        texts: string [n].
        row_splits: int64 [n + 1], the tokens of each text.
        seed: any integer.
        stream: tells draws for different purposes apart.

    Returns:
        float32 [tokens], in [0, 1).
    """
    return _draw(texts, row_splits, tf.constant((seed * 2 + stream) * _GAMMA % 2**64, tf.uint64))


# A function of its own, which a graph holds once, and which is traced once however often Transform traces its graph.
@tf.function(
    input_signature=[
        tf.TensorSpec([None], tf.string), tf.TensorSpec([None], tf.int64), tf.TensorSpec([], tf.uint64)
    ],
    autograph=False,
)  # fmt: skip
def _draw(texts: tf.Tensor, row_splits: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
    lengths, number = row_splits[1:] - row_splits[:-1], tf.range(tf.size(row_splits, tf.int64) - 1)
    place = tf.ragged.range(lengths).flat_values
    row = tf.ragged.range(number, number + lengths).flat_values - place  # tf.repeat makes a mask of the longest row
    of_text = tf.gather(_mix(_fingerprint(texts) + key), row)
    bits = _mix(of_text + tf.cast(place + 1, tf.uint64) * tf.constant(_GAMMA, tf.uint64))
    return tf.cast(tf.bitwise.right_shift(bits, tf.constant(40, tf.uint64)), tf.float32) * 2.0**-24


def _fingerprint(texts: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.strings.to_hash_bucket_fast(texts, 2**63 - 1), tf.uint64)


def _mix(bits: tf.Tensor) -> tf.Tensor:
    for shift, multiplier in zip(_SHIFTS, (*_MULTIPLIERS, 1), strict=True):
        bits = tf.bitwise.bitwise_xor(bits, tf.bitwise.right_shift(bits, tf.constant(shift, tf.uint64))) * tf.constant(
            multiplier, tf.uint64
        )
    return bits


def keep_probability(counts: tf.Tensor, total: tf.Tensor, threshold: float) -> tf.Tensor:
    """The probability that subsampling keeps a token of a word.

    As word2vec's own code has it, sqrt(t / f) + t / f for a word of frequency f; the paper (Mikolov et al. 2013, arXiv
    1310.4546, equation 5) leaves out the second term.

    Args:
        counts: how often each word occurs, any shape.
        total: the sum over the vocabulary.
        threshold: t; 0 keeps everything.

    Returns:
        float32 of the counts' shape; at most 1.
    """
    if not threshold:
        return tf.ones_like(counts, tf.float32)
    ratio = tf.cast(threshold * tf.cast(total, tf.float64) / tf.maximum(tf.cast(counts, tf.float64), 1.0), tf.float32)
    return tf.minimum(tf.sqrt(ratio) + ratio, 1.0)


def draw_radii(uniforms: tf.Tensor, window: int) -> tf.Tensor:
    """Radii from 1 to `window`, each as likely, from uniform draws in [0, 1); int64 of their shape."""
    return 1 + tf.cast(uniforms * window, tf.int64)


def extents(row_splits: tf.Tensor, radii: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """How many context words each position has on its left and right: its radius, cut at the document's ends.

    Args:
        row_splits: int64 [documents + 1].
        radii: int64 [tokens].

    Returns:
        (left, right), each int64 [tokens].
    """
    lengths = row_splits[1:] - row_splits[:-1]
    place = tf.range(row_splits[-1])
    left = tf.minimum(radii, place - tf.repeat(row_splits[:-1], lengths))
    right = tf.minimum(radii, tf.repeat(row_splits[1:], lengths) - 1 - place)
    return left, right


def expand(token_ids: tf.RaggedTensor, radii: tf.RaggedTensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The explicit pairs that run-length encoded documents stand for, in the order of their positions.

    Args:
        token_ids: int64 [documents, (tokens)].
        radii: int64, of the same shape.

    Returns:
        (targets, contexts), each int64 [pairs].
    """
    ids, splits = token_ids.flat_values, token_ids.row_splits
    left, right = extents(splits, radii.flat_values)
    around = tf.ragged.range(-left, right + 1)
    offsets = around.flat_values
    positions = around.value_rowids()
    pairs = offsets != 0
    targets = tf.boolean_mask(positions, pairs)
    contexts = targets + tf.boolean_mask(offsets, pairs)
    return tf.gather(ids, targets), tf.gather(ids, contexts)
