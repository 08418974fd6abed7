"""A task's own pod in a cluster that a test provides."""

from __future__ import annotations

import pytest

from pipeline import config_files
from pipeline.kubeflow.training_job import job, manifests
from pipeline.kubeflow.training_job.cluster import Cluster, Patience
from tests.pipeline.kubeflow.training_job import fake_cluster

OWNER = manifests.Owner(fake_cluster.NAMESPACE, "task-pod", "uid-of-task-pod")
TIMES = job.Times(poll=0.02, seen=2, again=0.02, leaving=2, other=0.2, cancelled=1)


@pytest.fixture
def config(tmp_path):
    return make_config(tmp_path)


def make_config(tmp_path, **values):
    volume = {"claim": "models", "path": str(tmp_path / "volume")}
    (tmp_path / "volume").mkdir(exist_ok=True)
    return config_files.load(
        "kubeflow",
        values={
            "trainer.strategy": "multi_worker",
            "kubeflow.volume": volume,
            "pusher.destination": f"{volume['path']}/word2vec",
            "kubeflow.training.restarts": 0,
            **values,
        },
    )


@pytest.fixture
def make_cluster(tmp_path, monkeypatch):
    """Makes a cluster that this process finds as its own."""
    made = []

    def make(*arguments, **options):
        made.append(fake_cluster.FakeCluster(*arguments, **options))
        monkeypatch.setenv("KUBECONFIG", str(made[-1].kubeconfig(tmp_path / "kubeconfig")))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def make_job(tmp_path):
    """Makes the job of a configuration in the cluster of this process."""

    def make(config, owner=OWNER, patience=Patience(5, 0.02), **times):  # noqa: B008  (a tuple)
        cluster = Cluster(owner.namespace, patience)
        kind = cluster.find_kind(config.kubeflow.training.kind)
        checkpoints = tmp_path / "volume" / "checkpoints"
        checkpoints.mkdir(exist_ok=True)
        return job.Job(cluster, kind, config, owner, str(checkpoints), TIMES._replace(**times))

    return make
