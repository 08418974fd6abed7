"""Measures training steps alone, on made-up text of a vocabulary of any size, and prints the figures.

Words are drawn by Zipf's law, as subsampling leaves them. Called by `benchmarks.bench`, one process per measurement.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import pathlib
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks import block_profile, made_up_text, parts, systems
from benchmarks.made_up_text import WINDOW
from word2vec import progress, settings, threads, vocabulary
from word2vec.training import blocks, model, optimizers, samplers, training
from word2vec.training.checkpoints import Checkpoints
from word2vec.training.compiled_steps import CompiledSteps
from word2vec.training.tensorflow_steps import TensorFlowSteps

DEFAULTS = settings.TrainerSettings()
LENGTH, LEARNING_RATE = DEFAULTS.block_length, DEFAULTS.first_learning_rate


def zipf_batches(size: int, batches: int, blocks_per_step: int) -> tuple[np.ndarray, list[blocks.Batch]]:
    """(counts int64 [V], batches) of made-up text."""
    counts = made_up_text.zipf_counts(size)
    ids = made_up_text.words(counts, np.random.default_rng(1), (batches, blocks_per_step, LENGTH + 2 * WINDOW))
    reach = tf.fill([blocks_per_step, LENGTH], WINDOW)
    return counts, [
        blocks.Batch(tf.constant(step, tf.int64), blocks.Blocks(tf.constant(of_step), reach, reach))
        for step, of_step in enumerate(ids)
    ]


def new_model(
    counts: np.ndarray,
    dimensions: int,
    blocks_per_step: int,
    loss: settings.Loss,
    tables: settings.TablePrecision = "float32",
) -> model.Word2Vec:
    """A compiled model with the default settings."""
    network = model.Word2Vec(
        len(counts),
        dimensions,
        window=WINDOW,
        block_length=LENGTH,
        blocks_per_step=blocks_per_step,
        shared_negatives=DEFAULTS.shared_negatives,
        sampler=samplers.make(DEFAULTS.sampler, counts, DEFAULTS.noise_power),
        loss=loss,
        table_precision=tables,
    )
    # Speed does not depend on the learning rate, and this one can't diverge on a thousand words.
    network.compile(optimizer=optimizers.make("sgd", 1e-4))
    network.optimizer.build([table.embeddings for table in network.tables])
    return network


def dataset_of(batches: list[blocks.Batch]) -> tf.data.Dataset:
    """An endless dataset of them."""
    stacked = tf.nest.map_structure(lambda *values: tf.stack(values), *batches)
    return tf.data.Dataset.from_tensor_slices(stacked).repeat()


def documents_of(batches: list[blocks.Batch]) -> Iterator[blocks.Documents]:
    """The words of their queries as one endless text for the compiled kernel, some blocks at a time."""
    ids = [batch.blocks.ids.numpy()[:, WINDOW:-WINDOW].reshape(-1) for batch in batches]
    for number in itertools.count():
        some = np.concatenate([ids[(number * 8 + place) % len(ids)] for place in range(8)])
        yield blocks.Documents(some, np.array([0, len(some)]), None, 0, (1, number))


def steps_of(network: model.Word2Vec, options: dict[str, Any]) -> tuple[training.Steps, int]:
    """What trains a loss as the Trainer does by default, and how many blocks each of its steps has."""
    cores, per_call, blocks_per_step = threads.cores(), options["steps_per_call"], options["blocks_per_step"]
    if options["loss"] == "full_softmax":
        strategy = tf.distribute.get_strategy()
        return TensorFlowSteps(network, strategy, streams=cores, steps_per_call=per_call), blocks_per_step
    rate = optimizers.LinearDecay(1e-4, 1e-4, 10**9)
    return CompiledSteps(network, rate, streams=cores, steps_per_call=_compiled(per_call, network)), 1


def _compiled(per_call: int, network: model.Word2Vec) -> int:
    """The compiled kernel's steps for so many of TensorFlow's, as in the Trainer."""
    return per_call * settings.COMPILED_POSITIONS // network.block_length


def speed(options: dict[str, Any]) -> dict[str, Any]:
    """Positions and examples (pairs) per second of one loss at one vocabulary size."""
    counts, batches = zipf_batches(options["vocabulary"], 400, options["blocks_per_step"])
    network = new_model(
        counts, options["dimensions"], options["blocks_per_step"], options["loss"], options["table_precision"]
    )

    class Listener(logging.Handler):
        heard: list[tuple[float, int]] = []

        def emit(self, record: logging.LogRecord) -> None:
            now = progress.of(record)
            if not isinstance(now, progress.TrainingProgress):
                return
            self.heard.append((time.perf_counter(), now.step))
            if self.heard[-1][0] - self.heard[0][0] > options["seconds"]:
                raise KeyboardInterrupt

    listener = Listener()
    progress.add_handler(listener)
    steps, size = steps_of(network, options)
    with tempfile.TemporaryDirectory() as folder:
        run = training.Training(
            network,
            steps,
            training.Schedule(1, 1e9),
            epoch_steps=tf.Variable(10**9, dtype=tf.int64),
            words_per_position=1.0,
            checkpoints=Checkpoints(folder),
            logs=None,
        )
        with contextlib.suppress(KeyboardInterrupt):
            run.run(lambda epoch: dataset_of(batches) if size > 1 else documents_of(batches))
    (start, first), (end, last) = listener.heard[0], listener.heard[-1]
    positions = (last - first) * size * LENGTH / (end - start)
    return {
        "positions_per_second": round(positions),
        "examples_per_second": round(positions * 2 * WINDOW),
        "peak_rss_mib": parts.peak_mib(),
    }


def fit(options: dict[str, Any]) -> dict[str, Any]:
    """Keras' fit beside the loop of TensorFlow's steps, both with one stream: steps per second."""
    counts, batches = zipf_batches(options["vocabulary"], 400, 16)
    steps, rates = 4000, {}
    network = new_model(counts, 128, 16, "nce")
    network.compile(optimizer=network.optimizer, steps_per_execution=100, jit_compile=False)
    for _ in range(2):  # the first time includes tracing
        started = time.perf_counter()
        network.fit(dataset_of(batches), steps_per_epoch=steps, epochs=1, verbose=0)
        rates["fit_steps_per_second"] = round(steps / (time.perf_counter() - started))
    network = new_model(counts, 128, 16, "nce")
    for _ in range(2):
        loop = TensorFlowSteps(network, tf.distribute.get_strategy(), streams=1, steps_per_call=100)
        iterator = iter(dataset_of(batches).batch(100))
        loop.train_steps(iterator)
        started = time.perf_counter()
        for _ in range(steps // 100):
            loop.train_steps(iterator)
        rates["loop_steps_per_second"] = round(steps / (time.perf_counter() - started))
    return rates


def profile(options: dict[str, Any]) -> dict[str, Any]:
    """The parts of a block of the compiled kernel; see `block_profile.profile`."""
    return block_profile.profile(options["vocabulary"], options["length"], options["noise"])


def equal_time(options: dict[str, Any]) -> dict[str, Any]:
    """What a loss learns of a run's text in so many seconds of training, the learning rate falling to 0 within them."""
    run, config = pathlib.Path(options["run"]), options["config"]
    from gensim.models import KeyedVectors

    words = vocabulary.read(systems.vocabulary_of(run))
    files = blocks.shards_in(str(systems.newest(run, "Transform", "transformed_examples") / "Split-train"))
    tensorflow = options["loss"] == "full_softmax"

    def batches(epoch: int) -> tf.data.Dataset:
        return blocks.dataset(
            files, window=config["skipgram"]["window"], weighting="expected", block_length=LENGTH,
            blocks_per_step=16, seed=1, epoch=epoch,
        )  # fmt: skip

    network = new_model(words.counts, 128, 16, options["loss"])
    epoch_steps = tf.Variable(10**9, dtype=tf.int64)
    rate = optimizers.LinearDecay(LEARNING_RATE, 1e-4, epoch_steps)
    network.compile(optimizer=optimizers.make("sgd", rate))
    network.optimizer.build([table.embeddings for table in network.tables])
    strategy, cores, per_call = tf.distribute.get_strategy(), threads.cores(), options["steps_per_call"]
    if tensorflow:
        steps: training.Steps = TensorFlowSteps(network, strategy, streams=cores, steps_per_call=per_call)
    else:
        steps = CompiledSteps(network, rate, streams=cores, steps_per_call=_compiled(per_call, network))

    class Clock(logging.Handler):
        """Tells the learning rate, as it goes, how many steps there is time for."""

        started, seconds = 0.0, 0.0

        def emit(self, record: logging.LogRecord) -> None:
            now = progress.of(record)
            if not isinstance(now, progress.TrainingProgress):
                return
            self.started = self.started or time.perf_counter()
            self.seconds = time.perf_counter() - self.started
            if self.seconds > options["seconds"]:
                raise KeyboardInterrupt
            share = max(self.seconds / options["seconds"], 1e-3)
            epoch_steps.assign(max(int(now.step / share), 1))

    clock = Clock()
    progress.add_handler(clock)
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(KeyboardInterrupt):
        training.Training(
            network, steps, training.Schedule(10**6, 1e9), epoch_steps=epoch_steps, words_per_position=1.0,
            checkpoints=Checkpoints(folder, writes=False), logs=None,
        ).run(batches if tensorflow else blocks.DocumentChunks(files, weighting="expected", seed=1))  # fmt: skip
    keyed = KeyedVectors(128)
    keyed.add_vectors(words.words, network.target.embeddings.numpy())
    return {"seconds": round(clock.seconds, 1), "vocabulary": len(words), **systems.quality(keyed)}


MEASUREMENTS = {"speed": speed, "fit": fit, "profile": profile, "equal_time": equal_time}


def main() -> None:
    """Does the measurement that the first argument, in JSON, asks for."""
    options = parts.request()
    threads.one_thread_an_op()
    parts.answer(MEASUREMENTS[options["measurement"]](options))


if __name__ == "__main__":
    main()
