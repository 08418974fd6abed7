from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.word2vec.test_pairs import encode
from word2vec.settings import SubwordSettings
from word2vec.subwords import Subwords
from word2vec.training import blocks, model, optimizers, samplers

V, D, K, WINDOW, LENGTH = 30, 6, 8, 3, 5
COUNTS = np.arange(V, 0, -1) ** 2


def make_batch():
    draw = np.random.default_rng(1)
    documents = [
        [(int(draw.integers(0, V)), int(draw.integers(1, WINDOW + 1))) for _ in range(size)] for size in (9, 0, 1, 14)
    ]
    return blocks.pack(*encode(documents), window=WINDOW, block_length=LENGTH)


BATCH = make_batch()
S = BATCH.ids.shape[0]


def make_model(sampler="unigram", scale=0.5, **settings):
    settings = {"negatives": K, "bias": "learned", "window_weights": "drawn", "seed": 7, **settings}
    settings.setdefault("remove_accidental_hits", False)
    made = model.Word2Vec(
        V,
        D,
        window=WINDOW,
        block_length=LENGTH,
        blocks_per_step=S,
        sampler=samplers.make(sampler, COUNTS, 0.75),
        shared_negatives=K,
        **settings,
    )
    draw = np.random.default_rng(0)
    for table in made.tables:
        table.embeddings.assign(draw.normal(0, scale, table.embeddings.shape))
    return made


@pytest.fixture(scope="module")
def noise():
    # Without repeats: of a word drawn twice, TensorFlow's ops take only one off as an accidental hit.
    draw = np.random.default_rng(2)
    return tf.constant([draw.permutation(V)[:K] for _ in range(S)], tf.int32)


def sampled(made, ids):
    """The caller's own noise."""
    return model.SampledValues(
        ids,
        made.sampler.expected_count(BATCH.ids, made.negatives),
        made.sampler.expected_count(ids, made.negatives),
    )


def tables(made):
    return [table.embeddings.numpy() for table in made.tables]


def dense(made, gradients):
    """Our rows, summed into whole tables."""
    summed = [np.zeros(table.embeddings.shape) for table in made.tables]
    for table, gradient in zip(summed, gradients, strict=True):
        np.add.at(table, gradient.indices.numpy(), gradient.values.numpy())
    return summed


def weights_of(made):
    return made.examples(BATCH).pairs.numpy()


def assert_agrees(made, ids, reference):
    """Holds loss and gradients against a reference: of (s, targets, contexts, weights) to the loss of these pairs."""
    scores, gradients = made.gradients(BATCH, None if ids is None else sampled(made, ids))
    weights = weights_of(made)
    with tf.GradientTape() as tape:
        loss = tf.constant(0.0)
        for s in range(S):
            queries, keys = np.nonzero(weights[s])
            targets, contexts = BATCH.ids.numpy()[s, WINDOW + queries], BATCH.ids.numpy()[s, keys]
            loss += tf.reduce_sum(weights[s, queries, keys] * reference(s, targets, contexts))
    np.testing.assert_allclose(made.objective.value(scores), loss, rtol=1e-5)
    variables = [table.embeddings.value for table in made.tables]
    for ours, theirs in zip(dense(made, gradients), tape.gradient(loss, variables), strict=True):
        np.testing.assert_allclose(ours, tf.convert_to_tensor(theirs), rtol=1e-4, atol=1e-5)


def tensorflows(op, made, ids, **arguments):
    def reference(s, targets, contexts):
        expected = made.sampler.expected_count(tf.constant(contexts), made.negatives)
        values = (tf.cast(ids[s], tf.int64), expected[:, None], made.sampler.expected_count(ids[s], made.negatives))
        return op(
            weights=made.context.embeddings.value,
            biases=made.bias.embeddings.value[:, 0],
            labels=contexts[:, None].astype(np.int64),
            inputs=tf.gather(made.target.embeddings.value, targets),
            num_sampled=K,
            num_classes=V,
            sampled_values=values,
            **arguments,
        )

    return reference


