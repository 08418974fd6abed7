"""The Trainer's task on a cluster whose API and controllers are imitated, and whose pods are processes."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import psutil
import pytest
from gensim.models import KeyedVectors

from pipeline import config_files
from pipeline.kubeflow import needs, platform
from tests.conftest import free_ports
from tests.e2e.conftest import ROOT, make_project
from tests.pipeline.kubeflow.training_job import fake_cluster

SETTINGS = ["trainer.kernel=tensorflow", "trainer.blocks_per_step=2", "trainer.steps_per_call=100", "trainer.epochs=2"]


class Kubelet:
    """Runs the containers of a job's pods as processes, with what their manifest tells them.

    Attributes:
        processes: by pod.
        folder: for their output.
    """

    def __init__(self, folder: pathlib.Path):
        self.folder, self.processes, self.started = folder, {}, 0

    def start(self, cluster, pods):
        """For `FakeCluster.on_start`: starts all, and says when each and the job have ended."""
        ports = free_ports(len(pods))
        self.started += 1
        for pod in pods:
            self._run(cluster, pod, pods, ports)
        threads = [threading.Thread(target=self._follow, args=(cluster, pod), daemon=True) for pod in pods]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with cluster.lock:
            if all(pod in cluster.pods for pod in pods):
                cluster.end(succeeded=all(cluster.pods[pod]["status"]["phase"] == "Succeeded" for pod in pods))

    def kill(self, pods):
        for pod in pods:
            if pod in self.processes:
                self.processes[pod].terminate()

    def close(self):
        for process in self.processes.values():
            process.kill()
            process.wait()

    def _run(self, cluster, pod, pods, ports):
        (container,) = cluster.pods[pod]["spec"]["containers"]
        job = cluster.pods[pod]["metadata"]["of"]
        given = {each["name"]: each["value"] for each in container["env"]}
        for index, port in enumerate(ports):  # what a cluster's DNS does
            for host in (f"{job}-node-0-{index}.{job}", f"{job}-worker-{index}.{fake_cluster.NAMESPACE}.svc"):
                given = {name: value.replace(f"{host}:2222", f"127.0.0.1:{port}") for name, value in given.items()}
        kept = {name: value for name, value in os.environ.items() if name not in ("TF_CONFIG", "KUBECONFIG")}
        command = [sys.executable, *container["command"][1:]]
        cluster.phase(pod, "Running", running={})
        self.processes[pod] = subprocess.Popen(
            command, cwd=ROOT, env={**kept, **given}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def _follow(self, cluster, pod):
        lines = []
        for line in self.processes[pod].stdout:
            lines.append(line.rstrip("\n"))
            cluster.say(pod, lines[-1])
        code = self.processes[pod].wait()
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        with cluster.lock:
            if pod in cluster.pods:
                cluster.done(pod, code, "\n".join(lines[-80:]), finished=now)
        (self.folder / f"{pod}.log").write_text("\n".join(lines))


@pytest.fixture(scope="module")
def transformed(tmp_path_factory):
    """A project whose run has made what a Trainer takes."""
    project = make_project(tmp_path_factory.mktemp("project"))
    project.run("--set", "trainer.strategy=one_device", *overrides())
    return project


def overrides():
    return [word for setting in SETTINGS for word in ("--set", setting)]


@pytest.fixture
def start(tmp_path, transformed):
    """Starts the Trainer's task as KFP's launcher does, in a cluster."""
    running = []

    def begin(served=fake_cluster.SERVED, *settings):
        kubelet = Kubelet(tmp_path)
        cluster = fake_cluster.FakeCluster(kubelet.start, served, kubelet.kill)
        config = make_config(tmp_path, transformed, settings)
        process = start_task(tmp_path, transformed, config, cluster)
        running.append((kubelet, cluster, process))
        return cluster, kubelet, process

    yield begin
    for kubelet, cluster, process in running:
        process.kill()
        process.communicate()
        kubelet.close()
        cluster.close()


def make_config(tmp_path, transformed, settings):
    (tmp_path / "volume").mkdir(exist_ok=True)
    volume = {"claim": "models", "path": str(tmp_path / "volume")}
    values = {
        "trainer.strategy": "multi_worker",
        "kubeflow.volume": volume,
        "pusher.destination": f"{volume['path']}/word2vec",
    }
    return config_files.load(str(transformed.folder / "config.yaml"), [*SETTINGS, *settings], values)


def start_task(tmp_path, transformed, config, cluster):
    def artifact(key, title):
        metadata = {"split_names": '["train", "eval"]'} if key == "transformed_examples" else {}
        one = {"name": "7", "uri": str(transformed.artifact("Transform", key)), "metadata": metadata}
        return {"artifacts": [{**one, "type": {"instanceSchema": title}}]}

    def output(name, title):
        kind = {"instanceSchema": f"title: tfx.{title}\ntype: object\n"}
        return {"artifacts": [{"name": name, "uri": str(tmp_path / "outputs" / name), "type": kind}]}

    asked = {
        "inputs": {
            "artifacts": {
                "examples": artifact("transformed_examples", ""),
                "transform_graph": artifact("transform_graph", ""),
            }
        },
        "outputs": {
            "artifacts": {"model": output("model", "Model"), "model_run": output("model_run", "ModelRun")},
            "parameters": {"identity": {"outputFile": str(tmp_path / "outputs" / "identity")}},
            "outputFile": str(tmp_path / "outputs" / "output.json"),
        },
    }
    settings = json.dumps(needs.settings_of("Trainer", config, []))
    pod = dict(zip(platform.POD_FIELDS, (fake_cluster.NAMESPACE, "task-pod", "uid-of-task-pod"), strict=True))
    own = {
        needs.PLACE: needs.place(config, "Trainer"),
        "KUBECONFIG": str(cluster.kubeconfig(tmp_path / "kubeconfig")),
        **pod,
    }
    command = [sys.executable, "-m", "pipeline.kubeflow.launcher", "--task", "Trainer", "--settings", settings]
    return subprocess.Popen(
        [*command, "--executor-input", json.dumps(asked)],
        cwd=ROOT, env={**os.environ, **own}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def vectors(folder):
    (path,) = folder.rglob("vectors.txt")
    return KeyedVectors.load_word2vec_format(str(path)).vectors


def said(tmp_path):
    return "\n".join(f"{path.name}:\n{path.read_text()[-3000:]}" for path in tmp_path.glob("*.log"))


@pytest.mark.parametrize(
    "served", [{fake_cluster.TRAINER: fake_cluster.SERVED[fake_cluster.TRAINER]}, {fake_cluster.OPERATOR: ("tfjobs",)}]
)
@pytest.mark.timeout(600)
def test_two_pods_train_the_model_that_one_device_trains(served, start, tmp_path, transformed):
    cluster, kubelet, process = start(served)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, out + err + said(tmp_path)
    assert kubelet.started == 1
    assert "epoch 2 of 2" in out  # the chief's progress
    one = transformed.folder / "runs" / "tiny" / "vectors"
    np.testing.assert_allclose(vectors(tmp_path / "outputs"), vectors(one), rtol=0.01, atol=0.01)
    made = json.loads((tmp_path / "outputs" / "output.json").read_text())
    assert made["artifacts"]["model"]["artifacts"][0]["uri"] == str(tmp_path / "outputs" / "model")
    assert str(tmp_path / "volume") not in json.dumps(made)
    assert (tmp_path / "outputs" / "identity").read_text()
    assert list((tmp_path / "outputs" / "model_run").rglob("events*"))
    assert not cluster.objects
    assert not list((tmp_path / "volume" / "training_jobs").iterdir())


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_pod_that_is_killed_costs_no_more_than_the_last_checkpoint(start, tmp_path):
    cluster, kubelet, process = start(
        fake_cluster.SERVED, "trainer.steps_per_call=20", "trainer.checkpoint_seconds=0.2"
    )
    checkpoints = tmp_path / "volume" / "checkpoints"
    wait_for(lambda: list(checkpoints.glob("*/*/step-*[0-9]")), process)
    worker = next(pod for pod in kubelet.processes if "-node-0-1-" in pod)
    for child in psutil.Process(kubelet.processes[worker].pid).children(recursive=True):
        child.kill()
    kubelet.processes[worker].kill()
    out, err = process.communicate(timeout=400)
    assert process.returncode == 0, out + err + said(tmp_path)
    assert kubelet.started == 2
    assert "worker 1 (pod " in out
    assert "It is made anew, from the last checkpoint" in out
    assert "Going on from the checkpoint at step" in out
    assert not cluster.objects


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.timeout(600)
def test_a_cancelled_task_leaves_nothing_that_works(how, start, tmp_path):
    """SIGTERM removes the job. After SIGKILL it is the cluster that does, when its owner has gone."""
    cluster, kubelet, process = start()
    wait_for(lambda: len(kubelet.processes) == 2, process)
    process.send_signal(how)
    out, err = process.communicate(timeout=60)
    if how == signal.SIGKILL:
        assert {each["metadata"]["ownerReferences"][0]["uid"] for each in cluster.objects.values()} == {
            "uid-of-task-pod"
        }
        assert len(cluster.objects) == 2
        return
    assert process.returncode == 128 + signal.SIGTERM, out + err
    assert not cluster.objects
    assert not cluster.pods
    for pod in kubelet.processes.values():
        assert pod.wait(timeout=30) in (128 + signal.SIGTERM, -signal.SIGTERM)  # once it has asked for it; before
    assert not list((tmp_path / "volume" / "training_jobs").iterdir())


def wait_for(condition, process, seconds=200):
    until = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.05)
