"""The Trainer's run_fn: what TFX calls."""

from __future__ import annotations

from typing import Any

import tensorflow_transform as tft

from word2vec import threads, vocabulary
from word2vec.training import job, workers


def run_fn(fn_args: Any) -> None:
    """Trains and exports a model.

    Args:
        fn_args: TFX's `FnArgs`; see `job.Job` for its `custom_config`.

    Raises:
        UserError: see `job.train`.
    """
    training = job.Job(
        config=fn_args.custom_config,
        vocabulary=tft.TFTransformOutput(fn_args.transform_output).vocabulary_file_by_name(vocabulary.ASSET),
        train_files=list(fn_args.train_files),
        eval_files=list(fn_args.eval_files),
        base_model=fn_args.base_model,
        logs=fn_args.model_run_dir,
        serving_model=fn_args.serving_model_dir,
    )
    if training.settings["strategy"] == "multi_worker":
        workers.lead(training)
    else:
        threads.one_thread_an_op()
        job.train(training)
