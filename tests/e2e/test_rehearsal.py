"""The compiled pipeline, task by task in processes of its own, makes what the local runner makes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
import yaml

from tests.conftest import TOPICS
from tests.e2e.conftest import ROOT


@pytest.fixture(scope="module")
def rehearsed(project, first_run, tmp_path_factory):
    """A rehearsal whose run's parameters undo what its settings have changed, beside a model that is pushed already."""
    folder = tmp_path_factory.mktemp("rehearsal")
    shutil.copytree(project.pushed()[0], folder / "pushed" / "100")
    command = [sys.executable, str(ROOT / "kubeflow_runner.py"), "rehearse", "--folder", str(folder)]
    settings = ["trainer.epochs=1", "skipgram.window=1", "pusher.destination=/nowhere", "report.map_words=20"]
    settings = ["--config", str(project.folder / "config.yaml"), *(f"--set={setting}" for setting in settings)]
    parameters = ["--parameter", "trainer_epochs=6", "--parameter", "skipgram_window=3"]
    done = subprocess.run(
        [*command, *settings, *parameters],
        cwd=folder, capture_output=True, text=True, timeout=500, check=False, env={**os.environ, "COLUMNS": "200"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return folder, done.stdout


@pytest.mark.timeout(900)
def test_the_same_vectors_as_the_local_runners(project, rehearsed):
    folder, told = rehearsed
    (pushed,) = [path for path in (folder / "pushed").iterdir() if path.name != "100"]
    assert str(pushed) in told
    words = tf.constant([word for topic in TOPICS.values() for word in topic])
    vectors = [
        tf.saved_model.load(str(path)).signatures["serving_default"](words=words)["embeddings"].numpy()
        for path in (project.pushed()[0], pushed)
    ]
    np.testing.assert_array_equal(*vectors)


def test_what_was_pushed_before_is_the_baseline(rehearsed):
    folder, _ = rehearsed
    store = folder / "store" / "minio" / "mlpipeline" / "v2" / "artifacts" / "tiny" / "rehearsal"
    card = json.loads((store / "ModelCard" / "model_card" / "model_card.json").read_text())
    assert card["baseline"]
    (topics,) = [benchmark for benchmark in card["benchmarks"] if benchmark["name"] == "topics"]
    assert topics["baseline_score"] == topics["score"]
    assert card["corpus"]["fingerprint"]
    assert card["settings"]["trainer"]["epochs"] == 6
    assert (store / "Report" / "report" / "report.html").is_file()


def test_a_task_sees_its_inputs_only(rehearsed):
    """The folders that stood for the containers' are gone; what is left is in the store, and the logs."""
    folder, _ = rehearsed
    spec = next(iter(yaml.safe_load_all((folder / "pipeline.yaml").read_text())))
    tasks = sorted(path.name for path in (folder / "tasks").iterdir())
    assert tasks == sorted(spec["root"]["dag"]["tasks"])
    assert not list((folder / "tasks").glob("*/mirror"))
    assert (folder / "tasks" / "Trainer" / "log.txt").is_file()
