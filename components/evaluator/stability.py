"""How far words have moved from the last blessed model: versions in one space can be compared vector by vector."""

from __future__ import annotations

import dataclasses
import json
import os

import numpy as np
import tensorflow as tf

from word2vec import saved_vectors
from word2vec.training import alignment

_FILE = "stability.json"

# Fewer words in common say nothing of two models.
FEWEST_WORDS = 2


@dataclasses.dataclass(frozen=True)
class Stability:
    """A model beside the last blessed one.

    Attributes:
        score: the mean cosine of a word's vector with that in the last blessed model, over the frequent words.
        turned: the same if the model were turned onto the other: what remains is change, not another space.
        words: over how many words.
        same_space: whether both are in one space, so that their vectors can be compared as they are.
        lower_bound: the score at which the model is blessed, if there is such a threshold.
    """

    score: float
    turned: float
    words: int
    same_space: bool
    lower_bound: float | None = None

    @property
    def reasons(self) -> list[str]:
        """Why it blocks; nothing if it does not."""
        if self.lower_bound is None or self.score >= self.lower_bound:
            return []
        return [
            f"stability {self.score:.3f} is {self.lower_bound - self.score:.3f} below its threshold "
            f"{self.lower_bound:g} (evaluator.min_stability); in the last blessed model's space it would be "
            f"{self.turned:.3f} (trainer.align)"
        ]


def measure(model: str, baseline: str, lower_bound: float | None = None) -> Stability | None:
    """Compares two SavedModels.

    Args:
        model: the folder of one.
        baseline: of the last blessed one.
        lower_bound: the least score.

    Returns:
        None where they have hardly a word in common, or vectors of other lengths.
    """
    (words, vectors), (words_before, before) = (saved_vectors.read(folder) for folder in (model, baseline))
    places, places_before = alignment.shared(words, words_before)
    if len(places) < FEWEST_WORDS or vectors.shape[1] != before.shape[1]:
        return None
    vectors, before = vectors[places], before[places_before]
    turned = alignment.turn(vectors, alignment.rotation(vectors, before))
    as_trained, aligned = (float(np.mean(alignment.cosines(each, before))) for each in (vectors, turned))
    spaces = {saved_vectors.space_of(folder) for folder in (model, baseline)}
    same_space = len(spaces) == 1 and None not in spaces
    return Stability(as_trained, aligned, len(places), same_space, lower_bound)


def write(stability: Stability, folder: str) -> None:
    """Adds it to the Evaluator's `evaluation` artifact."""
    with tf.io.gfile.GFile(os.path.join(folder, _FILE), "w") as file:
        json.dump(dataclasses.asdict(stability), file)


def read(folder: str) -> Stability | None:
    """Reads it from there; None if there was nothing to compare with."""
    path = os.path.join(folder, _FILE)
    if not tf.io.gfile.exists(path):
        return None
    with tf.io.gfile.GFile(path) as file:
        return Stability(**json.load(file))
