"""The Trainer's run_fn: what TFX calls."""

from __future__ import annotations

from typing import Any

import tensorflow_transform as tft

from word2vec import phrases, threads, vocabulary
from word2vec.training import job, workers


def run_fn(fn_args: Any) -> None:
    """Trains and exports a model.

    Args:
        fn_args: TFX's `FnArgs`. Its `custom_config` has `trainer`, `skipgram`, `checkpoints` and `code`, as in
            `job.Job`, and `eval_split`, the name of the split whose loss is measured, or None.

    Raises:
        UserError: see `job.train`.
    """
    config = dict(fn_args.custom_config)
    eval_split = config.pop("eval_split")
    graph = tft.TFTransformOutput(fn_args.transform_output)
    found = config["skipgram"]["phrases"]
    training = job.Job(
        **config,
        vocabulary=vocabulary.path_in(graph),
        phrases=[
            vocabulary.path_in(graph, phrases.asset(number + 1)) for number in range(found["passes"] if found else 0)
        ],
        train_files=list(fn_args.train_files),
        eval_files=list(fn_args.eval_files) if eval_split else [],
        base_model=fn_args.base_model,
        logs=fn_args.model_run_dir,
        serving_model=fn_args.serving_model_dir,
    )
    if training.trainer.strategy == "multi_worker":
        workers.lead(training)
    else:
        threads.one_thread_an_op()
        job.train(training)
