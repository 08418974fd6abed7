"""On the same vectors the served model answers as gensim's `KeyedVectors` do."""

from __future__ import annotations

import gensim
import numpy as np
import pytest
import tensorflow as tf

from word2vec import search, serving_model
from word2vec.signatures import MOST_WORDS

V, D = 300, 9
WORDS = [f"w{place}" for place in range(V)]
VECTORS = (np.random.default_rng(7).normal(size=(V, D)) * np.linspace(0.1, 3, V)[:, None]).astype(np.float32)


@pytest.fixture(scope="module")
def theirs():
    made = gensim.models.KeyedVectors(D)
    made.add_vectors(WORDS, VECTORS)
    return made


@pytest.fixture(scope="module", params=["small chunks", "large chunks"])
def signatures(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("serving")
    (folder / "vocabulary").write_text("".join(f"{9000 - place}.0 {word}\n" for place, word in enumerate(WORDS)))
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "small chunks":
            patch.setattr(search, "QUERIES_AT_A_TIME", 2)
            patch.setattr(search, "SCORES_AT_A_TIME", 40)
            patch.setattr(search, "_GROUP", 3)
        serving_model.ServingModel(VECTORS, str(folder / "vocabulary")).save(str(folder / "model"))
    return tf.saved_model.load(str(folder / "model")).signatures


def found(answer, row):
    pairs = zip(answer["neighbours"].numpy()[row], answer["scores"].numpy()[row], strict=True)
    return [(word.decode(), float(score)) for word, score in pairs if word]


def assert_same(ours, theirs):
    assert [word for word, _ in ours] == [word for word, _ in theirs]
    np.testing.assert_allclose([score for _, score in ours], [score for _, score in theirs], rtol=1e-4, atol=1e-6)


CASES = [
    (["w1"], [], None),
    (["w1", "w2"], ["w3"], None),
    (["w1", "w2"], ["w3"], 50),
    (["w250"], ["w251", "w252", "w253"], 20),
    (["w9", "w9"], [], 1000),
    (["w3"], ["w3", "w4"], 2),
]


@pytest.mark.parametrize(
    ("signature", "method"), [("nearest", "most_similar"), ("nearest_cosmul", "most_similar_cosmul")]
)
def test_nearest(signatures, theirs, signature, method):
    """All rows together, each with its own words, its own k and its own restriction."""
    k = [10, 5, 10, 3, 7, 10]
    answer = signatures[signature](
        positive=tf.constant([" ".join(positive) for positive, _, _ in CASES]),
        negative=tf.constant([f"  {' '.join(negative)} " for _, negative, _ in CASES]),
        k=tf.constant(k),
        restrict_vocab=tf.constant([among or 0 for *_, among in CASES]),
    )
    assert answer["known"].numpy().all()
    for row, (positive, negative, among) in enumerate(CASES):
        if method == "most_similar":
            expected = theirs.most_similar(positive, negative, topn=k[row], restrict_vocab=among)
        else:  # theirs does not look at restrict_vocab
            expected = theirs.most_similar_cosmul(positive, negative, topn=V)
            expected = [(word, score) for word, score in expected if int(word[1:]) < (among or V)][: k[row]]
        assert_same(found(answer, row), expected)


def test_nearest_by_a_vector(signatures, theirs):
    vectors = np.random.default_rng(8).normal(size=(3, D)).astype(np.float32) * [[1e-20], [1], [1e30]]
    answer = signatures["nearest_to_vector"](
        vectors=tf.constant(vectors, tf.float32),
        without=tf.constant(["", "w1 nothing", "w5"]),
        k=tf.constant([4, 4, 9]),
        restrict_vocab=tf.constant([0, 10, 100]),
    )
    for row, (out, among, k) in enumerate([(None, None, 4), ("w1", 10, 4), ("w5", 100, 9)]):
        of_length_one = (vectors[row].astype(np.float64) / np.linalg.norm(vectors[row].astype(np.float64))).astype(
            np.float32
        )
        expected = theirs.similar_by_vector(of_length_one, topn=V, restrict_vocab=among)
        assert_same(found(answer, row), [pair for pair in expected if pair[0] != out][:k])


def test_a_vector_of_zeros_has_no_neighbours(signatures):
    nothing, one = tf.constant([""]), tf.constant([1])
    answer = signatures["nearest_to_vector"](vectors=tf.zeros([1, D]), without=nothing, k=one, restrict_vocab=one)
    assert not answer["known"].numpy().any()
    assert found(answer, 0) == []


@pytest.mark.parametrize(
    ("vectors", "why"),
    [(np.full((1, D), np.nan), "expected finite numbers"), (np.ones((1, D + 1)), "expected 9 numbers per row")],
)
def test_what_is_no_vector(signatures, vectors, why):
    nothing, one = tf.constant([""]), tf.constant([1])
    with pytest.raises(tf.errors.InvalidArgumentError, match=why):
        signatures["nearest_to_vector"](
            vectors=tf.constant(vectors, tf.float32), without=nothing, k=one, restrict_vocab=one
        )


@pytest.mark.parametrize("signature", ["nearest", "nearest_cosmul"])
def test_rows_without_an_answer(signatures, signature):
    answer = signatures[signature](
        positive=tf.constant(["w1", "w1 nothing", "", b"\xff", "w1"]),
        negative=tf.constant(["nothing", "", "", "", "w2"]),
        k=tf.constant(2),
        restrict_vocab=tf.zeros([5], tf.int32),
    )
    assert answer["known"].numpy().tolist() == [False] * 4 + [True]
    assert [len(found(answer, row)) for row in range(5)] == [0] * 4 + [2]


@pytest.mark.parametrize("signature", ["nearest", "nearest_cosmul"])
def test_one_restriction_is_for_all_rows(signatures, signature):
    rows = 2 * search.QUERIES_AT_A_TIME + 1
    asked = {"positive": tf.constant(["w1"] * rows), "negative": tf.constant([""] * rows), "k": tf.constant(3)}
    one, each = (signatures[signature](**asked, restrict_vocab=tf.fill([count], 50)) for count in (1, rows))
    assert one["neighbours"].numpy()[-1].tolist() == each["neighbours"].numpy()[-1].tolist() != [b""] * 3
    assert one["neighbours"].numpy().tolist() == each["neighbours"].numpy().tolist()
    with pytest.raises(tf.errors.InvalidArgumentError):
        signatures[signature](**asked, restrict_vocab=tf.fill([2], 50))


def test_a_row_gets_as_many_neighbours_whatever_the_others_are(signatures):
    most = len(WORDS) - 2
    asked = {"negative": tf.constant(["", ""]), "k": tf.constant(most), "restrict_vocab": tf.constant([0])}
    for other in ("w2", " ".join(WORDS[:50]), "w2 w2"):
        answer = signatures["nearest"](positive=tf.constant(["w1", other]), **asked)
        assert len(found(answer, 0)) == most


def test_rows_of_no_words_hold_no_more_than_others(signatures):
    empty = tf.constant([""] * search.QUERIES_AT_A_TIME)
    answer = signatures["nearest_cosmul"](
        positive=empty, negative=empty, k=tf.constant(1), restrict_vocab=tf.constant([0])
    )
    assert not answer["known"].numpy().any()
    _, queries = search.products(tf.zeros([7, 0, D]), tf.zeros([7, 0]))
    assert queries.numpy() == 7


def test_doesnt_match(signatures, theirs):
    lists = [["w1", "w2", "w3"], ["w7"], ["w10", "nothing", "w30", "w200", "w8"], []]
    answer = signatures["doesnt_match"](words=tf.constant([" ".join(words) for words in lists]))
    assert answer["known"].numpy().tolist() == [True] * 3 + [False]
    expected = [theirs.doesnt_match(words) for words in lists[:3]]
    assert [word.decode() for word in answer["word"].numpy()] == [*expected, ""]
    given = signatures["doesnt_match"](words=tf.constant(["W1"]))  # as it was given, not as the vocabulary has it
    assert given["word"].numpy().tolist() == [b"W1"]
    assert signatures["doesnt_match"](words=tf.constant(["nothing"]))["word"].numpy().tolist() == [b""]


def test_n_similarity(signatures, theirs):
    one, other = [["w1", "w2"], ["w1", "nothing"], ["nothing"], ["w5"]], [["w3"], ["w4", "w5"], ["w1"], []]
    joined = [tf.constant([" ".join(words) for words in side]) for side in (one, other)]
    answer = signatures["n_similarity"](words1=joined[0], words2=joined[1])
    assert answer["known"].numpy().tolist() == [True, True, False, False]
    expected = [theirs.n_similarity(one[row], other[row]) for row in range(2)]
    np.testing.assert_allclose(answer["cosine"].numpy(), [*expected, 0, 0], rtol=1e-5)


def test_rank(signatures, theirs):
    draw = np.random.default_rng(9)
    one, other = draw.choice(WORDS, 20), draw.choice(WORDS, 20)
    other[0] = one[0]
    answer = signatures["rank"](word1=tf.constant([*one, "nothing"]), word2=tf.constant([*other, "w1"]))
    assert answer["known"].numpy().tolist() == [True] * 20 + [False]
    assert answer["rank"].numpy().tolist() == [theirs.rank(*pair) for pair in zip(one, other, strict=True)] + [0]


@pytest.mark.parametrize(
    ("signature", "inputs"),
    [
        ("nearest", {"positive": "", "negative": ""}),
        ("doesnt_match", {"words": ""}),
        ("n_similarity", {"words1": "", "words2": ""}),
    ],
)
def test_words_of_a_row_are_bounded(signatures, signature, inputs):
    more = {"k": tf.constant([1]), "restrict_vocab": tf.constant([0])} if signature == "nearest" else {}
    for words, refused in ((MOST_WORDS, False), (MOST_WORDS + 1, True)):
        asked = {name: tf.constant(["w1 " * words]) for name in inputs}
        if not refused:
            assert signatures[signature](**asked, **more)["known"].numpy().all()
            continue
        with pytest.raises(tf.errors.InvalidArgumentError, match="at most 100 words per row"):
            signatures[signature](**asked, **more)


def test_empty_batches(signatures):
    nothing, none = tf.constant([], tf.string), tf.constant([], tf.int32)
    for signature, names in {
        "nearest": ("positive", "negative"),
        "nearest_cosmul": ("positive", "negative"),
        "doesnt_match": ("words",),
        "n_similarity": ("words1", "words2"),
        "rank": ("word1", "word2"),
    }.items():
        more = {"k": none, "restrict_vocab": none} if signature.startswith("nearest") else {}
        answer = signatures[signature](**dict.fromkeys(names, nothing), **more)
        assert all(value.shape[0] == 0 for value in answer.values())
