from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import tensorflow as tf
from gensim.models import fasttext

from word2vec import search, serving_model, vectors
from word2vec.questions import Question, serialize
from word2vec.settings import SubwordSettings
from word2vec.signatures import MOST_ANSWERS, MOST_NEIGHBOURS
from word2vec.subwords import Buckets, Subwords
from word2vec.vocabulary import Vocabulary

WORDS = ["the", "king", "queen", "man", "woman", "tea"]
VECTORS = np.array([[1, 1, 1], [2, 0, 2], [-0.5, 2, 1.4], [1, 0, 0.2], [0, 1, 0.2], [-1, 1, 0]], np.float32)


@pytest.fixture(scope="module", params=["small chunks", "large chunks"])
def signatures(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("serving")
    (folder / "vocabulary").write_text("".join(f"{60 - 10 * place}.0 {word}\n" for place, word in enumerate(WORDS)))
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "small chunks":
            patch.setattr(search, "QUERIES_AT_A_TIME", 2)
            patch.setattr(search, "SCORES_AT_A_TIME", 8)
            patch.setattr(search, "_GROUP", 3)
        serving_model.ServingModel(VECTORS, str(folder / "vocabulary")).save(str(folder / "model"))
    (folder / "vocabulary").unlink()  # the model carries its own
    return tf.saved_model.load(str(folder / "model")).signatures


@pytest.fixture(scope="module")
def with_phrases(tmp_path_factory):
    """The signatures of a model of which words were joined in two passes."""
    folder = tmp_path_factory.mktemp("phrases")
    words = ["the", "new_york", "new_york_city", "city", "york", "tea"]
    (folder / "vocabulary").write_text("".join(f"{60 - 10 * place}.0 {word}\n" for place, word in enumerate(words)))
    paths = [folder / f"phrases_{number}" for number in (1, 2)]
    paths[0].write_text("9.5 new+york\n")
    paths[1].write_text("8.5 new_york+city\n")
    model = serving_model.ServingModel(VECTORS, str(folder / "vocabulary"), [str(path) for path in paths])
    model.save(str(folder / "model"))
    for path in paths:
        path.unlink()  # the model carries its own
    return tf.saved_model.load(str(folder / "model")).signatures


def test_phrases_are_found_with_blanks_and_without(with_phrases):
    words = [
        "New York",
        "new_york",
        "  new\tyork ",
        "new_york city",
        "New <b>York</b> City!",
        "york new",
        "new",
        "york",
    ]
    answer = with_phrases["serving_default"](words=tf.constant(words))
    assert answer["known"].numpy().tolist() == [True, True, True, True, True, False, False, True]
    np.testing.assert_allclose(answer["embeddings"].numpy()[:5], VECTORS[[1, 1, 1, 2, 2]], rtol=1e-6)
    listed = with_phrases["n_similarity"](words1=tf.constant(["new_york tea"]), words2=tf.constant(["tea new_york"]))
    np.testing.assert_allclose(listed["cosine"].numpy(), [1], rtol=1e-6)


def test_phrases_of_a_text_are_joined_as_in_training(with_phrases):
    texts = ["tea", "New York", "new york city", "new. York", "york, new", "City of New York City Tea"]
    answer = with_phrases["embed_text"](texts=tf.constant(texts))
    np.testing.assert_allclose(answer["known_share"].numpy(), [1, 1, 1, 1, 1 / 2, 3 / 4])
    weight = 1e-3 / (1e-3 + np.arange(60, 0, -10) / 210)
    expected = [(weight[ids, np.newaxis] * VECTORS[ids]).mean(0) for ids in ([5], [1], [2], [1], [4], [3, 2, 5])]
    np.testing.assert_allclose(answer["embeddings"].numpy(), expected, rtol=1e-5)


NGRAMS = SubwordSettings(min=2, max=4, buckets=100_000)


@pytest.fixture(scope="module")
def composing(tmp_path_factory):
    """The signatures of a model with subwords, and gensim's with the same vectors."""
    folder = tmp_path_factory.mktemp("subwords")
    (folder / "vocabulary").write_text("".join(f"{60 - 10 * place}.0 {word}\n" for place, word in enumerate(WORDS)))
    made = Subwords.of(WORDS, NGRAMS)
    draw = np.random.default_rng(2)
    rows = draw.normal(size=(len(made.buckets), 3)).astype(np.float16).astype(np.float32)
    table = np.concatenate([made.own_rows(VECTORS, rows), rows])
    buckets = Buckets(NGRAMS, made.buckets, rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "QUERIES_AT_A_TIME", 2)
        serving_model.ServingModel(made.compose(table), str(folder / "vocabulary"), buckets=buckets).save(
            str(folder / "model")
        )
    counts = Vocabulary(WORDS, np.arange(60, 0, -10))
    (path,) = vectors.write_fasttext(str(folder), counts, VECTORS, buckets)
    return tf.saved_model.load(str(folder / "model")).signatures, fasttext.load_facebook_vectors(path)


ASKED = ["Queen", "queens", "KINGLY", "", "zz", "two words", b"\xff", "a" * 200, "womanish", "queens"]
KNOWN = [place == 0 for place in range(len(ASKED))]
COMPOSED = [False, True, True, False, False, False, False, False, True, True]


def test_words_are_composed_of_their_n_grams_as_by_gensim(composing):
    ask, theirs = composing
    answer = ask["serving_default"](words=tf.constant(ASKED))
    assert answer["known"].numpy().tolist() == KNOWN
    assert answer["composed"].numpy().tolist() == COMPOSED
    for word, known, composed, row in zip(ASKED, KNOWN, COMPOSED, answer["embeddings"].numpy(), strict=True):
        expected = theirs[word.lower()] if known or composed else np.zeros(3)
        np.testing.assert_allclose(row, expected, atol=1e-6)


def test_composed_words_have_neighbours_as_by_gensim(composing):
    ask, theirs = composing
    words = ["queens", "nothing-of-it", "king", "womanish"]
    answer = ask["most_similar"](words=tf.constant(words), k=tf.constant(3))
    assert answer["known"].numpy().tolist() == [False, False, True, False]
    assert answer["composed"].numpy().tolist() == [True, False, False, True]
    for row in (0, 2, 3):
        expected = theirs.most_similar(words[row], topn=3)
        assert [name.decode() for name in answer["neighbours"].numpy()[row]] == [word for word, _ in expected]
        np.testing.assert_allclose(answer["scores"].numpy()[row], [score for _, score in expected], rtol=1e-4)
    nearest = {"positive": ["kings queens", "kings"], "negative": ["man", "zz"], "restrict_vocab": [0, 0]}
    for signature, method in (("nearest", "most_similar"), ("nearest_cosmul", "most_similar_cosmul")):
        answer = ask[signature](**{name: tf.constant(value) for name, value in nearest.items()}, k=tf.constant(4))
        assert answer["composed"].numpy().tolist() == [True, False]
        assert answer["neighbours"].numpy()[1].tolist() == [b""] * 4
        expected = getattr(theirs, method)(["kings", "queens"], ["man"], topn=4)
        assert [name.decode() for name in answer["neighbours"].numpy()[0]] == [word for word, _ in expected]
        np.testing.assert_allclose(answer["scores"].numpy()[0], [score for _, score in expected], rtol=1e-4)


def test_every_signature_takes_composed_words(composing):
    ask, theirs = composing
    similar = ask["similarity"](word1=tf.constant(["kings", "king", "zz"]), word2=tf.constant(["queens", "man", "man"]))
    assert similar["composed"].numpy().tolist() == [True, False, False]
    expected = [theirs.similarity("kings", "queens"), theirs.similarity("king", "man"), 0]
    np.testing.assert_allclose(similar["cosine"].numpy(), expected, rtol=1e-5)
    analogy = ask["analogy"](
        a=tf.constant(["mans"]), b=tf.constant(["kings"]), c=tf.constant(["woman"]), k=tf.constant(2)
    )
    expected = [word.encode() for word, _ in theirs.most_similar(["kings", "woman"], ["mans"], topn=2)]
    assert (analogy["answers"].numpy()[0].tolist(), analogy["composed"].numpy().tolist()) == (expected, [True])
    odd = ask["doesnt_match"](words=tf.constant(["kings queens tea", "zz"]))
    assert odd["word"].numpy()[0].decode() == theirs.doesnt_match(["kings", "queens", "tea"])
    assert (odd["known"].numpy().tolist(), odd["composed"].numpy().tolist()) == ([True, False], [False, False])
    both = ask["n_similarity"](words1=tf.constant(["kings man"]), words2=tf.constant(["queens"]))
    np.testing.assert_allclose(both["cosine"].numpy(), [theirs.n_similarity(["kings", "man"], ["queens"])], rtol=1e-5)
    assert (both["known"].numpy().tolist(), both["composed"].numpy().tolist()) == ([False], [True])
    rank = ask["rank"](word1=tf.constant(["kings"]), word2=tf.constant(["tea"]))
    scores = [theirs.similarity("kings", word) for word in WORDS]
    assert rank["rank"].numpy().tolist() == [1 + sum(score > scores[5] for score in scores)]
    by_vector = {"vectors": tf.constant([theirs["kings"]]), "k": tf.constant(1), "restrict_vocab": tf.constant([0])}
    ((first,),) = ask["nearest_to_vector"](without=tf.constant(["zz kings"]), **by_vector)["neighbours"].numpy()
    assert first.decode() == theirs.most_similar("kings", topn=1)[0][0]
    without = ask["nearest_to_vector"](without=tf.constant([b"kings " + first]), **by_vector)
    assert without["neighbours"].numpy()[0, 0].decode() == theirs.most_similar("kings", topn=2)[1][0]


def test_of_a_composed_word_all_words_are_neighbours(composing):
    ask, _ = composing
    answer = ask["most_similar"](words=tf.constant(["kings", "king", "zz"]), k=tf.constant(100))
    found = answer["neighbours"].numpy()
    assert [sum(word != b"" for word in row) for row in found] == [6, 5, 0]
    assert set(found[0].tolist()) == {word.encode() for word in WORDS}


def test_texts_have_composed_words_of_weight_one(composing):
    ask, theirs = composing
    answer = ask["embed_text"](texts=tf.constant(["Kings, the ZZ", "zz", "queens kings queens"]))
    np.testing.assert_allclose(answer["known_share"].numpy(), [1 / 3, 0, 0])
    np.testing.assert_allclose(answer["composed_share"].numpy(), [1 / 3, 0, 1])
    the = 1e-3 / (1e-3 + 60 / 210)
    expected = [(theirs["kings"] + the * theirs["the"]) / 2, np.zeros(3), (2 * theirs["queens"] + theirs["kings"]) / 3]
    np.testing.assert_allclose(answer["embeddings"].numpy(), expected, atol=1e-6)


def test_questions_are_judged_with_composed_words_if_that_is_asked(composing):
    ask, theirs = composing
    asked = [("kings", "tea"), ("king", "tea"), ("man", "kings", "woman", "queen"), ("zz", "tea")]
    known, composed = (
        ask[name](examples=one_each(asked))["answers"].numpy()[:, 0] for name in ("evaluate", "evaluate_composed")
    )
    assert np.isnan(known).all(1).tolist() == [True, False, True, True]
    np.testing.assert_array_equal(composed[:, 3], [1, 0, 1, 0])
    np.testing.assert_allclose(composed[0, 0], theirs.similarity("kings", "tea"), rtol=1e-5)
    np.testing.assert_array_equal(composed[1, :3], known[1])
    ranked = [word for word, _ in theirs.most_similar(["kings", "woman"], ["man"], topn=6)]
    assert composed[2, 1] == 1 + ranked.index("queen")
    assert np.isnan(composed[3, :3]).all()


def test_a_model_without_n_grams_for_its_words_composes_nothing(tmp_path):
    (tmp_path / "vocabulary").write_text("".join(f"9 {word}\n" for word in WORDS))
    none = Buckets(SubwordSettings(min=16, max=16), np.zeros(0, np.int32), np.zeros((0, 3), np.float32))
    model = serving_model.ServingModel(VECTORS, str(tmp_path / "vocabulary"), buckets=none)
    answer = model.embed(tf.constant(["king", "x" * 20]))
    assert (answer["known"].numpy().tolist(), answer["composed"].numpy().tolist()) == ([True, False], [False, False])


def cosine(a, b):
    return VECTORS[a] @ VECTORS[b] / np.linalg.norm(VECTORS[a]) / np.linalg.norm(VECTORS[b])


def test_embeddings_of_known_and_unknown_words(signatures):
    answer = signatures["serving_default"](words=tf.constant(["Queen", "nothing", "", "tea", b"\xff"]))
    assert answer["known"].numpy().tolist() == [True, False, False, True, False]
    expected = np.stack([VECTORS[2], [0] * 3, [0] * 3, VECTORS[5], [0] * 3])
    np.testing.assert_allclose(answer["embeddings"].numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize(
    "word", ["t&#101;a", "t\u00adea", "te\u200da", "<b>T</b>ea", "Tea™", "tea¹", "&zwnj;tea", "(tea)"]
)
def test_words_are_normalised_as_the_corpus_was(signatures, word):
    assert signatures["serving_default"](words=tf.constant([word]))["known"].numpy().tolist() == [True]


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
    assert signatures["evaluate"](examples=tf.constant([], tf.string))["answers"].shape == (0, 0, 3)


def test_evaluate_answers_analogies_and_pairs(signatures):
    asked = [
        ("man", "king", "woman", "queen"),
        ("man", "king", "woman", "tea"),
        ("Tea", "THE"),
        ("tea", "nothing"),
        ("man", "king", "nothing", "queen"),
        ("king", "king"),
    ]
    answers = signatures["evaluate"](examples=one_each(asked))["answers"].numpy()
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
    np.testing.assert_allclose(answers, np.array(expected)[:, np.newaxis], rtol=1e-5)
    assert rank["add", 2] == 1 < rank["add", 5]
    together = list(serialize(Question("b", "s", words, 1.0) for words in [*asked, ("tea", "the")]))
    answers = signatures["evaluate"](examples=tf.constant(together))["answers"].numpy()
    analogies, pairs = (np.array([expected[place] for place in places]) for places in ([0, 1, 4], [2, 3, 5, 2]))
    np.testing.assert_allclose(answers[0], [*analogies, [nan] * 3], rtol=1e-5)  # filled up
    np.testing.assert_allclose(answers[1], pairs, rtol=1e-5)


def one_each(asked):
    """An example for each question."""
    return tf.constant([example for words in asked for example in serialize([Question("b", "s", words, 1.0)])])


def test_ranks_go_down_to_the_last_word(tmp_path):
    words = [f"w{number}" for number in range(20)]
    (tmp_path / "vocabulary").write_text("".join(f"1 {word}\n" for word in words))
    vectors = np.eye(20, dtype=np.float32)
    vectors[3:, 0] = np.linspace(0.9, 0.1, 17)  # the later, the farther from the answer, which is w0's direction
    model = serving_model.ServingModel(vectors, str(tmp_path / "vocabulary"))
    ranks = model.evaluate(one_each([("w1", "w0", "w1", word) for word in words]))["answers"].numpy()[:, 0, 1]
    # w0 and w1 are of the question, hence no answers; all others are.
    assert ranks.tolist() == [math.inf, math.inf, 18, *range(1, 18)]


def test_each_row_has_its_own_k(signatures):
    answer = signatures["most_similar"](words=tf.constant(["king", "nothing", "tea"]), k=tf.constant([1, 3, -2]))
    found = answer["neighbours"].numpy()
    assert found.shape == (3, 3)
    assert found.tolist() == [[b"man", b"", b""], [b""] * 3, [b""] * 3]
    assert answer["scores"].numpy()[0, 1:].tolist() == [0, 0]


def test_no_more_than_so_many_neighbours(tmp_path):
    words = [f"w{number}" for number in range(1200)]
    (tmp_path / "vocabulary").write_text("".join(f"1 {word}\n" for word in words))
    vectors = np.random.default_rng(1).normal(size=(1200, 4)).astype(np.float32)
    model = serving_model.ServingModel(vectors, str(tmp_path / "vocabulary"))
    answer = model.most_similar(tf.constant(["w3"]), tf.constant(2**31 - 1))
    assert answer["neighbours"].shape == (1, MOST_NEIGHBOURS)


def test_similarity(signatures):
    word1, word2 = ["king", "TEA", "nothing", "", "tea"], ["queen", "tea", "tea", "", b"\xff\xfe"]
    answer = signatures["similarity"](word1=tf.constant(word1), word2=tf.constant(word2))
    assert answer["known"].numpy().tolist() == [True, True, False, False, False]
    np.testing.assert_allclose(answer["cosine"].numpy(), [cosine(1, 2), 1, 0, 0, 0], rtol=1e-6)


def test_analogy(signatures):
    a, b, c = ["man", "man", "nothing"], ["King", "man", "king"], ["woman", "tea", "woman"]
    answer = signatures["analogy"](a=tf.constant(a), b=tf.constant(b), c=tf.constant(c), k=tf.constant([2, 9, 2]))
    assert answer["known"].numpy().tolist() == [True, True, False]
    unit = VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)
    wanted = unit[1] - unit[3] + unit[4]
    scores = unit @ wanted / np.linalg.norm(wanted)
    best = sorted((0, 2, 5), key=lambda place: -scores[place])
    assert answer["answers"].numpy()[0].tolist() == [WORDS[place].encode() for place in best[:2]] + [b""] * 3
    np.testing.assert_allclose(answer["scores"].numpy()[0], [*scores[best[:2]], 0, 0, 0], rtol=1e-5)
    # Of six words, two of which are given, one of them twice, four are left.
    assert [word == b"" for word in answer["answers"].numpy()[1].tolist()] == [False] * 4 + [True]
    assert answer["answers"].numpy()[2].tolist() == [b""] * 5


def test_texts_are_weighted_means(signatures):
    texts = ["The tea, the TEA of nowhere", "", "nothing", "king", "<b>Queen</b> &amp; king"]
    answer = signatures["embed_text"](texts=tf.constant(texts))
    np.testing.assert_allclose(answer["known_share"].numpy(), [4 / 6, 0, 0, 1, 1], rtol=1e-6)
    counts = np.array([60, 50, 40, 30, 20, 10])
    weights = 1e-3 / (1e-3 + counts / counts.sum())
    rows = weights[:, np.newaxis] * VECTORS
    expected = [(rows[0] + rows[5]) / 2, [0] * 3, [0] * 3, rows[1], (rows[1] + rows[2]) / 2]
    np.testing.assert_allclose(answer["embeddings"].numpy(), np.stack(expected), rtol=1e-5, atol=1e-8)


def test_what_texts_have_in_common_is_taken_off(tmp_path):
    (tmp_path / "vocabulary").write_text("".join(f"{60 - 10 * place}.0 {word}\n" for place, word in enumerate(WORDS)))
    common = np.array([0.6, 0, 0.8], np.float32)
    model = serving_model.ServingModel(VECTORS, str(tmp_path / "vocabulary"), common=common)
    texts = tf.constant(["The tea, the TEA of nowhere", "", "queen"])
    whole, rest = (ask(texts)["embeddings"].numpy() for ask in (model.embed_text, model.embed_text_sif))
    np.testing.assert_allclose(rest @ common, np.zeros(3), atol=1e-6)
    np.testing.assert_allclose(rest, whole - np.outer(whole @ common, common), atol=1e-6)
    assert np.abs(rest).max() > 0


HOSTILE = [
    "",
    " ",
    b"\xff\xfe\x00",
    "a" * 1_000_000,
    "king " * 200_000,
    "\u0301",
    "\x00",
    "'",
    "<b>",
    "\U0001f600" * 99,
]


def test_hostile_words_are_unknown_words(signatures):
    words, number = tf.constant(HOSTILE), len(HOSTILE)
    answers = [
        signatures["serving_default"](words=words),
        signatures["most_similar"](words=words, k=tf.constant(2)),
        signatures["similarity"](word1=words, word2=words),
        signatures["analogy"](a=words, b=words, c=words, k=tf.fill([number], 2)),
    ]
    for answer in answers:
        assert answer["known"].numpy().tolist() == [False] * number
    texts = signatures["embed_text"](texts=words)
    np.testing.assert_array_equal(texts["known_share"].numpy() > 0, [place == 4 for place in range(number)])
    assert np.isfinite(texts["embeddings"].numpy()).all()


@pytest.mark.parametrize("signature", ["similarity", "analogy", "embed_text"])
def test_empty_batches(signatures, signature):
    nothing = tf.constant([], tf.string)
    inputs = {
        "similarity": {"word1": nothing, "word2": nothing},
        "analogy": {"a": nothing, "b": nothing, "c": nothing, "k": tf.constant([], tf.int32)},
        "embed_text": {"texts": nothing},
    }
    assert all(value.shape[0] == 0 for value in signatures[signature](**inputs[signature]).values())


def test_the_vectors_are_stored_once(tmp_path):
    words, draw = [f"word{number}" for number in range(30_000)], np.random.default_rng(1)
    (tmp_path / "vocabulary").write_text("".join(f"9 {word}\n" for word in words))
    vectors = draw.normal(size=(len(words), 100)).astype(np.float32)
    serving_model.ServingModel(vectors, str(tmp_path / "vocabulary")).save(str(tmp_path / "model"))
    size = sum(path.stat().st_size for path in (tmp_path / "model").rglob("*") if path.is_file())
    graph = (tmp_path / "model" / "saved_model.pb").stat().st_size
    assert vectors.nbytes < size - graph < 1.1 * vectors.nbytes
    assert graph < 1_100_000  # TensorFlow reads it once, whatever the vocabulary's size


def test_rows_times_neighbours_are_bounded_in_the_graph(tmp_path):
    """Whichever server serves it."""
    words, vectors = 1200, np.random.default_rng(0).normal(size=(1200, 2)).astype(np.float32)
    (tmp_path / "vocabulary").write_text("".join(f"{9000 - n}.0 w{n}\n" for n in range(words)))
    model = serving_model.ServingModel(vectors, str(tmp_path / "vocabulary"))
    k = MOST_NEIGHBOURS
    rows = MOST_ANSWERS // k
    assert model.most_similar(tf.fill([rows], "w1"), tf.constant(k))["neighbours"].shape == (rows, k)
    with pytest.raises(tf.errors.InvalidArgumentError, match="rows x neighbours: at most 1,000,000"):
        model.most_similar(tf.fill([rows + 1], "w1"), tf.constant(k))


# Of TensorFlow Text, TF Serving links these, and the model needs no more.
TEXT_OPS = {"CaseFoldUTF8", "NormalizeUTF8"}


@pytest.mark.parametrize("composes", [False, True])
def test_the_ops_are_tensorflows_own_and_two_of_tensorflow_text(tmp_path, composes):
    """A model with any other op loads here, and not in TF Serving."""
    from tensorflow.core.protobuf import saved_model_pb2

    (tmp_path / "vocabulary").write_text("".join(f"{60 - 10 * place}.0 {word}\n" for place, word in enumerate(WORDS)))
    rows = Buckets(NGRAMS, np.array([7], np.int32), np.ones((1, 3), np.float32)) if composes else None
    serving_model.ServingModel(VECTORS, str(tmp_path / "vocabulary"), buckets=rows).save(str(tmp_path / "model"))
    (graph,) = saved_model_pb2.SavedModel.FromString((tmp_path / "model" / "saved_model.pb").read_bytes()).meta_graphs
    functions = {function.signature.name for function in graph.graph_def.library.function}
    nodes = itertools.chain(graph.graph_def.node, *(function.node_def for function in graph.graph_def.library.function))
    ops = {node.op for node in nodes} - functions
    own = {op for op in ops if hasattr(tf.raw_ops, op)}
    assert ops - own <= TEXT_OPS
    assert {"CaseFoldUTF8", "LookupTableFindV2", "MatMul"} <= ops


@pytest.mark.parametrize(
    ("words", "why"), [(5, "words: expected 4 per question"), (4 * 257, "words: at most 256 questions per example")]
)
def test_examples_are_bounded(signatures, words, why):
    feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[b""] * words))
    example = tf.train.Example(features=tf.train.Features(feature={"words": feature}))
    with pytest.raises(tf.errors.InvalidArgumentError, match=why):
        signatures["evaluate"](examples=tf.constant([b"", example.SerializeToString()]))
