"""The Tuner's tuner_fn: what TFX calls."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any

from tfx.components.tuner.component import TunerFnResult

from components.questions import examples
from components.trainer import jobs
from components.tuner.judge import Judge
from components.tuner.search import Search
from word2vec import threads, tuning
from word2vec.training import job
from word2vec.tuning import TunerSettings


def tuner_fn(fn_args: Any) -> TunerFnResult:
    """The search for better settings.

    Args:
        fn_args: TFX's `FnArgs`. Its `custom_config` has `trainer`, `skipgram`, `checkpoints` and `code`, as in
            `job.Job`; `tuner`, which are `TunerSettings`; `questions`, the URI of their artifact; and `min_coverage`
            and `composed_words`, as the gate has them.

    Raises:
        UserError: these settings cannot be tuned, no benchmark can be judged, or the text is another one altogether.
    """
    config = fn_args.custom_config
    settings, base = TunerSettings.model_validate(config["tuner"]), jobs.make(fn_args, config)
    tuning.check(settings, base.trainer)
    job.check_drift(base)
    alone = base.trainer.model_copy(update={"max_drift": None})  # it is the same for each trial, and told once
    threads.one_thread_an_op()
    judge = Judge(
        examples.read(config["questions"], examples.TUNING),
        base.vocabulary,
        base.phrases,
        weights=settings.weights,
        min_coverage=config["min_coverage"],
        composed_words=config["composed_words"],
    )

    def attempt(values: Mapping[str, Any]) -> float:
        return job.try_out(base.model_copy(update={"trainer": tuning.combined(alone, values)}), judge)

    search = Search(
        settings,
        attempt,
        base.epochs,
        folder=os.path.join(base.checkpoints, f"{_fingerprint(base, config)}-tuning"),
        scratch=fn_args.working_dir,
    )
    return TunerFnResult(tuner=search, fit_kwargs={})


def _fingerprint(base: job.Job, config: Mapping[str, Any]) -> str:
    """Tells searches apart, as `job.Job.fingerprint` tells trainings: none goes on from the trials of another."""
    here = f"{os.path.dirname(base.checkpoints)}/"
    facts = [config[key] for key in ("tuner", "min_coverage", "composed_words")]
    facts += [base.fingerprint, config["questions"].removeprefix(here)]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
