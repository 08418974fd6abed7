"""What TFX tells the Trainer becomes a training."""

from __future__ import annotations

import pytest
from tfx.components.trainer.fn_args_utils import FnArgs

from components.trainer import jobs, run_fn
from word2vec.settings import SkipGramSettings, TrainerSettings


@pytest.fixture
def trained(monkeypatch):
    """The jobs that would be trained."""
    found = []
    monkeypatch.setattr(jobs.tft, "TFTransformOutput", lambda path: path)
    monkeypatch.setattr(jobs.vocabulary, "path_in", lambda graph, *name: "/".join((graph, *name)))
    monkeypatch.setattr(run_fn.job, "train", found.append)
    monkeypatch.setattr(run_fn.threads, "one_thread_an_op", lambda: None)
    return found


def make(trainer, hyperparameters=None, **skipgram):
    return FnArgs(
        train_files=["train/*"], eval_files=["eval/*"], transform_graph_path="graph", model_run_dir="logs",
        serving_model_dir="model", hyperparameters=hyperparameters,
        custom_config={
            "trainer": trainer, "skipgram": SkipGramSettings(**skipgram).model_dump(), "checkpoints": "kept",
            "code": "c0de", "eval_split": None,
        },
    )  # fmt: skip


def test_it_is_trained_as_it_is_told(trained):
    run_fn.run_fn(make(TrainerSettings(epochs=7).filled(), phrases={"passes": 2}))
    (job,) = trained
    assert (job.trainer.epochs, job.trainer.learning_rate) == (7, 0.03)
    assert (job.vocabulary, len(job.phrases), job.train_files, job.eval_files) == ("graph", 2, ["train/*"], [])
    assert (job.logs, job.serving_model, job.checkpoints, job.code) == ("logs", "model", "kept", "c0de")


def test_the_settings_that_a_tuner_found_take_the_places_of_others(trained):
    best = {"values": {"trainer.optimizer": "adagrad", "trainer.dimensions": 24, "tuner/epochs": 1}, "space": []}
    run_fn.run_fn(make(TrainerSettings(epochs=7).model_dump(), best))
    (job,) = trained
    assert (job.trainer.optimizer, job.trainer.dimensions, job.trainer.epochs) == ("adagrad", 24, 7)
    assert job.trainer.first_learning_rate == 0.1  # adagrad's own, for none was set
