"""The Trainer's run_fn: what TFX calls."""

from __future__ import annotations

from typing import Any

from components.trainer import jobs
from word2vec import threads, tuning
from word2vec.training import job, workers


def run_fn(fn_args: Any) -> None:
    """Trains and exports a model.

    Args:
        fn_args: TFX's `FnArgs`. Its `custom_config` has `trainer`, `skipgram`, `checkpoints` and `code`, as in
            `job.Job`, and `eval_split`, the name of the split whose loss is measured, or None. Its `hyperparameters`,
            where there is a Tuner, take the places of settings in `trainer`.

    Raises:
        UserError: see `job.train`.
    """
    config = dict(fn_args.custom_config)
    if fn_args.hyperparameters:
        config["trainer"] = {**config["trainer"], **tuning.tuned(fn_args.hyperparameters)}
    training = jobs.make(
        fn_args,
        config,
        eval_files=list(fn_args.eval_files) if config["eval_split"] else [],
        logs=fn_args.model_run_dir,
        serving_model=fn_args.serving_model_dir,
    )
    if training.trainer.strategy == "multi_worker":
        workers.lead(training)
    else:
        threads.one_thread_an_op()
        job.train(training)
