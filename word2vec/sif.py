"""Vectors of texts by smooth inverse frequency (Arora, Liang and Ma 2017, "A simple but tough-to-beat baseline")."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from word2vec import pairs

# A word of probability p weighs a / (a + p) (equation 3, and section 4.1 for a).
A = 1e-3

# Words of which the common component is computed. Some 5,000 film reviews have as many, and their component has a
# cosine of 0.99998 with that of 17,500; there are more documents if they are short.
WORDS = 1_000_000
_AT_ONCE = 1_000


def weights(counts: np.ndarray) -> np.ndarray:
    """The weights of words, float32 [V], from their counts, [V]."""
    return (A / (A + counts / counts.sum())).astype(np.float32)


def common_component(files: Sequence[str], vectors: np.ndarray, counts: np.ndarray, subsampling: float) -> np.ndarray:
    """The first singular vector of documents' vectors: what all texts have in common, whatever they are about.

    It is what the second step of SIF takes from each text's vector (algorithm 1).

    Args:
        files: Transform's examples; their documents' order is by chance.
        vectors: float32 [V, D].
        counts: int64 [V], the words'.
        subsampling: by which Transform thinned the words out, which is made up for.

    Returns:
        float32 [D], of length 1; zeros where no document has a word.
    """
    kept = pairs.keep_probability(tf.constant(counts), tf.constant(counts.sum()), subsampling).numpy()
    of_word, share = weights(counts) / kept, (1 / kept).astype(np.float32)
    table, sums, seen = tf.convert_to_tensor(vectors), np.zeros((vectors.shape[1], vectors.shape[1])), 0
    for documents in tf.data.TFRecordDataset(list(files), "GZIP").batch(_AT_ONCE):
        ids = tf.io.parse_example(documents, pairs.features())[pairs.TOKEN_IDS]
        places = tf.stack([ids.value_rowids(), ids.flat_values], 1)
        size = tf.stack([ids.nrows(), tf.shape(table, tf.int64)[0]])
        bags = tf.SparseTensor(places, tf.gather(of_word, ids.flat_values), size)
        lengths = tf.reduce_sum(ids.with_values(tf.gather(share, ids.flat_values)), 1)
        rows = tf.sparse.sparse_dense_matmul(bags, table) / tf.maximum(lengths, 1e-9)[:, tf.newaxis]
        sums += (tf.transpose(rows) @ rows).numpy()
        seen += len(ids.flat_values)
        if seen >= WORDS:
            break
    values, components = np.linalg.eigh(sums)
    first = components[:, -1] * np.sign(components[:, -1].sum() or 1)  # either sign would do: always the same one
    return (first if values[-1] > 0 else np.zeros(len(first))).astype(np.float32)