@pytest.mark.parametrize("window_weights", ["drawn", "expected", "harmonic"])
@pytest.mark.parametrize("hits", [False, True])
@pytest.mark.parametrize("loss", ["nce", "sampled_softmax"])
def test_agrees_with_tensorflows_own_op(noise, loss, hits, window_weights):
    made = make_model(loss=loss, remove_accidental_hits=hits, window_weights=window_weights)
    op = {"nce": tf.nn.nce_loss, "sampled_softmax": tf.nn.sampled_softmax_loss}[loss]
    assert_agrees(made, noise, tensorflows(op, made, noise, remove_accidental_hits=hits))


@pytest.mark.parametrize("sampler", ["uniform", "log_uniform", "adaptive"])
def test_agrees_with_tensorflows_nce_loss_under_every_sampler(noise, sampler):
    made = make_model(sampler)
    assert_agrees(made, noise, tensorflows(tf.nn.nce_loss, made, noise))


def test_negative_sampling_is_the_regression_on_bare_scores(noise):
    """Mikolov et al. 2013, arXiv 1310.4546, equation 4, with each of the K noise words counting 5 / K."""
    made = make_model(loss="negative_sampling", bias="expected_count", negatives=5)

    def reference(s, targets, contexts):
        u = tf.gather(made.target.embeddings.value, targets)
        v = tf.gather(made.context.embeddings.value, contexts)
        n = tf.gather(made.context.embeddings.value, noise[s])
        lost = tf.reduce_sum(tf.nn.softplus(tf.matmul(u, n, transpose_b=True)), -1)
        return tf.nn.softplus(-tf.reduce_sum(u * v, -1)) + 5 / K * lost

    assert_agrees(made, noise, reference)


def test_nce_with_a_fixed_bias_is_negative_sampling(noise):
    """A bias of log(expected count) cancels the correction (docs/nce.md)."""
    results = []
    for loss in ("nce", "negative_sampling"):
        made = make_model(loss=loss, bias="expected_count", negatives=5)
        scores, gradients = made.gradients(BATCH, sampled(made, noise))
        results.append([made.objective.value(scores), *dense(made, gradients)])
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one, other)


def test_full_softmax_is_tensorflows_cross_entropy():
    made = make_model(loss="full_softmax")

    def reference(s, targets, contexts):
        del s
        logits = tf.matmul(tf.gather(made.target.embeddings.value, targets), made.context.embeddings.value,
                           transpose_b=True) + made.bias.embeddings.value[:, 0]  # fmt: skip
        return tf.nn.sparse_softmax_cross_entropy_with_logits(contexts, logits)

    assert_agrees(made, None, reference)


def test_full_softmax_with_the_noise_distribution_as_its_bias():
    made = make_model(loss="full_softmax", bias="expected_count")
    bias = np.log(made.sampler.expected_count(tf.range(V), made.negatives).numpy())

    def reference(s, targets, contexts):
        del s
        u = tf.gather(made.target.embeddings.value, targets)
        logits = tf.matmul(u, made.context.embeddings.value, transpose_b=True) + bias
        return tf.nn.sparse_softmax_cross_entropy_with_logits(contexts, logits)

    assert_agrees(made, None, reference)


def compiled(made, learning_rate=0.05, optimizer="sgd", precision="float32"):
    made.compile(optimizer=optimizers.make(optimizer, learning_rate, precision))
    made.optimizer.build([table.embeddings for table in made.tables])
    return made


def step(number):
    return blocks.Batch(tf.constant(number, tf.int64), BATCH)


