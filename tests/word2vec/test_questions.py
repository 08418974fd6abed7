from __future__ import annotations

import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from word2vec import questions

ASKED = [
    questions.Question("b", "s", ("tea", "coffee"), 7.5),
    questions.Question("b", "s", ("man", "king", "woman", "queen"), 1.0),
    questions.Question("b", "t", ("tea", "milk"), 2.5),
    questions.Question("b", "s", ("cat", "dog"), 6.0),
]


def test_those_of_one_benchmark_section_and_kind_are_in_one_example():
    parsed = tf.io.parse_example(list(questions.serialize(ASKED)), questions.features())
    assert parsed[questions.KIND].numpy().tolist() == [b"similarity", b"analogy", b"similarity"]
    assert parsed[questions.SECTION].numpy().tolist() == [b"s", b"s", b"t"]
    assert parsed[questions.SCORE].to_list() == [[7.5, 6], [1], [2.5]]
    assert parsed[questions.WORDS].to_list() == [
        [b"tea", b"coffee", b"", b"", b"cat", b"dog", b"", b""],
        [b"man", b"king", b"woman", b"queen"],
        [b"tea", b"milk", b"", b""],
    ]


@given(st.integers(0, 600))
def test_no_example_is_too_long_and_none_is_lost(count):
    asked = [questions.Question("b", "s", (f"w{number}", "x"), float(number)) for number in range(count)]
    examples = list(questions.serialize(asked))
    scores = [tf.train.Example.FromString(each).features.feature["score"].float_list.value for each in examples]
    assert [score for each in scores for score in each] == list(range(count))
    assert all(0 < len(each) <= 256 for each in scores)


def test_pairs_alone():
    pairs = questions.pairs(tf.constant(list(questions.serialize(ASKED))))
    assert pairs.words.numpy().tolist() == [[b"tea", b"coffee"], [b"cat", b"dog"], [b"tea", b"milk"]]
    assert pairs.benchmarks.numpy().tolist() == [b"b"] * 3
    assert (pairs.scores.numpy().tolist(), pairs.counts.numpy().tolist()) == ([7.5, 6, 2.5], [2, 1])
    assert len(pairs.examples) == 2
