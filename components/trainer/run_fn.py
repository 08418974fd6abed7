"""The Trainer's run_fn: what TFX calls."""

from __future__ import annotations

from typing import Any

from components import threads
from components.trainer import job, workers


def run_fn(fn_args: Any) -> None:
    """Trains and exports a model.

    Args:
        fn_args: TFX's `FnArgs`; see `job.Job` for its `custom_config`.

    Raises:
        UserError: see `job.train`.
    """
    training = job.Job(
        config=fn_args.custom_config,
        transform_graph=fn_args.transform_output,
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
