"""What has changed since the last blessed model: the words that moved, came and went, and the text's words."""

from __future__ import annotations

import dataclasses

import numpy as np

from word2vec import vocabulary
from word2vec.training import alignment
from word2vec.vocabulary import Vocabulary

# Words of a list, neighbours of a word, and the most frequent words among which those that moved are looked for: of
# rarer ones the vectors move by chance. Neighbours are looked for among more.
SHOWN, NEIGHBOURS, MOST_FREQUENT, MOST_NEAR = 20, 5, 5_000, 50_000


@dataclasses.dataclass(frozen=True)
class Moved:
    """A word that is used in another way: its cosine with what it was, and its nearest words before and now."""

    word: str
    cosine: float
    before: list[str]
    now: list[str]


@dataclasses.dataclass(frozen=True)
class Changes:
    """What has changed.

    Attributes:
        moved: the words that moved most, the farthest first.
        new: the most frequent words that were not in the vocabulary before, with their counts.
        gone: the most frequent words that are in it no more, with the counts that they had.
        divergence: of the words' distributions; see `vocabulary.divergence`.
    """

    moved: list[Moved]
    new: dict[str, int]
    gone: dict[str, int]
    divergence: float


def between(words: Vocabulary, vectors: np.ndarray, words_before: Vocabulary, before: np.ndarray) -> Changes:
    """Compares two models.

    Args:
        words: of the model.
        vectors: its, float32 [V, D].
        words_before: of the earlier model.
        before: its vectors, float32 [V', D'].
    """
    return Changes(
        moved=_moved(words, vectors, words_before, before) if vectors.shape[1] == before.shape[1] else [],
        new=_only_in(words, words_before),
        gone=_only_in(words_before, words),
        divergence=vocabulary.divergence(words, words_before),
    )


def _moved(words: Vocabulary, vectors: np.ndarray, words_before: Vocabulary, before: np.ndarray) -> list[Moved]:
    places, places_before = alignment.shared(words, words_before)
    if not len(places):
        return []
    rotation = alignment.rotation(vectors[places], before[places_before])
    places, places_before = places[:MOST_FREQUENT], places_before[:MOST_FREQUENT]
    cosines = alignment.cosines(vectors[places] @ rotation, before[places_before])
    now, then = (alignment.unit(table[:MOST_NEAR]) for table in (vectors, before))
    farthest = np.argsort(cosines, kind="stable")[:SHOWN]
    return [
        Moved(
            words.words[places[each]],
            float(cosines[each]),
            _neighbours(words_before, then, before[places_before[each]], places_before[each]),
            _neighbours(words, now, vectors[places[each]], places[each]),
        )
        for each in farthest
    ]


def _neighbours(words: Vocabulary, unit: np.ndarray, vector: np.ndarray, place: int) -> list[str]:
    nearest = np.argsort(-(unit @ vector), kind="stable")[: NEIGHBOURS + 1]
    return [words.words[each] for each in nearest if each != place][:NEIGHBOURS]


def _only_in(words: Vocabulary, others: Vocabulary) -> dict[str, int]:
    known = set(others.words)
    only = [(word, int(count)) for word, count in zip(words.words, words.counts, strict=True) if word not in known]
    return dict(only[:SHOWN])
