"""The compiled pipeline, task by task in likenesses of containers, makes what the local runner makes."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
import yaml

from pipeline.kubeflow.rehearsal import container
from tests.conftest import TOPICS, make_documents
from tests.e2e.conftest import ROOT, make_project
from word2vec import saved_vectors
from word2vec.errors import UserError

pytestmark = pytest.mark.slow

# Where the containers see the project's folder: as a volume.
MOUNT = "/mnt/models"


class Cluster:
    """A folder for rehearsals, and the project's files on a volume of it; and a version that is pushed already."""

    def __init__(self, folder, project, pushed=None):
        self.folder, self.volume = folder / "rehearsal", folder / "volume"
        shutil.copytree(project.folder, self.volume, ignore=shutil.ignore_patterns("runs"))
        (self.volume / "word2vec").mkdir()
        if pushed:
            shutil.copytree(pushed, self.volume / "word2vec" / "100")
        for path in (self.volume, self.volume / "word2vec"):
            path.chmod(0o777)
        settings = (project.folder / "config.yaml").read_text().replace(str(project.folder), MOUNT)
        settings += f"pusher: {{destination: {MOUNT}/word2vec}}\n"
        settings += f"kubeflow: {{volume: {{claim: models, path: {MOUNT}}}}}\n"
        (folder / "config.yaml").write_text(settings)
        self.config = folder / "config.yaml"

    def rehearse(self, *arguments):
        """Returns (what it says, the tasks that ran, those that the cache answered)."""
        command = [sys.executable, str(ROOT / "kubeflow_runner.py"), "rehearse", "--config", str(self.config)]
        done = subprocess.run(
            [*command, "--folder", str(self.folder), "--volume", f"models={self.volume}", *arguments],
            cwd=self.folder.parent, capture_output=True, text=True, timeout=850, check=False,
            env={**os.environ, "COLUMNS": "200"},
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        ran = set(re.findall(r"✔ (\S+) +[\d.]+ s", done.stdout))
        return done.stdout, ran, set(re.findall(r"✔ (\S+) +cached", done.stdout))

    def pushed(self):
        return sorted(path.name for path in (self.volume / "word2vec").iterdir())

    def output(self, task, name):
        """The newest artifact of a task."""
        store = self.folder / "store" / "minio" / "mlpipeline" / "v2" / "artifacts" / "tiny"
        return max(store.glob(f"*/{task}/*/{name}"), key=lambda path: path.stat().st_mtime)


@pytest.fixture(scope="module")
def cluster(project, first_run, tmp_path_factory):
    try:
        container.check()
    except UserError as error:
        pytest.skip(str(error))
    return Cluster(tmp_path_factory.mktemp("cluster"), project, project.pushed()[0])


CHANGED = ["trainer.epochs=1", "skipgram.window=1"]
RUN = ["--parameter", "trainer_epochs=6", "--parameter", "skipgram_window=3"]


@pytest.fixture(scope="module")
def rehearsed(cluster):
    """A rehearsal whose run's parameters undo what its settings have changed, beside a model that is pushed already."""
    return cluster.rehearse(*(f"--set={setting}" for setting in CHANGED), *RUN)


@pytest.mark.timeout(900)
def test_the_same_vectors_as_the_local_runners(project, cluster, rehearsed):
    told, _, cached = rehearsed
    assert not cached
    (pushed,) = [name for name in cluster.pushed() if name != "100"]
    assert f"Model       {cluster.volume}/word2vec/{pushed}\n" in told
    check_equal(project.pushed()[0], cluster.volume / "word2vec" / pushed)


def check_equal(*saved_models):
    words = tf.constant([word for topic in TOPICS.values() for word in topic])
    vectors = [
        tf.saved_model.load(str(path)).signatures["serving_default"](words=words)["embeddings"].numpy()
        for path in saved_models
    ]
    np.testing.assert_array_equal(*vectors)


def test_what_was_pushed_before_is_the_baseline(cluster, rehearsed):
    card = json.loads((cluster.output("ModelCard", "model_card") / "model_card.json").read_text())
    assert card["baseline"].startswith("minio://mlpipeline/v2/artifacts/tiny/")  # and no path of a container
    (topics,) = [benchmark for benchmark in card["benchmarks"] if benchmark["name"] == "topics"]
    assert topics["baseline_score"] == topics["score"]
    assert card["corpus"]["fingerprint"]
    assert card["settings"]["trainer"]["epochs"] == 6
    assert (cluster.output("Report", "report") / "report.html").is_file()


def test_a_task_sees_its_inputs_only(cluster, rehearsed):
    """The folders that stood for the containers' are gone; what is left is in the store, and the logs."""
    spec = next(iter(yaml.safe_load_all((cluster.folder / "pipeline.yaml").read_text())))
    tasks = cluster.folder / "tasks"
    assert sorted(path.name for path in tasks.iterdir()) == sorted(spec["root"]["dag"]["tasks"])
    assert not list(tasks.glob("*/container"))
    assert (tasks / "Trainer" / "log.txt").is_file()
    assert cluster.output("Trainer", "executor-logs").is_file()


LOOKS_OUTSIDE = {"Fingerprints", "PushedVersion", "Pusher"}


@pytest.mark.timeout(900)
def test_what_has_not_changed_does_not_run_again(cluster, rehearsed):
    """What looks outside alone; and what was pushed is not pushed again, nor compared with itself."""
    _, ran, cached = rehearsed
    before = cluster.pushed()
    again = cluster.rehearse(*(f"--set={setting}" for setting in CHANGED), *RUN)
    assert (again[1], again[2]) == (LOOKS_OUTSIDE, (ran | cached) - LOOKS_OUTSIDE)
    assert cluster.pushed() == before
    reported = cluster.rehearse("--set=report.map_words=20", *(f"--set={setting}" for setting in CHANGED), *RUN)
    assert reported[1] == {*LOOKS_OUTSIDE, "Report"}


@pytest.mark.nightly
@pytest.mark.timeout(900)
def test_a_new_file_runs_what_depends_on_it(cluster, rehearsed):
    """With an older KFP's ways, which changes nothing of what has been made."""
    (cluster.volume / "corpus" / "c.txt").write_text("cat dog horse\n" * 20)
    _, ran, cached = cluster.rehearse("--kfp", "2.5", *(f"--set={setting}" for setting in CHANGED), *RUN)
    assert cached == {"QuestionExampleGen", "SchemaGen"}
    assert {"ExampleGen", "Transform", "Trainer", "Baseline", "Evaluator", "Pusher"} <= ran


@pytest.mark.nightly
@pytest.mark.timeout(3600)
def test_a_week_that_arrives_gives_the_same_vectors_as_the_local_runners(cluster, tmp_path_factory):
    """Each day starts from the model of the day before, and lies in its space."""
    project = make_project(tmp_path_factory.mktemp("days"))
    texts, config = project.folder / "texts", project.folder / "config.yaml"
    texts.mkdir()
    settings = re.sub(r"(?m)^corpus: .*$", "", config.read_text()).replace(
        "trainer: {", "trainer: {warm_start: true, align: last_blessed, max_drift: 0.9, "
    )
    days = f"{texts}/{{YYYY}}-{{MM}}-{{DD}}.txt"
    config.write_text(f"{settings}\ncorpus: {{paths: ['{days}'], window: 3, shards: 3}}\nkeep: {{versions: 2}}\n")
    cluster = Cluster(tmp_path_factory.mktemp("days-cluster"), project)

    documents = make_documents(800)

    def deliver(day):
        text = "".join(f"{document}\n" for document in documents[100 * day : 100 * day + 100])
        for folder in (texts, cluster.volume / "texts"):
            (folder / f"2026-01-0{day}.txt").write_text(text)

    spaces = set()
    for day in range(1, 8):  # on the first two, places of the window have no span
        deliver(day)
        project.run()
        _, ran, cached = cluster.rehearse()
        assert not [name for name in cached if day == 1]
        if day > 1:  # the day before has moved to the second place
            assert {"ExampleGen-1", "StatisticsGen-1", "LastBlessedModel", "Trainer"} <= ran
            assert {"ExampleGen-2", "StatisticsGen-2", "ExampleValidator-2", "QuestionExampleGen"} <= cached
        newest = cluster.volume / "word2vec" / cluster.pushed()[-1]
        check_equal(project.pushed()[-1], newest)
        spaces.add(saved_vectors.space_of(str(newest)))
    assert len(spaces) == 1
    assert "Trainer" in cluster.rehearse()[2]  # a model of the same text is none to start from
