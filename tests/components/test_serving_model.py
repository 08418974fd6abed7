from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf

from components import serving_model
from components.questions import Question

WORDS = ["the", "king", "queen", "man", "woman", "tea"]
VECTORS = np.array([[1, 1, 1], [2, 0, 2], [-0.5, 2, 1.5], [1, 0, 0.2], [0, 1, 0.2], [-1, 1, 0]], np.float32)


@pytest.fixture(scope="module", params=["small chunks", "large chunks"])
def signatures(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("serving")
    (folder / "vocabulary").write_text("".join(f"{60 - 10 * place}.0 {word}\n" for place, word in enumerate(WORDS)))
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "small chunks":
            patch.setattr(serving_model, "QUERIES_AT_A_TIME", 2)
            patch.setattr(serving_model, "ROWS_AT_A_TIME", 4)
        serving_model.ServingModel(VECTORS, str(folder / "vocabulary")).save(str(folder / "model"))
    (folder / "vocabulary").unlink()  # the model carries its own
    return tf.saved_model.load(str(folder / "model")).signatures


def cosine(a, b):
    return VECTORS[a] @ VECTORS[b] / np.linalg.norm(VECTORS[a]) / np.linalg.norm(VECTORS[b])


def test_embeddings_of_known_and_unknown_words(signatures):
    answer = signatures["serving_default"](words=tf.constant(["Queen", "nothing", "", "tea", b"\xff"]))
    assert answer["known"].numpy().tolist() == [True, False, False, True, False]
    np.testing.assert_array_equal(
        answer["embeddings"].numpy(), np.stack([VECTORS[2], [0] * 3, [0] * 3, VECTORS[5], [0] * 3])
    )


@pytest.mark.parametrize("k", [0, 2, 5, 100])
def test_most_similar(signatures, k):
    words = ["KING", "nothing", "tea"]
    answer = signatures["most_similar"](words=tf.constant(words), k=tf.constant(k))
    assert answer["known"].numpy().tolist() == [True, False, True]
    for row, word in enumerate(words):
        if word == "nothing":
            assert answer["neighbours"].numpy()[row].tolist() == [b""] * min(k, 5)
            continue
        place = WORDS.index(word.lower())
        expected = sorted((other for other in range(6) if other != place), key=lambda other: -cosine(place, other))[:k]
        assert [name.decode() for name in answer["neighbours"].numpy()[row]] == [WORDS[other] for other in expected]
        np.testing.assert_allclose(
            answer["scores"].numpy()[row], [cosine(place, other) for other in expected], rtol=1e-5
        )


def test_an_empty_batch(signatures):
    answer = signatures["most_similar"](words=tf.constant([], tf.string), k=tf.constant(3))
    assert answer["neighbours"].shape == (0, 3)
    assert signatures["serving_default"](words=tf.constant([], tf.string))["embeddings"].shape == (0, 3)
    assert signatures["evaluate"](examples=tf.constant([], tf.string))["answers"].shape == (0, 3)


def test_evaluate_answers_analogies_and_pairs(signatures):
    asked = [
        ("man", "king", "woman", "queen"),
        ("man", "king", "woman", "tea"),
        ("Tea", "THE"),
        ("tea", "nothing"),
        ("man", "king", "nothing", "queen"),
        ("king", "king"),
    ]
    examples = tf.constant([Question("b", "s", words, 1.0).serialize() for words in asked])
    answers = signatures["evaluate"](examples=examples)["answers"].numpy()
    unit = VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)
    cosines = unit @ unit.T
    add = cosines[1] - cosines[3] + cosines[4]
    mul = (1 + cosines[1]) * (1 + cosines[4]) / (1 + cosines[3] + 2e-6)
    others = [0, 2, 5]
    rank = {
        (name, word): 1 + sum(scores[other] > scores[word] for other in others)
        for name, scores in (("add", add), ("mul", mul))
        for word in (2, 5)
    }
    nan = math.nan
    expected = [
        [nan, rank["add", 2], rank["mul", 2]],
        [nan, rank["add", 5], rank["mul", 5]],
        [cosine(5, 0), nan, nan],
        [nan] * 3,
        [nan] * 3,
        [1, nan, nan],
    ]
    np.testing.assert_allclose(answers, expected, rtol=1e-5)
    assert rank["add", 2] == 1 < rank["add", 5]


def test_an_answer_beyond_the_first_five_has_no_rank(tmp_path):
    words = [f"w{number}" for number in range(20)]
    (tmp_path / "vocabulary").write_text("".join(f"1 {word}\n" for word in words))
    vectors = np.eye(20, dtype=np.float32)
    vectors[3:, 0] = np.linspace(0.9, 0.1, 17)  # the later, the farther from the answer, which is w0's direction
    model = serving_model.ServingModel(vectors, str(tmp_path / "vocabulary"))
    examples = tf.constant([Question("b", "s", ("w1", "w0", "w1", word), 1.0).serialize() for word in words[2:]])
    ranks = model.evaluate(examples)["answers"].numpy()[:, 1]
    assert ranks[1:].tolist() == [1, 2, 3, 4, 5] + [math.inf] * 12
