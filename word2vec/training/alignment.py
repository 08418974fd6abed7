"""One space for all versions: a model is turned so that its vectors lie where an earlier model has them."""

from __future__ import annotations

import numpy as np

from word2vec.vocabulary import Vocabulary

# The most frequent words of both models decide how to turn: more would be of words that neither knows well.
MOST_WORDS = 20_000

_AT_ONCE = 65_536


def shared(words: Vocabulary, before: Vocabulary) -> tuple[np.ndarray, np.ndarray]:
    """The places of the words that two models know well.

    Args:
        words: of a model.
        before: of the other.

    Returns:
        (places, places_before): int64 [n], n <= MOST_WORDS; those words of both whose rarer count is the greatest, by
        falling such count, and of those alike by their place in `words`.
    """
    place_before = {word: place for place, word in enumerate(before.words)}
    both = [(place, place_before[word]) for place, word in enumerate(words.words) if word in place_before]
    places, places_before = np.array(both, np.int64).reshape(-1, 2).T
    counts = np.minimum(words.counts[places], before.counts[places_before])
    order = np.argsort(-counts, kind="stable")[:MOST_WORDS]
    return places[order], places_before[order]


def rotation(vectors: np.ndarray, onto: np.ndarray) -> np.ndarray:
    """The orthogonal matrix that turns vectors as near as can be to others: the Procrustes problem.

    It minimises |unit(vectors) Q - unit(onto)| (Schönemann 1966; Hamilton, Leskovec and Jurafsky 2016,
    arXiv 1605.09096, equation 4). The length of a vector does not count, as it grows with the word's frequency.

    Args:
        vectors: float [n, D].
        onto: float [n, D], the same words' in the other model.

    Returns:
        Q: float64 [D, D]; `vectors @ Q` lie where `onto` does.
    """
    left, _, right = np.linalg.svd(unit(vectors).T @ unit(onto))
    return left @ right


def turn(table: np.ndarray, by: np.ndarray) -> np.ndarray:
    """A table of vectors, each turned.

    Args:
        table: float32 [V, D].
        by: float64 [D, D], orthogonal: so products of two tables' rows stay what they were.

    Returns:
        float32 [V, D].
    """
    turned = np.empty_like(table)
    for begin in range(0, len(table), _AT_ONCE):  # whose float64 copy is small
        part = slice(begin, begin + _AT_ONCE)
        turned[part] = table[part].astype(np.float64) @ by
    return turned


def cosines(vectors: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The cosine of each vector with that in the same row of the others: float [n, D] and [n, D] to float64 [n]."""
    return np.einsum("nd,nd->n", unit(vectors), unit(others))


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors of length 1, float64 [n, D]; those of length 0 stay so."""
    vectors = vectors.astype(np.float64)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths, lengths, 1)
