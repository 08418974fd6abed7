"""A trial's score is the gate's, held against gensim's."""

from __future__ import annotations

import numpy as np
import pytest
from gensim.models import KeyedVectors
from gensim.test.utils import datapath

from components.questions import files
from components.tuner.judge import Judge
from word2vec import questions
from word2vec.errors import UserError
from word2vec.questions import Question

FILES = {"wordsim353": "wordsim353.tsv", "simlex999": "simlex999.txt"}


@pytest.fixture(scope="module")
def asked():
    return files.read_all([f"builtin://{name}" for name in FILES])


@pytest.fixture(scope="module")
def keyed(asked):
    draw = np.random.default_rng(1)
    words = sorted({word.lower() for question in asked for word in question.words})
    made = KeyedVectors(8)
    made.add_vectors(words[::2] + words[1::4], draw.normal(size=(len(words[::2] + words[1::4]), 8)).astype(np.float32))
    return made


def write(path, words):
    path.write_text("".join(f"1 {word}\n" for word in words))
    return str(path)


@pytest.fixture
def make(tmp_path):
    def make(asked, words, **how):
        options = {"weights": {}, "min_coverage": 0.1, **how}
        return Judge(list(questions.serialize(asked)), write(tmp_path / "words", words), **options)

    return make


def test_the_scores_are_gensims(asked, keyed, make):
    judge = make(asked, keyed.index_to_key)
    expected = {name: keyed.evaluate_word_pairs(datapath(file))[1].statistic for name, file in FILES.items()}
    assert judge.scores(keyed.vectors) == pytest.approx(expected, abs=1e-6)
    assert judge(keyed.vectors) == pytest.approx(np.mean(list(expected.values())), abs=1e-6)
    weighted = make(asked, keyed.index_to_key, weights={"simlex999": 3})
    assert weighted(keyed.vectors) == pytest.approx((expected["wordsim353"] + 3 * expected["simlex999"]) / 4, abs=1e-6)
    alone = make(asked, keyed.index_to_key, weights={"simlex999": 0})
    assert alone.scores(keyed.vectors) == pytest.approx({"wordsim353": expected["wordsim353"]}, abs=1e-6)


QUADS = [Question("quads", "all", ("a", "b", "c", word), 1.0) for word in ("d", "e", "unheardof")]
PAIRS = [Question("pairs", "all", ("a", word), number) for number, word in enumerate("bcde")]
WORDS = list("abcde")


def test_analogies_are_judged_by_the_first_answer(make):
    vectors = np.eye(5, dtype=np.float32)
    vectors[3] = vectors[1] - vectors[0] + vectors[2]
    assert make(QUADS, WORDS).scores(vectors) == {"quads": 0.5}


def test_what_is_covered_too_little_is_left_out(make):
    vectors = np.random.default_rng(1).normal(size=(5, 3)).astype(np.float32)
    judge = make([*QUADS, *PAIRS], WORDS, min_coverage=0.9)
    assert judge.scores(vectors)["quads"] is None
    assert judge(vectors) == judge.scores(vectors)["pairs"]


@pytest.mark.parametrize(
    ("asked", "how"),
    [
        (QUADS, {"min_coverage": 0.9}),
        (PAIRS[:2], {}),  # two pairs lie on a line
        ([Question("pairs", "all", ("a", word), 1.0) for word in "bcde"], {}),
        ([Question("pairs", "all", ("x", word), number) for number, word in enumerate("bcde")], {"min_coverage": 0}),
        (PAIRS, {"weights": {"pairs": 0}}),
    ],
)
def test_where_nothing_can_be_judged_it_is_said_before_anything_is_trained(make, asked, how):
    with pytest.raises(UserError, match="can be judged by the half of its questions that is for tuning"):
        make(asked, WORDS, **how)


def test_vectors_that_are_all_the_same_are_worth_nothing(make):
    assert make(PAIRS, WORDS)(np.ones((5, 3), np.float32)) == 0
