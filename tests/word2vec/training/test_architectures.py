from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.word2vec.test_pairs import DOCUMENTS, encode
from tests.word2vec.training import test_model
from tests.word2vec.training.test_model import BATCH, COUNTS, WINDOW, K, S, compiled, make_model, step
from word2vec.training import architectures, blocks


def cbow(documents, window, length, weighting):
    return architectures.CBOW(window, length, weighting)(blocks.pack(*encode(documents), window, length))


def test_cbow_by_hand():
    """Window 2: 1 is made of 2 and half of 3; the last document has a word with nothing around it."""
    whole = [[(token, 2) for token in tokens] for tokens in ([1, 2, 3], [4])]
    made = cbow(whole, 2, 4, "expected")
    mix = np.zeros((4, 8))
    mix[0, 3:5] = np.array([1, 0.5]) / np.sqrt(1.5)
    mix[1, [2, 4]] = 1 / np.sqrt(2)
    mix[2, 2:4] = np.array([0.5, 1]) / np.sqrt(1.5)
    np.testing.assert_allclose(made.mix[0], mix, rtol=1e-6)
    np.testing.assert_array_equal(made.inputs[0], [0, 0, 1, 2, 3, 4, 0, 0])
    np.testing.assert_array_equal(made.keys[0], [1, 2, 3, 4])
    np.testing.assert_array_equal(made.pairs[0], np.diag([1, 1, 1, 0]))


@settings(max_examples=50, deadline=None)
@given(DOCUMENTS, st.integers(1, 9))
def test_cbow_predicts_every_word_once_from_its_drawn_window(documents, length):
    made = cbow(documents, 7, length, "drawn")
    found = []
    for s, q in zip(*np.nonzero(np.diagonal(made.pairs.numpy(), axis1=1, axis2=2)), strict=True):
        around = np.nonzero(made.mix.numpy()[s, q])[0]
        assert np.allclose(made.mix.numpy()[s, q, around], len(around) ** -0.5)
        found.append((int(made.keys[s, q]), made.inputs.numpy()[s, around].tolist()))
    expected = []
    for document in documents:
        tokens = [token for token, _ in document]
        for place, (token, radius) in enumerate(document):
            around = tokens[max(place - radius, 0) : place] + tokens[place + 1 : place + radius + 1]
            if around:
                expected.append((token, around))
    assert found == expected


def tensorflows(op, made, ids, hits):
    """The loss of CBOW by TensorFlow's own op, position by position."""
    window = WINDOW
    total = tf.constant(0.0)
    for s in range(S):
        for place in range(BATCH.left.shape[1]):
            left, right = int(BATCH.left[s, place]), int(BATCH.right[s, place])
            at = window + place
            around = [*range(at - left, at), *range(at + 1, at + right + 1)]
            if not around:
                continue
            vectors = tf.gather(made.target.embeddings.value, tf.gather(BATCH.ids[s], around))
            label = BATCH.ids[s, at]
            values = (tf.cast(ids[s], tf.int64), made.sampler.expected_count(label[None, None], made.negatives),
                      made.sampler.expected_count(ids[s], made.negatives))  # fmt: skip
            total += op(
                weights=made.context.embeddings.value, biases=made.bias.embeddings.value[:, 0],
                labels=tf.cast(label[None, None], tf.int64),
                inputs=tf.reduce_sum(vectors, 0, keepdims=True) / np.sqrt(len(around)),
                num_sampled=K, num_classes=len(COUNTS), sampled_values=values, remove_accidental_hits=hits,
            )[0]  # fmt: skip
    return total


@pytest.mark.parametrize("hits", [False, True])
@pytest.mark.parametrize("loss", ["nce", "sampled_softmax"])
def test_cbow_agrees_with_tensorflows_own_op(loss, hits):
    made = make_model(loss=loss, architecture="cbow", remove_accidental_hits=hits)
    ids = tf.constant([np.random.default_rng([2, s]).permutation(len(COUNTS))[:K] for s in range(S)], tf.int32)
    op = {"nce": tf.nn.nce_loss, "sampled_softmax": tf.nn.sampled_softmax_loss}[loss]
    noise = test_model.model.SampledValues(
        ids,
        made.sampler.expected_count(made.examples.keys(BATCH), made.negatives),
        made.sampler.expected_count(ids, made.negatives),
    )
    scores, gradients = made.gradients(BATCH, noise)
    with tf.GradientTape() as tape:
        total = tensorflows(op, made, ids, hits)
    np.testing.assert_allclose(made.objective.value(scores), total, rtol=1e-5)
    variables = [table.embeddings.value for table in made.tables]
    for ours, theirs in zip(test_model.dense(made, gradients), tape.gradient(total, variables), strict=True):
        np.testing.assert_allclose(ours, tf.convert_to_tensor(theirs), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("loss", ["nce", "negative_sampling", "sampled_softmax", "full_softmax"])
def test_cbow_learns_with_every_loss(loss):
    made = compiled(make_model(loss=loss, bias="expected_count", architecture="cbow"), 0.05)
    train = tf.function(made.train_on_batch_of_blocks)
    losses = [float(train(step(number), tf.constant(True)).loss) for number in range(60)]
    assert np.mean(losses[-5:]) < 0.85 * np.mean(losses[:5])


def test_cbow_moves_the_words_around_and_predicts_the_word():
    made = compiled(make_model(bias="expected_count", architecture="cbow"))
    target, context = (table.embeddings.numpy() for table in made.tables)
    made.train_on_batch_of_blocks(step(0), tf.constant(False))
    around = {int(word) for word in np.unique(np.where(made.examples(BATCH).mix.numpy().any(1), BATCH.ids, -1))} - {-1}
    assert set(np.nonzero((made.target.embeddings.numpy() != target).any(1))[0]) == around
    words = set(np.unique(BATCH.ids.numpy()[:, WINDOW:-WINDOW][(BATCH.left + BATCH.right).numpy() > 0]))
    noise = set(np.unique(made.sample(step(0)).ids))
    assert set(np.nonzero((made.context.embeddings.numpy() != context).any(1))[0]) <= words | noise


def test_keras_saves_the_architecture(tmp_path):
    made = make_model(architecture="cbow")
    made.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert isinstance(loaded.examples, architectures.CBOW)
    np.testing.assert_array_equal(loaded.target.embeddings.numpy(), made.target.embeddings.numpy())
