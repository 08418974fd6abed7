from __future__ import annotations

import numpy as np
import pytest

from benchmarks import held_out, nce


def test_a_model_of_three_words_by_hand():
    """Scores of word 0's contexts are 0 + bias, of word 1's (2, -1, 0) + bias."""
    target, context = np.array([[0.0], [1.0], [5.0]]), np.array([[2.0], [-1.0], [0.0]])
    bias = np.log([0.5, 0.25, 0.25])
    pairs = np.array([[0, 0], [0, 1], [1, 0]])
    log_z = np.log([1, 1, 0.5 * np.exp(2) + 0.25 * np.exp(-1) + 0.25])
    scores = np.array([np.log(0.5), np.log(0.25), 2 + np.log(0.5)])
    found = held_out.figures(target, context, bias, pairs)
    assert found["log_z"] == pytest.approx(log_z.mean(), abs=1e-4)
    assert found["log_z_sd"] == pytest.approx(log_z.std(), abs=1e-4)
    assert found["as_it_stands"] == pytest.approx(scores.mean(), abs=1e-4)
    assert found["normalised"] == pytest.approx((scores - log_z).mean(), abs=1e-4)


def test_many_pairs_are_measured_in_parts():
    draw = np.random.default_rng(1)
    target, context = draw.normal(size=(2, 30, 4))
    pairs = draw.integers(0, 30, (held_out._AT_ONCE + 7, 2))
    whole = held_out.figures(target, context, np.zeros(30), pairs)
    scores = (target @ context.T)[pairs[:, 0]]
    expected = scores[np.arange(len(pairs)), pairs[:, 1]] - np.log(np.exp(scores).sum(1))
    assert whole["normalised"] == pytest.approx(expected.mean(), abs=1e-4)


def test_every_bias_is_measured_with_every_noise_and_a_learned_one_at_every_rate():
    found = dict(nce.cases([1.0, 10.0], ["nce"], list(nce.NOISES), list(nce.BIASES)))
    assert len(found) == 3 * (1 + 3 * 2)
    assert found["nce, unigram, bias from 0 at 10 times the rate"] == {
        "loss": "nce", "noise_power": 1.0, "bias": "learned", "share": 10.0,
    }  # fmt: skip


def test_the_full_softmax_draws_no_noise():
    assert len(list(nce.cases([1.0], ["full_softmax"], list(nce.NOISES), ["fixed", "from 0"]))) == 2
