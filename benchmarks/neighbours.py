"""How many of the most frequent words the neighbours should be looked for among (`restrict_vocab`).

    python -m benchmarks.neighbours --vectors runs/imdb/vectors/vectors.bin

People have called some pairs of words similar (7 of 10 or more, in WordSim-353 and SimLex-999). Of each, the other word
should be among the ten nearest. Fewer words to look among leave out rare ones that push it out, and those that are
searched for. Prints a row per limit.
"""

from __future__ import annotations

import argparse
import pathlib

import numpy as np
from gensim.models import KeyedVectors

from benchmarks import markdown, systems

LIMITS = (1_000, 2_000, 5_000, 10_000, 20_000, 30_000, 50_000, 100_000, 0)
SIMILAR, NEAREST = 7.0, 10


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--vectors", type=pathlib.Path, required=True, help="word2vec's binary file, frequent words first"
    )
    options = parser.parse_args()
    keyed = KeyedVectors.load_word2vec_format(str(options.vectors), binary=True)
    pairs = similar_pairs(keyed.key_to_index)
    limits = [limit for limit in LIMITS if limit < len(keyed)]
    print(f"{len(keyed):,} words, {len(pairs)} pairs\n")
    print(markdown.head(["among", "found", "of those that are there"]))
    for limit in limits:
        found, there = hits(keyed.get_normed_vectors(), pairs, limit or len(keyed))
        print(markdown.row([f"{limit or len(keyed):,}", f"{found / len(pairs):.3f}", f"{found / max(there, 1):.3f}"]))


def similar_pairs(places: dict[str, int]) -> np.ndarray:
    """The places of similar words in the vocabulary, in both directions: int64 [n, 2]."""
    pairs = {
        (places[one], places[other])
        for name in systems.SIMILARITIES
        for one, other, score in systems.similar_pairs(name)
        if score >= SIMILAR and one != other and one in places and other in places
    }
    return np.array(sorted(pairs | {(other, one) for one, other in pairs}), np.int64).reshape(-1, 2)


def hits(unit: np.ndarray, pairs: np.ndarray, limit: int) -> tuple[int, int]:
    """Of how many pairs the second word is among the first one's nearest, and how many are looked among at all.

    Args:
        unit: float32 [V, D], of length 1.
        pairs: int64 [n, 2].
        limit: how many of the first words are looked among.
    """
    inside = pairs[pairs[:, 1] < limit]
    cosines = unit[inside[:, 0]] @ unit[:limit].T
    own = cosines[np.arange(len(inside)), inside[:, 1]]
    itself = inside[:, 0] < limit
    closer = (cosines > own[:, np.newaxis]).sum(1) - itself
    return int((closer < NEAREST).sum()), len(inside)


if __name__ == "__main__":
    main()
