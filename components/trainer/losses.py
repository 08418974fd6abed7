"""Losses over a block: from logits to the loss and its gradient with respect to each logit."""

from __future__ import annotations

import abc
from typing import NamedTuple

import tensorflow as tf


class Logits(NamedTuple):
    """The scores of a batch of blocks, S blocks of L queries.

    Attributes:
        positive: float [S, L, keys], of every query with every key of its block, bias included.
        mask: float [S, L, keys], 1 where query and key are a pair.
        log_expected_positive: float [S, 1, keys], the log of how often the sampler is expected to draw each key.
        negative: float [S, L, K], of every query with the block's K noise words, bias included.
        weight: float [S, L, 1], what each of the K noise words counts for a query: (its pairs) x (negatives asked) / K.
        log_expected_negative: float [S, 1, K].
    """

    positive: tf.Tensor
    mask: tf.Tensor
    log_expected_positive: tf.Tensor
    negative: tf.Tensor
    weight: tf.Tensor
    log_expected_negative: tf.Tensor


class Gradients(NamedTuple):
    """The loss, summed over the pairs (float []), and its gradients, of the logits' shapes."""

    loss: tf.Tensor
    positive: tf.Tensor
    negative: tf.Tensor


class Loss(abc.ABC):
    """What a training minimises."""

    @abc.abstractmethod
    def forward(self, logits: Logits) -> Gradients:
        """The loss, and its gradient with respect to every logit."""


class NCE(Loss):
    """Noise-contrastive estimation (Gutmann and Hyvarinen 2010; Mnih and Teh 2012, arXiv 1206.6426, equation 8).

    Logistic regression tells the pairs of the text from pairs with a noise word. As in `tf.nn.nce_loss`, the log of the
    expected count is taken off each score; on the same sampled ids both agree in the loss and in every gradient.
    """

    def forward(self, logits: Logits) -> Gradients:
        """The weighted logistic loss, and its gradient with respect to every logit."""
        positive = logits.positive - logits.log_expected_positive
        negative = logits.negative - logits.log_expected_negative
        loss = tf.reduce_sum(logits.mask * tf.nn.softplus(-positive)) + tf.reduce_sum(
            logits.weight * tf.nn.softplus(negative)
        )
        return Gradients(loss, -logits.mask * tf.sigmoid(-positive), logits.weight * tf.sigmoid(negative))
