"""A version that is not whole is not served, whatever is wrong with it."""

from __future__ import annotations

import concurrent.futures
import shutil
import types

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from serving import verification
from serving.versions import Version
from tests.serving.conftest import VECTORS, WORDS, make_version
from word2vec import serving_model, vocabulary, warmup
from word2vec.errors import UserError
from word2vec.settings import SubwordSettings
from word2vec.signatures import LATER, SIGNATURES, WITH_SUBWORDS
from word2vec.subwords import Buckets


@pytest.fixture(scope="module")
def other_version(tmp_path_factory):
    """Of half the vectors' width, and of other words."""
    folder = tmp_path_factory.mktemp("other")
    (folder / "vocabulary").write_text("".join(f"{30 - place}.0 x{place}\n" for place in range(20)))
    serving_model.ServingModel(VECTORS[:20, :6], str(folder / "vocabulary")).save(str(folder / "1"))
    return folder / "1"


def load(folder):
    with concurrent.futures.ThreadPoolExecutor(1) as threads:
        return Version(7, str(folder), threads, 1)


def test_a_whole_version_is_loaded(own_versions_folder):
    assert set(load(own_versions_folder / "7").signature_defs) == set(SIGNATURES) - WITH_SUBWORDS


def test_the_model_has_the_signatures_that_are_expected(own_versions_folder):
    for name, definition in load(own_versions_folder / "7").signature_defs.items():
        for what in ("inputs", "outputs"):
            there = {key: tf.as_dtype(info.dtype) for key, info in getattr(definition, what).items()}
            assert there == getattr(SIGNATURES[name], what)


def words_file(folder):
    return folder / "assets" / vocabulary.ASSET


def cut_words(folder, other):
    lines = words_file(folder).read_text().splitlines(keepends=True)
    words_file(folder).write_text("".join(lines[:10]))


def cut_within_a_word(folder, other):
    words_file(folder).write_bytes(words_file(folder).read_bytes()[:100])


def more_words(folder, other):
    with words_file(folder).open("a") as file:
        file.write("1.0 another\n")


def other_counts(folder, other):
    words_file(folder).write_text("".join(f"{place + 1}.0 {word}\n" for place, word in enumerate(WORDS)))


def words_without_counts(folder, other):
    words_file(folder).write_text("".join(f"{word}\n" for word in WORDS))


def words_that_nobody_can_ask_for(folder, other):
    text = words_file(folder).read_text()
    words_file(folder).write_text(
        "".join(f"{line.split()[0]} <{place}>\n" for place, line in enumerate(text.splitlines()))
    )


def no_words(folder, other):
    words_file(folder).write_bytes(b"")


def noise_for_words(folder, other):
    words_file(folder).write_bytes(np.random.default_rng(1).bytes(500))


def words_are_missing(folder, other):
    words_file(folder).unlink()


def words_of_another(folder, other):
    shutil.copy(words_file(other), words_file(folder))


def vectors_of_another(folder, other):
    shutil.rmtree(folder / "variables")
    shutil.copytree(other / "variables", folder / "variables")


def vectors_are_missing(folder, other):
    shutil.rmtree(folder / "variables")


def data_file(folder):
    (found,) = (folder / "variables").glob("variables.data*")
    return found


def vectors_are_cut(folder, other):
    data_file(folder).write_bytes(data_file(folder).read_bytes()[:-500])


def a_bit_is_turned(folder, other):
    data = bytearray(data_file(folder).read_bytes())
    data[200] ^= 1
    data_file(folder).write_bytes(data)


def graph_is_empty(folder, other):
    (folder / "saved_model.pb").write_bytes(b"")


def graph_is_noise(folder, other):
    (folder / "saved_model.pb").write_bytes(b"noise")


def graph_is_cut(folder, other):
    data = (folder / "saved_model.pb").read_bytes()
    (folder / "saved_model.pb").write_bytes(data[: len(data) // 2])


def without_signatures(folder, other):
    shutil.rmtree(folder)
    tf.saved_model.save(tf.Module(), str(folder))


def other_signatures(folder, other):
    module = tf.Module()
    module.call = tf.function(
        lambda words: {"known": words}, input_signature=[tf.TensorSpec([None], tf.int32, "words")]
    )
    shutil.rmtree(folder)
    signatures = dict.fromkeys(SIGNATURES, module.call.get_concrete_function())
    tf.saved_model.save(module, str(folder), signatures=signatures)


def warm_up_is_noise(folder, other):
    (folder / warmup.EXTRA / warmup.FILE).write_bytes(b"noise" * 50)


def test_a_version_from_before_the_later_signatures_is_loaded(own_versions_folder):
    folder = own_versions_folder / "7"
    path = folder / "saved_model.pb"
    saved = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    for name in LATER - WITH_SUBWORDS:
        del saved.meta_graphs[0].signature_def[name]
    path.write_bytes(saved.SerializeToString())
    (folder / warmup.EXTRA / warmup.FILE).unlink()
    assert set(load(folder).signature_defs) == set(SIGNATURES) - LATER


def composing(folder, rows):
    """A version with subwords, with some rows of n-grams."""
    folder.mkdir()
    (folder / "vocabulary").write_text("".join(f"{30 - place}.0 x{place}\n" for place in range(20)))
    buckets = Buckets(SubwordSettings(), np.arange(len(rows), dtype=np.int32), rows)
    serving_model.ServingModel(VECTORS[:20], str(folder / "vocabulary"), buckets=buckets).save(str(folder / "1"))
    return folder / "1"


def test_a_version_with_subwords_is_loaded(tmp_path):
    folder = composing(tmp_path / "subwords", np.ones((50, VECTORS.shape[1]), np.float32))
    assert set(load(folder).signature_defs) == set(SIGNATURES)


def test_rows_of_n_grams_that_do_not_fit_are_said(tmp_path):
    with pytest.raises(UserError, match="n-grams are no finite"):
        load(composing(tmp_path / "a", np.full((50, VECTORS.shape[1]), np.nan, np.float32)))
    sizes = {"unit": (20, 12), "ngrams": (3,), "ngram_buckets": (50,), "ngram_rows": (50, 3)}
    model = types.SimpleNamespace(**{name: np.ones(size) for name, size in sizes.items()})
    with pytest.raises(UserError, match=r"n-grams are \[50\], and their rows of other sizes: \[50, 3\]"):
        verification._check_ngrams(model)


DAMAGES = [
    cut_words, cut_within_a_word, more_words, other_counts, words_without_counts, words_that_nobody_can_ask_for,
    no_words, noise_for_words, words_are_missing, words_of_another, vectors_of_another, vectors_are_missing,
    vectors_are_cut, a_bit_is_turned, graph_is_empty, graph_is_noise, graph_is_cut, without_signatures,
    other_signatures, warm_up_is_noise,
]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_version_is_not_loaded(own_versions_folder, other_version, damage):
    damage(own_versions_folder / "7", other_version)
    with pytest.raises(Exception) as caught:  # noqa: PT011  (TensorFlow's errors are of many kinds)
        load(own_versions_folder / "7")
    assert not isinstance(caught.value, AttributeError | AssertionError)


def test_vectors_that_are_no_numbers(tmp_path):
    vectors = VECTORS.copy()
    vectors[3] = np.nan
    with pytest.raises(Exception, match="finite"):
        load(make_version(tmp_path / "m", 7, vectors) / "7")
