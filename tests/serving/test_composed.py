"""Words that the vocabulary has not, asked of a served model with subwords."""

from __future__ import annotations

import numpy as np
import pytest
from gensim.models import fasttext
from selenium.webdriver.support.wait import WebDriverWait

from serving import export
from serving.client import Embeddings
from tests import chromium
from tests.serving.conftest import VECTORS, WORDS, Server
from tests.serving.test_page import ask, listed
from word2vec import serving_model
from word2vec.settings import SubwordSettings
from word2vec.subwords import Buckets, Subwords

TYPOS = ["queeen", "quen", "womann", "woemn", "coffe", "cofee", "cofffee", "naïves", "kingg", "teaa"]


@pytest.fixture(scope="module")
def version(tmp_path_factory):
    folder = tmp_path_factory.mktemp("composing")
    (folder / "vocabulary").write_text("".join(f"{900 - 10 * place}.0 {word}\n" for place, word in enumerate(WORDS)))
    settings = SubwordSettings(min=2, max=4, buckets=50_000)
    numbers = Subwords.of(WORDS, settings).buckets
    rows = np.random.default_rng(3).normal(size=(len(numbers), VECTORS.shape[1])).astype(np.float32)
    model = serving_model.ServingModel(VECTORS, str(folder / "vocabulary"), buckets=Buckets(settings, numbers, rows))
    model.save(str(folder / "word2vec" / "7"))
    return folder / "word2vec" / "7"


@pytest.fixture(scope="module")
def server(version):
    server = Server(version.parent)
    yield server
    assert server.stop() == 0


@pytest.fixture(scope="module")
def theirs(version, tmp_path_factory):
    """gensim's, of the file that is exported from the version."""
    folder = tmp_path_factory.mktemp("exported")
    assert export.main(["--model", str(version), "--form", "fasttext", "--to", str(folder)]) == 0
    return fasttext.load_facebook_vectors(str(folder / "fasttext.bin"))


@pytest.fixture(params=["grpc", "rest"])
def embeddings(request, server):
    with Embeddings(getattr(server, request.param)) as made:
        yield made


def test_typos_are_answered_as_by_gensim(embeddings, theirs):
    np.testing.assert_allclose(embeddings[TYPOS], [theirs[word] for word in TYPOS], atol=1e-5)
    for word in TYPOS:
        assert word in embeddings
        assert not embeddings.has_index_for(word)
        found, expected = (model.most_similar(word, topn=5) for model in (embeddings, theirs))
        assert [name for name, _ in found] == [name for name, _ in expected]
    assert embeddings.has_index_for("queen")


def test_what_is_asked_of_words_is_asked_of_typos_too(embeddings, theirs):
    assert embeddings.similarity("queeen", "queen") == pytest.approx(theirs.similarity("queeen", "queen"), abs=1e-5)
    found, expected = (model.most_similar(["queeen", "tea"], ["kingg"], topn=4) for model in (embeddings, theirs))
    assert [name for name, _ in found] == [name for name, _ in expected]
    best = theirs.most_similar(["kingg", "woman"], ["man"])[0][0]
    assert embeddings.analogy("man", "kingg", "woman", 3)[0][0] == best
    expected = [1 - theirs.similarity("teaa", word) for word in ("tea", "coffe")]  # its own takes known words alone
    np.testing.assert_allclose(embeddings.distances("teaa", ["tea", "coffe"]), expected, atol=1e-5)
    vector = embeddings.embed_texts(["queeen"])[0]
    np.testing.assert_allclose(vector, theirs["queeen"], atol=1e-5)


def test_what_has_no_n_gram_is_unknown(embeddings):
    assert "zzyzx" not in embeddings
    with pytest.raises(KeyError, match=r"^'unknown to the model: zzyzx'$"):
        embeddings.most_similar(["queeen", "zzyzx"])
    with pytest.raises(KeyError, match="zzyzx"):
        embeddings.vectors(["queeen", "zzyzx"])
    assert not embeddings.vectors(["zzyzx"], unknown="zero").any()


def test_the_page_answers_typos_and_says_what_they_are(server, theirs, tmp_path):
    with chromium.browser(tmp_path) as page:
        page.get(server.rest)
        ask(page, "similar", words="queeen")
        WebDriverWait(page, 30).until(lambda _: len(listed(page, "neighbours")) == 11)
        first, *others = listed(page, "neighbours")
        assert " ".join(first) == "not in the vocabulary: made of its n-grams"
        assert [word for _, word in others] == [word for word, _ in theirs.most_similar("queeen", topn=10)]
        ask(page, "similar", words="queen")
        WebDriverWait(page, 30).until(lambda _: len(listed(page, "neighbours")) == 10)
