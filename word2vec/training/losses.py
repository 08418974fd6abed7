"""Losses: from the scores of a batch of blocks to the loss and its gradient with respect to each score.

Every query is scored with its block's keys, of which some are its true contexts, and with candidates that stand for all
other words: some noise words, or the whole vocabulary.
"""

from __future__ import annotations

import abc
from typing import NamedTuple

import tensorflow as tf

from word2vec import settings


class Scores(NamedTuple):
    """The scores of S blocks of L queries.

    Attributes:
        logits: float32 [S, L, keys + candidates], of every query with its block's keys and then with the candidates.
        pairs: float32 [S, L, keys], what each query and key count as a pair.
        negatives: noise words wanted per pair.
        distinct: float32 [S, keys, candidates], 0 where a candidate is the key itself, an accidental hit, else 1; None
            if such hits count like any other noise.
    """

    logits: tf.Tensor
    pairs: tf.Tensor
    negatives: int
    distinct: tf.Tensor | None = None

    @property
    def keys(self) -> int:
        """How many keys a block has."""
        return self.pairs.shape[-1]

    def split(self) -> tuple[tf.Tensor, tf.Tensor]:
        """The logits of the keys, and those of the candidates."""
        return self.logits[:, :, : self.keys], self.logits[:, :, self.keys :]


class Loss(abc.ABC):
    """What a training minimises.

    Attributes:
        corrected: whether the log of a candidate's expected count is taken off its score.
        samples: whether the candidates are noise words; else they are the whole vocabulary.
    """

    corrected = True
    samples = True

    @abc.abstractmethod
    def value(self, scores: Scores) -> tf.Tensor:
        """The loss, summed over all pairs: float32 []."""

    @abc.abstractmethod
    def gradient(self, scores: Scores) -> tf.Tensor:
        """The gradient of `value` with respect to every logit: float32, of their shape."""


class NCE(Loss):
    """Noise-contrastive estimation (Gutmann and Hyvarinen 2010; Mnih and Teh 2012, arXiv 1206.6426, equation 8).

    Logistic regression tells the pairs of the text from pairs with a noise word. As in `tf.nn.nce_loss`, the log of the
    expected count is taken off each score; on the same sampled ids both agree in the loss and in every gradient.
    """

    def value(self, scores: Scores) -> tf.Tensor:
        """The weighted logistic loss."""
        return tf.reduce_sum(
            self._weights(scores) * (tf.nn.softplus(scores.logits) - self._labels(scores) * scores.logits)
        )

    def gradient(self, scores: Scores) -> tf.Tensor:
        """Weight times (sigmoid less label)."""
        return self._weights(scores) * (tf.sigmoid(scores.logits) - self._labels(scores))

    def _labels(self, scores: Scores) -> tf.Tensor:
        candidates = scores.logits.shape[-1] - scores.keys
        return tf.constant([1.0] * scores.keys + [0.0] * candidates)

    def _weights(self, scores: Scores) -> tf.Tensor:
        """A pair's weight; for a noise word, (the query's pairs) x (negatives asked) / (noise words drawn)."""
        candidates = scores.logits.shape[-1] - scores.keys
        if scores.distinct is None:
            noise = tf.tile(tf.reduce_sum(scores.pairs, -1, keepdims=True), [1, 1, candidates])
        else:
            noise = tf.matmul(scores.pairs, scores.distinct)
        return tf.concat([scores.pairs, noise * (scores.negatives / candidates)], -1)


class NegativeSampling(NCE):
    """Negative sampling (Mikolov et al. 2013, arXiv 1310.4546, equation 4): NCE's regression on the bare scores."""

    corrected = False


class SampledSoftmax(Loss):
    """Sampled softmax (Jean et al. 2015, arXiv 1412.2007, section 3), as `tf.nn.sampled_softmax_loss`.

    A pair's true context competes with its block's noise words alone; the log of the expected count is taken off each
    score. With Z the sum of the noise words' exponentials, a pair's loss is softplus(log Z - score).
    """

    def value(self, scores: Scores) -> tf.Tensor:
        """The cross-entropy of the true context among itself and the noise words."""
        positive, _, log_z, _ = self._normalise(scores)
        return tf.reduce_sum(scores.pairs * tf.nn.softplus(log_z - positive))

    def gradient(self, scores: Scores) -> tf.Tensor:
        """Probability less label, summed over a query's pairs."""
        positive, noise, log_z, top = self._normalise(scores)
        missed = scores.pairs * tf.sigmoid(log_z - positive)
        if scores.distinct is None:
            of_noise = tf.exp(noise - log_z) * tf.reduce_sum(missed, -1, keepdims=True)
        else:
            of_noise = tf.exp(noise - top) * tf.matmul(missed * tf.exp(top - log_z), scores.distinct)
        return tf.concat([-missed, of_noise], -1)

    def _normalise(self, scores: Scores) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        """(scores of keys, of noise, log Z: [S, L, 1] or [S, L, keys], the greatest score of noise: [S, L, 1])."""
        positive, noise = scores.split()
        top = tf.reduce_max(noise, -1, keepdims=True)
        exponentials = tf.exp(noise - top)
        if scores.distinct is None:
            z = tf.reduce_sum(exponentials, -1, keepdims=True)
        else:
            z = tf.matmul(exponentials, scores.distinct, transpose_b=True)
        return positive, noise, tf.math.log(tf.maximum(z, 1e-30)) + top, top


class FullSoftmax(Loss):
    """The softmax over the whole vocabulary (Bengio et al. 2003): exact, and O(V) per query."""

    corrected = False
    samples = False

    def value(self, scores: Scores) -> tf.Tensor:
        """The cross-entropy of the true contexts."""
        positive, every = scores.split()
        return tf.reduce_sum(scores.pairs * (tf.reduce_logsumexp(every, -1, keepdims=True) - positive))

    def gradient(self, scores: Scores) -> tf.Tensor:
        """Probability less label, summed over a query's pairs."""
        _, every = scores.split()
        return tf.concat([-scores.pairs, tf.nn.softmax(every) * tf.reduce_sum(scores.pairs, -1, keepdims=True)], -1)


BY_NAME: dict[settings.Loss, type[Loss]] = {
    "nce": NCE,
    "negative_sampling": NegativeSampling,
    "sampled_softmax": SampledSoftmax,
    "full_softmax": FullSoftmax,
}
