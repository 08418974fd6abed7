"""The Trainer's run_fn: from Transform's pairs to a SavedModel."""

from __future__ import annotations

import functools
import hashlib
import json
import os
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

from components import pairs, records, threads, vocabulary
from components.serving_model import ServingModel
from components.trainer import blocks, model, samplers, strategies, training


def run_fn(fn_args: Any) -> None:
    """Trains and exports a model.

    Args:
        fn_args: TFX's `FnArgs`. Its `custom_config` holds `trainer` and `skipgram`, the settings of these names;
            `checkpoints`, a folder that outlives the run; and `code`, the code's fingerprint.

    Raises:
        UserError: the settings do not fit the devices, or the training diverged.
    """
    threads.one_thread_an_op()
    config = fn_args.custom_config
    settings, skipgram = config["trainer"], config["skipgram"]
    graph = tft.TFTransformOutput(fn_args.transform_output)
    vocabulary_path = graph.vocabulary_file_by_name(vocabulary.ASSET)
    words = vocabulary.read(vocabulary_path)

    strategy = strategies.get(settings["strategy"])
    make_blocks = functools.partial(
        blocks.dataset,
        feature_spec=graph.transformed_feature_spec(),
        window=skipgram["window"],
        block_length=settings["block_length"],
        blocks_per_step=strategies.blocks_per_replica(strategy, settings["blocks_per_step"]),
        seed=settings["seed"],
    )
    with strategy.scope():
        skip_gram = _model(words, settings)
    checkpoints = os.path.join(config["checkpoints"], _fingerprint(config, fn_args))
    keep = pairs.keep_probability(
        tf.constant(words.counts), tf.constant(words.counts.sum()), skipgram["subsampling"]
    ).numpy()
    epoch_positions = float((words.counts * keep).sum())
    schedule = training.Schedule(*(settings[field] for field in training.Schedule._fields))
    training.Training(
        skip_gram,
        strategy,
        schedule,
        epoch_positions=epoch_positions,
        words_per_position=words.counts.sum() / epoch_positions,
        checkpoints=checkpoints,
        logs=fn_args.model_run_dir,
    ).run(lambda epoch: make_blocks(_shards(fn_args.train_files), epoch=epoch))
    if config["eval_split"]:
        _tell_eval_loss(skip_gram, make_blocks(_shards(fn_args.eval_files), epoch=0), fn_args.model_run_dir)
    ServingModel(skip_gram.target.value.numpy(), vocabulary_path).save(fn_args.serving_model_dir)
    tf.io.gfile.rmtree(checkpoints)


def _model(words: vocabulary.Vocabulary, settings: dict[str, Any]) -> model.SkipGram:
    sampler = samplers.UnigramSampler(words.counts, settings["noise_power"])
    arguments = {key: settings[key] for key in ("dimensions", "negatives", "shared_negatives", "bias", "seed")}
    return model.SkipGram(sampler, vocabulary_size=len(words), **arguments)


def _fingerprint(config: dict[str, Any], fn_args: Any) -> str:
    """Tells trainings apart: checkpoints of one must never be taken for those of another."""
    facts = json.dumps([config, fn_args.transform_output, sorted(fn_args.train_files)], sort_keys=True)
    return hashlib.sha256(facts.encode()).hexdigest()[:16]


def _shards(patterns: list[str]) -> list[str]:
    return [path for pattern in patterns for path in records.read_files(os.path.dirname(pattern))]


def _tell_eval_loss(skip_gram: model.SkipGram, eval_blocks: tf.data.Dataset, logs: str) -> None:
    with tf.summary.create_file_writer(logs).as_default(step=0):
        tf.summary.scalar("eval_loss", training.mean_loss(skip_gram, eval_blocks))
