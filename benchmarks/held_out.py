"""Trains on a run's pairs in this process, and measures what the model makes of text that it has not seen.

What only NCE promises is that s + b is a log-probability as it stands (Mnih and Teh 2012, arXiv 1206.6426, section 3):
that the sum over the vocabulary of exp(s + b), Z, is 1 for every target word. Called by `benchmarks.nce`.
"""

from __future__ import annotations

import pathlib
import tempfile
from typing import Any

import numpy as np

from benchmarks import parts, systems

PAIRS = 20_000  # that are measured
_AT_ONCE = 256


def figures(target: np.ndarray, context: np.ndarray, bias: np.ndarray, pairs: np.ndarray) -> dict[str, float]:
    """What a model makes of pairs.

    Args:
        target: float32 [V, D].
        context: float32 [V, D].
        bias: float32 [V], of the context words.
        pairs: int [n, 2], ids of targets and contexts.

    Returns:
        `log_z` and `log_z_sd`, the mean and standard deviation of log Z over the pairs' targets; `as_it_stands`, the
        mean of s + b; `normalised`, the mean of s + b - log Z: the log-likelihood in nats per pair.
    """
    log_z, scores = np.empty(len(pairs)), np.empty(len(pairs))
    for begin in range(0, len(pairs), _AT_ONCE):
        part = slice(begin, begin + _AT_ONCE)
        targets, contexts = pairs[part].T
        of_all = target[targets] @ context.T + bias
        top = of_all.max(1)
        log_z[part] = top + np.log(np.exp(of_all - top[:, np.newaxis]).sum(1))
        scores[part] = of_all[np.arange(len(contexts)), contexts]
    measures = {"log_z": log_z.mean(), "log_z_sd": log_z.std(), "as_it_stands": scores.mean()}
    return {name: round(float(value), 4) for name, value in {**measures, "normalised": (scores - log_z).mean()}.items()}


def _tables(saved_model: pathlib.Path) -> list[np.ndarray]:
    """Target, context and, if it was learned, bias of a trained model; the context as it is kept, rounded by 0.4 %."""
    from word2vec.training import checkpoints, warm_start

    tables = warm_start.read(str(saved_model)).tables
    return [tables[name] for name in checkpoints.TABLES if name in tables]


def _fixed_bias(run: pathlib.Path, trainer: dict[str, Any]) -> np.ndarray:
    """log(expected count) of each word: float32 [V]."""
    from word2vec import vocabulary
    from word2vec.training import samplers

    counts = vocabulary.read(systems.vocabulary_of(run)).counts
    sampler = samplers.make(trainer["sampler"], counts, trainer["noise_power"])
    return sampler.log_expected_counts(trainer["negatives"])


def _pairs(run: pathlib.Path) -> np.ndarray:
    """Pairs of the split eval, as Transform drew them: int64 [PAIRS, 2], the same for every model."""
    import tensorflow as tf

    from word2vec import pairs
    from word2vec.training import blocks

    files = blocks.shards_in(str(systems.newest(run, "Transform", "transformed_examples") / "Split-eval"))
    rows = next(iter(tf.data.TFRecordDataset(files, "GZIP").batch(2_000)))
    features = tf.io.parse_example(rows, pairs.features())
    all_pairs = np.stack(pairs.expand(features[pairs.TOKEN_IDS], features[pairs.RADII]), 1)
    return np.random.default_rng(1).permutation(all_pairs)[:PAIRS]


def main() -> None:
    """Trains as the first argument, in JSON, says."""
    options = parts.request()
    import tensorflow_text  # noqa: F401
    from gensim.models import KeyedVectors

    from word2vec import threads, vectors
    from word2vec.training import job

    run, config = pathlib.Path(options["run"]), options["config"]
    threads.one_thread_an_op()
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        job.train(systems.job_of(run, work, config))
        keyed = KeyedVectors.load_word2vec_format(str(work / "model" / vectors.FOLDER / vectors.BINARY), binary=True)
        target, context, *learned = _tables(work / "model" / "serving_model")
    bias = learned[0][:, 0] if learned else _fixed_bias(run, config["trainer"])
    parts.answer({**systems.quality(keyed), **figures(target, context, bias, _pairs(run))})


if __name__ == "__main__":
    main()
