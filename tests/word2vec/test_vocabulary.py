from __future__ import annotations

import numpy as np
import pytest

from word2vec import vocabulary
from word2vec.errors import UserError


@pytest.mark.parametrize(
    ("counts", "share"),
    [
        ({"the": 6, "a": 1, "i": 1, "cat": 2}, 0.2),
        ({"e": 6, "t": 3, "é": 1}, 1.0),
        ({"1": 6, "ж": 3, "of": 1}, 0.9),
        ({"私": 6, "は": 3, "タ": 1}, 0.0),
        ({"나": 6, "는": 3, "학교": 1}, 0.0),
        ({"的": 6, "a": 4}, 0.4),
        ({"𠀀": 1, "々": 1}, 0.0),
        ({"ภาษา": 1, "ก": 1}, 0.5),
    ],
)
def test_single_letters(counts, share):
    words = vocabulary.Vocabulary(list(counts), np.array(list(counts.values())))
    vocabulary.check_letters(words, share)
    if share:
        with pytest.raises(UserError, match=f"no words: {share:.1%} of the text are single letters or digits"):
            vocabulary.check_letters(words, share - 0.01)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ({"a": 1, "b": 1}, {"a": 5, "b": 5}, 0),
        ({"a": 1, "b": 1}, {"c": 3, "d": 1}, 1),
        # m = (3/4, 1/4): (1 log 4/3 + 1/2 log 2/3 + 1/2 log 2) / 2
        ({"a": 2}, {"a": 1, "b": 1}, (np.log2(4 / 3) + 0.5 * np.log2(2 / 3) + 0.5) / 2),
    ],
)
def test_divergence_by_hand(one, other, expected):
    one, other = (vocabulary.Vocabulary(list(each), np.array(list(each.values()))) for each in (one, other))
    assert vocabulary.divergence(one, other) == pytest.approx(expected, abs=1e-12)
    assert vocabulary.divergence(other, one) == pytest.approx(expected, abs=1e-12)
