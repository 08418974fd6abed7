from __future__ import annotations

import json

import numpy as np
import pytest

from word2vec import saved_vectors, vocabulary
from word2vec.errors import UserError
from word2vec.serving_model import ServingModel
from word2vec.settings import SubwordSettings
from word2vec.subwords import Buckets, Subwords
from word2vec.training import alignment, model, samplers, warm_start


def make(words, dimensions=4, bias="expected_count", subwords=None):
    counts = np.arange(len(words), 0, -1)
    made = model.Word2Vec(
        len(words), dimensions, window=2, block_length=4, blocks_per_step=1, bias=bias,
        sampler=samplers.make("unigram", counts, 0.75), subwords=subwords and Subwords.of(words, subwords),
    )  # fmt: skip
    return vocabulary.Vocabulary(words, counts), made


def export(folder, words, dimensions=4, bias="expected_count", architecture="skipgram", subwords=None):
    """An earlier run's SavedModel."""
    _, made = make(words, dimensions, bias, subwords)
    for place, table in enumerate(made.tables):
        table.embeddings.assign(np.random.default_rng(place).normal(size=table.embeddings.shape))
    path = folder / vocabulary.ASSET
    path.write_text("".join(f"9 {word}\n" for word in words))
    serving = str(folder / "Format-Serving")
    table, buckets = made.target.embeddings.numpy(), None
    if subwords:
        buckets = Buckets(subwords, made.subwords.buckets, table[len(words) :])
        table = made.subwords.compose(table)
    ServingModel(table, str(path), buckets=buckets).save(serving)
    tables = {table.name: table.embeddings.numpy() for table in made.tables if table.name != "target"}
    warm_start.write(serving, tables, "a space", architecture)
    return serving, made


def start(serving, words, made):
    warm_start.load(warm_start.read(serving), words, made)


def test_kept_words_keep_their_vectors_new_ones_start_fresh_and_gone_ones_go(tmp_path):
    base, old = export(tmp_path, ["a", "b", "c"])
    words, made = make(["c", "new", "a"])
    fresh = made.target.embeddings.numpy()
    start(base, words, made)
    target, context = made.target.embeddings.numpy(), made.context.embeddings.numpy()
    np.testing.assert_allclose(target[[0, 2]], old.target.embeddings.numpy()[[2, 0]], rtol=1e-6)
    np.testing.assert_allclose(context[[0, 2]], old.context.embeddings.numpy()[[2, 0]], rtol=2**-8)
    np.testing.assert_array_equal(target[1], fresh[1])
    np.testing.assert_array_equal(context[1], np.zeros(4))


def test_the_context_vectors_take_half_their_size(tmp_path):
    base, old = export(tmp_path, [f"w{number}" for number in range(100)], bias="learned")
    assert (tmp_path / "Format-Serving" / saved_vectors.START / "context").stat().st_size == 100 * 4 * 2
    read = warm_start.read(base)
    np.testing.assert_array_equal(read.tables["bias"], old.bias.embeddings.numpy())
    assert (read.space, saved_vectors.space_of(base)) == ("a space", "a space")
    assert set(warm_start.read(base, vectors_alone=True).tables) == {"target"}


@pytest.mark.parametrize(("before", "now"), [("learned", "expected_count"), ("expected_count", "learned")])
def test_a_bias_may_come_or_go(tmp_path, before, now):
    base, old = export(tmp_path, ["a", "b"], bias=before)
    words, made = make(["a", "b"], bias=now)
    start(base, words, made)
    np.testing.assert_allclose(made.target.embeddings.numpy(), old.target.embeddings.numpy(), rtol=1e-6)


def test_other_dimensions_are_refused(tmp_path):
    base, _ = export(tmp_path, ["a", "b"], dimensions=3)
    with pytest.raises(UserError, match=r"trainer.dimensions = 4: the last blessed model.* has 3"):
        warm_start.check_dimensions(warm_start.read(base), 4)


def test_another_architecture_is_refused(tmp_path):
    base, _ = export(tmp_path, ["a", "b"], architecture="cbow")
    warm_start.check_same_kind(warm_start.read(base), "cbow", None)
    with pytest.raises(UserError, match=r"trainer.architecture = skipgram: the last blessed model.* is cbow"):
        warm_start.check_same_kind(warm_start.read(base), "skipgram", None)


NGRAMS = SubwordSettings(min=2, max=3, buckets=500)


