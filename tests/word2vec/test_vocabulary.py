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
