from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from pipeline.kubeflow.training_job import manifests, pod
from tests.e2e.conftest import ROOT
from tests.pipeline.kubeflow.training_job.conftest import OWNER
from word2vec.training import tf_config


def workers_of(config):
    """What a TrainJob's pods are told of each other."""
    runtime = manifests.of(manifests.TRAIN_JOB, config, OWNER, "/there")[0][1]
    (node,) = runtime["spec"]["template"]["spec"]["replicatedJobs"]
    (container,) = node["template"]["spec"]["template"]["spec"]["containers"]
    return next(each["value"] for each in container["env"] if each["name"] == manifests.WORKERS)


def test_a_train_jobs_pod_makes_tf_config_of_its_index(config, monkeypatch):
    """The hosts' names are those that JobSet gives: JOBSET-REPLICATEDJOB-0-INDEX.JOBSET."""
    name = manifests.name_of(config.name)
    made = pod.tf_config_of({manifests.WORKERS: workers_of(config), "JOB_COMPLETION_INDEX": "1"})
    assert json.loads(made["TF_CONFIG"]) == {
        "cluster": {"worker": [f"{name}-node-0-0.{name}:2222", f"{name}-node-0-1.{name}:2222"]},
        "task": {"type": "worker", "index": 1},
    }
    monkeypatch.setenv("TF_CONFIG", made["TF_CONFIG"])
    tf_config.check()
    assert not tf_config.is_chief()


def test_what_the_operator_says_stands():
    given = {"TF_CONFIG": "{}", manifests.WORKERS: "a:1,b:1", "JOB_COMPLETION_INDEX": "1"}
    assert pod.tf_config_of(given) == {}
    assert pod.tf_config_of({"JOB_COMPLETION_INDEX": "1"}) == {}


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, "error: trainer.strategy = multi_worker: the environment variable TF_CONFIG is not set"),
        ({manifests.WORKERS: "a:1,b:1", "JOB_COMPLETION_INDEX": "0"}, "this pod does not see them: is the volume one"),
    ],
)
def test_what_is_wrong_is_one_line(environment, said, tmp_path):
    kept = {name: value for name, value in os.environ.items() if name != "TF_CONFIG"}
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.kubeflow.training_job.pod", str(tmp_path / "nothing")],
        cwd=ROOT, env={**kept, **environment}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert said in line
    assert "Traceback" not in done.stderr


def test_a_pod_whose_task_has_gone_ends(tmp_path):
    """Then nobody wants what it trains, and nobody removes its job."""
    program = (
        "from pipeline.kubeflow.training_job import handover, pod\n"
        "handover.BEAT_SECONDS = 0.05\n"
        "real = handover.is_abandoned\n"
        "handover.is_abandoned = lambda folder: real(folder, 0.3)\n"
        f"pod._watch({str(tmp_path)!r})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 1
    assert "error: the Trainer's task has given no sign of life" in done.stderr
