"""The same vectors, measured by us and by gensim, on all built-in benchmarks."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from gensim.models import KeyedVectors
from gensim.test.utils import datapath

from components.evaluator import statistics
from components.evaluator.statistics import Answers
from components.questions import files
from word2vec import questions
from word2vec.serving_model import ServingModel

FILES = {"google_analogies": "questions-words.txt", "wordsim353": "wordsim353.tsv", "simlex999": "simlex999.txt"}


@pytest.fixture(scope="module")
def asked():
    return files.read_all([f"builtin://{name}" for name in FILES])


@pytest.fixture(scope="module")
def keyed(asked):
    """Vectors of nine tenths of the words, in which many of the analogies hold."""
    draw = np.random.default_rng(1)
    words = sorted({word.lower() for question in asked for word in question.words})
    words = [words[place] for place in draw.permutation(len(words))][: len(words) * 9 // 10]
    place = {word: number for number, word in enumerate(words)}
    vectors = draw.normal(size=(len(words), 24)).astype(np.float32)
    for question in asked[::7]:
        if len(question.words) == 4 and all(word.lower() in place for word in question.words):
            a, b, c, d = (place[word.lower()] for word in question.words)
            vectors[d] = vectors[b] - vectors[a] + vectors[c] + draw.normal(size=24) * 0.3
    made = KeyedVectors(24)
    made.add_vectors(words, vectors)
    return made


@pytest.fixture(scope="module")
def answers(asked, keyed, tmp_path_factory):
    path = tmp_path_factory.mktemp("vocabulary") / "vocabulary"
    path.write_text("".join(f"1 {word}\n" for word in keyed.index_to_key))
    model = ServingModel(keyed.vectors, str(path))
    batches = [
        model.evaluate(tf.constant([next(questions.serialize([question])) for question in asked[start : start + 1000]]))
        for start in range(0, len(asked), 1000)
    ]
    labels = np.array([question.score for question in asked])
    is_analogy = np.array([question.kind == questions.ANALOGY for question in asked])
    return Answers(is_analogy, labels, np.concatenate([batch["answers"][:, 0] for batch in batches]).astype(float))


def of(answers, asked, benchmark, section=None):
    chosen = [
        question.benchmark == benchmark and (section is None or question.section == section) for question in asked
    ]
    return answers.take(np.array(chosen))


def test_analogies_by_section(asked, keyed, answers):
    total, sections = keyed.evaluate_word_analogies(datapath(FILES["google_analogies"]))
    ours = of(answers, asked, "google_analogies")
    assert statistics.MEASURES["analogy_accuracy"](ours.of_kind(True)) == pytest.approx(total, abs=1e-4)
    assert 0.05 < total < 0.95
    assert ours.covered.sum() == len(sections[-1]["correct"]) + len(sections[-1]["incorrect"])
    for section in sections[:-1]:
        right, wrong = len(section["correct"]), len(section["incorrect"])
        if right + wrong:
            ours = of(answers, asked, "google_analogies", section["section"]).of_kind(True)
            assert statistics.MEASURES["analogy_accuracy"](ours) == pytest.approx(right / (right + wrong), abs=1e-4)


@pytest.mark.parametrize("name", ["wordsim353", "simlex999"])
def test_pairs(asked, keyed, answers, name):
    pearson, spearman, unknown = keyed.evaluate_word_pairs(datapath(FILES[name]))
    ours = of(answers, asked, name)
    assert statistics.pearson(ours.of_kind(False)) == pytest.approx(pearson.statistic, abs=1e-4)
    assert statistics.spearman(ours.of_kind(False)) == pytest.approx(spearman.statistic, abs=1e-4)
    assert ours.coverage == pytest.approx(1 - unknown / 100, abs=1e-4)


def test_ranks_by_3cosadd_and_3cosmul(asked, keyed, answers):
    unit = KeyedVectors(24)  # gensim's 3CosMul takes vectors as they are for the words that it looks for
    unit.add_vectors(keyed.index_to_key, keyed.get_normed_vectors())
    places = np.flatnonzero(answers.covered & answers.is_analogy)[::40]
    for place in places:
        a, b, c, d = (word.lower() for word in asked[place].words)
        for name, search in (
            (questions.RANK_3COSADD, unit.most_similar),
            (questions.RANK_3COSMUL, unit.most_similar_cosmul),
        ):
            found = [word for word, _ in search(positive=[b, c], negative=[a], topn=50)]
            rank = answers.take(np.array([place])).column(name)[0]
            assert rank == found.index(d) + 1 if d in found else rank > 50
    assert len(places) > 200