def test_a_step_is_gradient_descent():
    made = compiled(make_model(), 0.1)
    gradients = dense(made, made.gradients(BATCH, made.sample(step(3)))[1])
    before = tables(made)
    made.train_on_batch_of_blocks(step(3), tf.constant(True))
    for table, start, gradient in zip(tables(made), before, gradients, strict=True):
        np.testing.assert_allclose(table, start - 0.1 * gradient, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("optimizer", ["sgd", "adagrad", "adam"])
@pytest.mark.parametrize("loss", ["nce", "negative_sampling", "sampled_softmax", "full_softmax"])
def test_every_loss_learns_with_every_optimizer(loss, optimizer):
    made = compiled(make_model(loss=loss, bias="expected_count"), 0.05, optimizer)
    train = tf.function(made.train_on_batch_of_blocks)
    losses = [float(train(step(number), tf.constant(True)).loss) for number in range(40)]
    assert np.mean(losses[-5:]) < 0.85 * np.mean(losses[:5])


def test_only_touched_rows_move():
    made = compiled(make_model(bias="expected_count"))
    before = made.target.embeddings.numpy()
    made.train_on_batch_of_blocks(step(0), tf.constant(False))
    touched = np.unique(BATCH.ids.numpy()[:, WINDOW:-WINDOW][(BATCH.left + BATCH.right).numpy() > 0])
    assert set(np.nonzero((made.target.embeddings.numpy() != before).any(1))[0]) == set(touched)


def test_the_loss_is_only_computed_when_asked_for():
    made = compiled(make_model())
    asked = made.train_on_batch_of_blocks(step(0), tf.constant(True))
    other = made.train_on_batch_of_blocks(step(1), tf.constant(False))
    assert float(asked.pairs) == weights_of(made).sum()
    assert (float(other.loss), float(other.pairs)) == (0, 0)
    assert int(asked.positions) == int(other.positions) == 23  # of 24 tokens one is alone in its document


def test_blocks_without_pairs_change_nothing():
    made = compiled(make_model(bias="expected_count"))
    before = tables(made)
    empty = blocks.Blocks(*(tf.zeros_like(field) for field in BATCH))
    result = made.train_on_batch_of_blocks(blocks.Batch(tf.constant(0, tf.int64), empty), tf.constant(True))
    assert (float(result.loss), int(result.positions)) == (0, 0)
    for table, start in zip(tables(made), before, strict=True):
        np.testing.assert_array_equal(table, start)


def test_call_scores_pairs():
    made = make_model()
    scores = made((tf.constant([1, 2]), tf.constant([3, 4]))).numpy()
    target, context, bias = tables(made)
    expected = (target[[1, 2]] * context[[3, 4]]).sum(-1) + bias[[3, 4], 0]
    np.testing.assert_allclose(scores, expected, rtol=1e-5)


SUBWORDS = Subwords.of([f"w{number:02}x" for number in range(V)], SubwordSettings(min=2, max=4, buckets=25))


@pytest.mark.parametrize("architecture", ["skipgram", "cbow"])
def test_every_row_of_a_word_moves_as_its_vector_should(noise, architecture):
    """As a model of which each word has one row, with the same vectors."""
    made, plain = (make_model(architecture=architecture, subwords=subwords) for subwords in (SUBWORDS, None))
    plain.target.embeddings.assign(SUBWORDS.compose(made.target.embeddings.numpy()))
    for own, theirs in ((made.context, plain.context), (made.bias, plain.bias)):
        theirs.embeddings.assign(own.embeddings)
    keys = made.sampler.expected_count(made.examples.keys(BATCH), made.negatives)
    drawn = model.SampledValues(noise, keys, made.sampler.expected_count(noise, made.negatives))
    (scores, gradients), (expected_scores, expected) = (one.gradients(BATCH, drawn) for one in (made, plain))
    np.testing.assert_allclose(scores.logits, expected_scores.logits, rtol=1e-4, atol=1e-5)
    by_row, *others = dense(made, gradients)
    by_word, *expected_others = dense(plain, expected)
    rows = np.zeros_like(by_row)
    np.add.at(rows, SUBWORDS.rows, np.repeat(by_word, np.diff(SUBWORDS.splits), 0))
    np.testing.assert_allclose(by_row, rows, rtol=1e-4, atol=1e-5)
    for one, other in zip(others, expected_others, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    pairs = tf.constant([1, 2, 1]), tf.constant([3, 4, 5])
    np.testing.assert_allclose(made(pairs), plain(pairs), rtol=1e-4)


@pytest.mark.parametrize("optimizer", ["sgd", "adagrad", "adam"])
@pytest.mark.parametrize("loss", ["nce", "full_softmax"])
def test_subwords_learn_with_every_optimizer(loss, optimizer):
    rate = {"sgd": 0.01, "adagrad": 0.2, "adam": 0.02}[optimizer]
    made = compiled(make_model(loss=loss, bias="expected_count", subwords=SUBWORDS), rate, optimizer)
    train = tf.function(made.train_on_batch_of_blocks)
    losses = [float(train(step(number), tf.constant(True)).loss) for number in range(40)]
    assert np.mean(losses[-5:]) < 0.9 * np.mean(losses[:5])


def test_keras_saves_the_subwords(tmp_path):
    made = make_model(subwords=SUBWORDS)
    made.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.get_config() == made.get_config()
    np.testing.assert_array_equal(loaded.target.embeddings.numpy(), made.target.embeddings.numpy())
    pairs = tf.constant([1, 2]), tf.constant([3, 4])
    np.testing.assert_array_equal(loaded(pairs), made(pairs))


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_mixed_precision_is_close_and_keeps_float32_variables(noise, precision):
    exact, mixed = make_model(), make_model(dtype=f"mixed_{precision}")
    assert all(table.embeddings.dtype == "float32" for table in mixed.tables)
    rows, mixed_rows = (dense(made, made.gradients(BATCH, sampled(made, noise))[1]) for made in (exact, mixed))
    for one, other in zip(rows, mixed_rows, strict=True):
        assert one.dtype == np.float64
        np.testing.assert_allclose(other, one, atol=0.03 * np.abs(one).max())
    assert any((one != other).any() for one, other in zip(rows, mixed_rows, strict=True))


def test_float16_learns_under_loss_scaling():
    made = compiled(make_model(dtype="mixed_float16", bias="expected_count"), 0.05, "sgd", "float16")
    losses = [float(made.train_on_batch_of_blocks(step(n), tf.constant(True)).loss) for n in range(60)]
    assert np.mean(losses[-5:]) < 0.9 * np.mean(losses[:5])
    assert all(np.isfinite(table).all() for table in tables(made))


def test_the_model_can_be_saved_and_loaded_by_keras(tmp_path):
    made = make_model("adaptive", dtype="mixed_bfloat16", loss="sampled_softmax")
    made.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for table, again in zip(tables(made), tables(loaded), strict=True):
        np.testing.assert_array_equal(again, table)
    assert loaded.get_config() == made.get_config()
    assert type(loaded.sampler) is samplers.Adaptive
    np.testing.assert_array_equal(loaded.sample(step(1)).ids, made.sample(step(1)).ids)


def test_fit_trains_with_keras_callbacks():
    made = compiled(make_model(bias="expected_count"))
    batches = tf.data.Dataset.from_tensors(step(0)).repeat(40)
    history = made.fit(batches, epochs=3, verbose=0, callbacks=[keras.callbacks.TerminateOnNaN()]).history
    assert len(history["loss"]) == 3
    assert history["loss"][-1] < 0.8 * history["loss"][0]


def test_the_tables_are_layers():
    made = make_model()
    assert [layer.name for layer in made.layers] == ["target", "context", "bias"]
    assert isinstance(made.target, keras.layers.Embedding)
    assert made.count_params() == 2 * V * D + V


@pytest.mark.parametrize("start", ["zero", "expected_count", "share"])
def test_where_a_learned_bias_starts(start):
    made = model.Word2Vec(
        V, D, window=WINDOW, block_length=LENGTH, blocks_per_step=S, negatives=K, bias="learned", bias_start=start,
        sampler=samplers.make("unigram", COUNTS, 1.0),
    )  # fmt: skip
    share = COUNTS / COUNTS.sum()
    expected = {"zero": 0 * share, "expected_count": np.log(K * share), "share": np.log(share)}
    np.testing.assert_allclose(made.bias.embeddings.numpy()[:, 0], expected[start], rtol=1e-5)
    assert made.get_config()["bias_start"] == start
