"""What a training has to know, from what TFX's Trainer and Tuner are told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow_transform as tft

from word2vec import phrases, vocabulary
from word2vec.training import job


def make(fn_args: Any, config: Mapping[str, Any], **more: Any) -> job.Job:
    """The job.

    Args:
        fn_args: TFX's `FnArgs`, of which the Trainer and the Tuner fill in the same.
        config: `trainer`, `skipgram`, `checkpoints` and `code`, as in `job.Job`.
        **more: the other attributes of the job.
    """
    graph = tft.TFTransformOutput(fn_args.transform_graph_path)
    found = config["skipgram"]["phrases"]
    return job.Job(
        **{key: config[key] for key in ("trainer", "skipgram", "checkpoints", "code")},
        vocabulary=vocabulary.path_in(graph),
        phrases=[
            vocabulary.path_in(graph, phrases.asset(number + 1)) for number in range(found["passes"] if found else 0)
        ],
        train_files=list(fn_args.train_files),
        base_model=fn_args.base_model,
        **more,
    )
