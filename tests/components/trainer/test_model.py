from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from components.trainer import blocks, model, samplers
from tests.components.test_pairs import encode

V, D, K, WINDOW = 30, 6, 8, 3


def make_model(*, negatives=K, bias="learned", noise_power=0.75, scale=0.5):
    counts = np.arange(V, 0, -1) ** 2
    made = model.SkipGram(
        samplers.UnigramSampler(counts, noise_power),
        vocabulary_size=V,
        dimensions=D,
        negatives=negatives,
        shared_negatives=K,
        bias=bias,
        seed=7,
    )
    draw = np.random.default_rng(0)
    made.target.assign(draw.normal(0, scale, (V, D)))
    made.context.assign(draw.normal(0, scale, (V, D)))
    if bias == "learned":
        made.bias.assign(draw.normal(0, 1, V))
    return made


@pytest.fixture(scope="module")
def batch():
    draw = np.random.default_rng(1)
    documents = [
        [(int(draw.integers(0, V)), int(draw.integers(1, WINDOW + 1))) for _ in range(size)] for size in (9, 0, 1, 14)
    ]
    return blocks.pack(*encode(documents), window=WINDOW, block_length=5)


@pytest.fixture(scope="module")
def noise(batch):
    return tf.constant(np.random.default_rng(2).integers(0, V, (batch.ids.shape[0], K)), tf.int32)


def dense(made, updates):
    """Our row gradients, summed into whole tables."""
    tables = {id(table): np.zeros(table.shape) for table in (made.target, made.context, made.bias)}
    for table, ids, rows in updates:
        np.add.at(tables[id(table)], ids.numpy(), rows.numpy())
    return [tables[id(table)] for table in (made.target, made.context, made.bias)]


def test_loss_and_every_gradient_agree_with_tf_nn_nce_loss(batch, noise):
    made = make_model()
    result, updates = made.gradients(batch, noise)
    expected = made._sampler.expected_counts(K)
    mask = blocks.pair_mask(batch).numpy()
    with tf.GradientTape() as tape:
        loss = tf.constant(0.0)
        for s in range(mask.shape[0]):
            queries, keys = np.nonzero(mask[s])
            targets, contexts = batch.ids.numpy()[s, WINDOW + queries], batch.ids.numpy()[s, keys]
            sampled = noise[s]
            loss += tf.reduce_sum(
                tf.nn.nce_loss(
                    weights=made.context.value,
                    biases=made.bias.value,
                    labels=contexts[:, None].astype(np.int64),
                    inputs=tf.gather(made.target.value, targets),
                    num_sampled=K,
                    num_classes=V,
                    sampled_values=(
                        tf.cast(sampled, tf.int64),
                        tf.constant(expected[contexts][:, None], tf.float32),
                        tf.constant(expected[sampled.numpy()], tf.float32),
                    ),
                )
            )
    assert int(result.pairs) == mask.sum() > 50
    np.testing.assert_allclose(result.loss, loss, rtol=1e-5)
    variables = [table.value for table in (made.target, made.context, made.bias)]
    for ours, theirs in zip(dense(made, updates), tape.gradient(loss, variables), strict=True):
        np.testing.assert_allclose(ours, tf.convert_to_tensor(theirs), rtol=1e-5, atol=1e-5)


def test_a_fixed_bias_cancels_the_correction(batch, noise):
    """Then NCE's logit is the bare product: negative sampling (Mikolov et al. 2013, arXiv 1310.4546, equation 4)."""
    made = make_model(bias="expected_count", negatives=5)
    result, updates = made.gradients(batch, noise)
    target, context = made.target.numpy(), made.context.numpy()
    mask = blocks.pair_mask(batch).numpy()
    ids, loss = batch.ids.numpy(), 0.0
    for s, query, key in zip(*np.nonzero(mask), strict=True):
        u = target[ids[s, WINDOW + query]]
        loss += (
            np.log1p(np.exp(-u @ context[ids[s, key]])) + 5 / K * np.log1p(np.exp(context[noise[s].numpy()] @ u)).sum()
        )
    np.testing.assert_allclose(result.loss, loss, rtol=1e-5)
    assert len(updates) == 2  # the bias is not learned


def test_a_step_moves_the_touched_rows_only_and_lowers_the_loss(batch):
    made = make_model(bias="expected_count")
    before = made.target.numpy().copy()
    step = tf.constant(0, tf.int64)
    first = made.train_on_blocks(batch, tf.constant(0.05), step)
    touched = np.unique(batch.ids.numpy()[:, WINDOW:-WINDOW][(batch.left + batch.right).numpy() > 0])
    changed = np.nonzero((made.target.numpy() != before).any(1))[0]
    assert set(changed) == set(touched)
    for _ in range(20):
        last = made.train_on_blocks(batch, tf.constant(0.05), step)
    assert last.loss < 0.8 * first.loss
    np.testing.assert_array_equal(made.bias.numpy(), make_model(bias="expected_count").bias.numpy())


def test_a_step_is_gradient_descent(batch):
    made, step = make_model(), tf.constant(3, tf.int64)
    noise = made._sampler.draw(tf.constant([batch.ids.shape[0], K]), tf.constant([7, 3 * 4096], tf.int64))
    gradients = dense(made, made.gradients(batch, noise)[1])
    before = [table.numpy().copy() for table in (made.target, made.context, made.bias)]
    made.train_on_blocks(batch, tf.constant(0.1), step)
    for table, start, gradient in zip((made.target, made.context, made.bias), before, gradients, strict=True):
        np.testing.assert_allclose(table.numpy(), start - 0.1 * gradient, rtol=1e-4, atol=1e-6)


def test_no_blocks_is_no_step():
    made = make_model()
    empty = blocks.pack(*encode([[]]), window=WINDOW, block_length=5)
    before = made.target.numpy().copy()
    result = made.train_on_blocks(empty, tf.constant(0.1), tf.constant(0, tf.int64))
    assert (float(result.loss), int(result.pairs), int(result.positions)) == (0, 0, 0)
    np.testing.assert_array_equal(made.target.numpy(), before)


def test_call_scores_pairs():
    made = make_model()
    scores = made(tf.constant([1, 2]), tf.constant([3, 4])).numpy()
    expected = (made.target.numpy()[[1, 2]] * made.context.numpy()[[3, 4]]).sum(-1) + made.bias.numpy()[[3, 4]]
    np.testing.assert_allclose(scores, expected, rtol=1e-5)


@pytest.mark.parametrize("power", [0.0, 0.75, 1.0])
def test_the_sampler_draws_from_the_distribution_that_it_claims(power):
    counts = np.array([1000, 300, 100, 30, 10, 5, 5, 1])
    sampler = samplers.UnigramSampler(counts, power)
    drawn = np.bincount(
        sampler.draw(tf.constant([200, 500]), tf.constant([1, 2], tf.int64)).numpy().ravel(), minlength=len(counts)
    )
    weights = counts**power / (counts**power).sum()
    np.testing.assert_allclose(sampler.expected_counts(10), 10 * weights)
    assert scipy.stats.chisquare(drawn, weights * drawn.sum()).pvalue > 1e-3
