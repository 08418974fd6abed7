"""What tells one training from another."""

from __future__ import annotations

import dataclasses
import json

import pytest

from word2vec.training import job

MADE = job.Job(
    config={"trainer": {"epochs": 5}, "skipgram": {}, "checkpoints": "/runs/a/checkpoints", "code": "c0de"},
    vocabulary="/runs/a/artifacts/Transform/transform_graph/6/vocabulary",
    train_files=["/runs/a/artifacts/Transform/transformed_examples/6/Split-train/*"],
    eval_files=[],
    base_model="/runs/a/artifacts/Trainer/model/3/Format-Serving",
    logs="/runs/a/artifacts/Trainer/model_run/7",
    serving_model="/runs/a/artifacts/Trainer/model/7/Format-Serving",
)


def test_a_folder_that_was_moved_has_the_same_checkpoints():
    moved = json.loads(json.dumps(dataclasses.asdict(MADE)).replace("/runs/a/", "/b/"))
    assert moved["config"]["checkpoints"] == "/b/checkpoints"
    assert job.Job(**moved).fingerprint == MADE.fingerprint


@pytest.mark.parametrize(
    "change",
    [
        {"config": {**MADE.config, "code": "other"}},
        {"config": {**MADE.config, "trainer": {"epochs": 6}}},
        {"vocabulary": "/runs/a/artifacts/Transform/transform_graph/9/vocabulary"},
        {"train_files": ["/elsewhere/Split-train/*"]},
        {"base_model": None},
    ],
)
def test_another_training_has_others(change):
    assert dataclasses.replace(MADE, **change).fingerprint != MADE.fingerprint