def test_with_subwords_words_and_n_grams_keep_their_rows(tmp_path):
    base, old = export(tmp_path, ["abc", "abd", "xyz"], subwords=NGRAMS)
    words, made = make(["xyz", "abe", "abc"], subwords=NGRAMS)
    fresh = made.target.embeddings.numpy()
    read = warm_start.read(base)
    warm_start.check_same_kind(read, "skipgram", NGRAMS)
    warm_start.load(read, words, made)
    before, after = old.target.embeddings.numpy(), made.target.embeddings.numpy()
    np.testing.assert_allclose(after[[0, 2]], before[[2, 0]], atol=0.03)  # the n-grams' are kept at half their size
    np.testing.assert_array_equal(after[1], fresh[1])
    for number, row, first in zip(made.subwords.buckets, after[3:], fresh[3:], strict=True):
        there = old.subwords.buckets == number
        np.testing.assert_allclose(row, before[3:][there][0] if there.any() else first, rtol=1e-3)
    # Words that both have begin exactly where they ended.
    np.testing.assert_allclose(
        made.subwords.compose(after)[[0, 2]], old.subwords.compose(before)[[2, 0]], rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        (None, NGRAMS, r"trainer.subwords = \{min: 2, max: 3, buckets: 500\}: .* has null. Set trainer.subwords=null,"),
        (NGRAMS, None, r"trainer.subwords = null: .* has \{min: 2, max: 3, buckets: 500\}"),
        (NGRAMS, NGRAMS.model_copy(update={"max": 4}), r"trainer.subwords = \{min: 2, max: 4, buckets: 500\}"),
    ],
)
def test_other_subwords_are_refused(tmp_path, before, now, told):
    base, _ = export(tmp_path, ["abc", "abd"], subwords=before)
    with pytest.raises(UserError, match=told):
        warm_start.check_same_kind(warm_start.read(base), "skipgram", now)


def test_who_does_not_say_its_architecture_is_skip_gram(tmp_path):
    base, _ = export(tmp_path, ["a", "b"])
    path = tmp_path / "Format-Serving" / saved_vectors.START / "start.json"
    manifest = json.loads(path.read_text())
    del manifest["architecture"]
    path.write_text(json.dumps(manifest))
    assert warm_start.read(base).architecture == "skipgram"


def test_a_model_of_an_earlier_release_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"nothing to start from.*trainer.warm_start=false"):
        warm_start.read(str(tmp_path / "Format-Serving"))
    assert saved_vectors.space_of(str(tmp_path / "Format-Serving")) is None


@pytest.mark.parametrize("damage", ["emptied", "cut", "changed", "gone"])
@pytest.mark.parametrize("part", ["assets.extra/start/context", "assets.extra/start/start.json", "variables/*.index"])
def test_what_is_damaged_is_one_error(tmp_path, part, damage):
    base, _ = export(tmp_path, ["a", "b"])
    (path,) = (tmp_path / "Format-Serving").glob(part)
    content = path.read_bytes()
    damaged = {"emptied": b"", "cut": content[: len(content) // 2], "changed": bytes(255 - byte for byte in content)}
    path.write_bytes(damaged.get(damage, b""))
    if damage == "gone":
        path.unlink()
    with pytest.raises(UserError, match=r"trainer.warm_start=false"):
        warm_start.read(base)


def test_a_manifest_of_somebody_else_is_one_error(tmp_path):
    base, _ = export(tmp_path, ["a", "b"])
    path = tmp_path / "Format-Serving" / saved_vectors.START / "start.json"
    for content in ("[]", "{}", json.dumps({"space": "x", "files": {"../vocabulary": {}}})):
        path.write_text(content)
        with pytest.raises(UserError, match="is damaged"):
            warm_start.read(base)


def test_the_rotation_brings_a_turned_model_back(tmp_path):
    words = [f"w{number}" for number in range(30)]
    base, old = export(tmp_path, words)
    turn, _ = np.linalg.qr(np.random.default_rng(7).normal(size=(4, 4)))
    before = old.target.embeddings.numpy()
    turned = (before @ turn).astype(np.float32)
    vocabulary_now = vocabulary.Vocabulary(words, np.arange(30, 0, -1))
    back = alignment.turn(turned, warm_start.rotation(warm_start.read(base), vocabulary_now, turned))
    np.testing.assert_allclose(back, before, atol=1e-5)
    strangers = vocabulary.Vocabulary(["x", "y"], np.array([2, 1]))
    assert warm_start.rotation(warm_start.read(base), strangers, turned[:2]) is None
