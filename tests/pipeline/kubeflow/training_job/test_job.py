"""What a task does with its job, against an API server on loopback."""

from __future__ import annotations

import json
import threading
import time

import pytest

from pipeline.kubeflow import platform
from pipeline.kubeflow.training_job import job, manifests
from pipeline.kubeflow.training_job.cluster import Patience
from tests.pipeline.kubeflow.training_job import fake_cluster
from tests.pipeline.kubeflow.training_job.conftest import OWNER, make_config
from word2vec.errors import UserError
from word2vec.training import workers

KINDS = ({fake_cluster.TRAINER: fake_cluster.SERVED[fake_cluster.TRAINER]}, {fake_cluster.OPERATOR: ("tfjobs",)})
KIND_NAMES = ("TrainJob", "TFJob")


def start_all(cluster, pods):
    for pod in pods:
        cluster.phase(pod, "Running", running={})


def succeed(cluster, pods):
    start_all(cluster, pods)
    for number in range(3):
        cluster.say(pods[0], f"epoch {number + 1} of 3")
        time.sleep(0.05)
    for pod in pods:
        cluster.done(pod)
    cluster.end(succeeded=True)


def fail(cluster, pods, index=1, message="error: the disk is full", **how):
    """One pod fails, and the chief a second later because of it."""
    start_all(cluster, pods)
    cluster.say(pods[index], "what it did before")
    cluster.done(pods[index], 1, message, finished="2026-01-01T00:00:01Z", **how)
    if index != 0:
        cluster.done(pods[0], 1, "error: another worker has gone", finished="2026-01-01T00:00:02Z")
    cluster.end(succeeded=False, message="jobset failed")


def is_empty(cluster):
    return not cluster.objects and not cluster.pods


@pytest.mark.parametrize("served", KINDS, ids=KIND_NAMES)
def test_success_leaves_the_chiefs_log_and_nothing_else(served, config, make_cluster, make_job, capsys):
    cluster = make_cluster(succeed, served)
    make_job(config).run("/there")
    said = capsys.readouterr().out
    assert [line for line in said.splitlines() if "epoch" in line] == [f"epoch {number} of 3" for number in (1, 2, 3)]
    assert is_empty(cluster)


def test_kubeflow_trainer_is_taken_before_the_older_operator(config, make_cluster, make_job, tmp_path):
    cluster = make_cluster(succeed)
    make_job(config).run("/there")
    assert ("create", "trainjobs.trainer.kubeflow.org", manifests.name_of(config.name)) in cluster.asked
    cluster.asked.clear()
    make_job(make_config(tmp_path, **{"kubeflow.training.kind": "TFJob"})).run("/there")
    assert {resource for verb, resource, _ in cluster.asked if verb == "create"} == {"tfjobs.kubeflow.org"}


@pytest.mark.parametrize(
    ("served", "kind", "named"),
    [
        ({}, "auto", "no TrainJob (trainer.kubeflow.org/v1alpha1) and no TFJob (kubeflow.org/v1)"),
        ({fake_cluster.OPERATOR: ("notebooks",)}, "auto", "no TFJob"),
        ({fake_cluster.OPERATOR: ("tfjobs",)}, "TrainJob", "no TrainJob"),
        ({fake_cluster.TRAINER: ("trainjobs",)}, "TrainJob", "no TrainJob"),
    ],
)
def test_a_cluster_without_such_jobs_says_what_to_install(served, kind, named, tmp_path, make_cluster, make_job):
    make_cluster(served=served)
    with pytest.raises(UserError) as error:
        make_job(make_config(tmp_path, **{"kubeflow.training.kind": kind}))
    assert named in str(error.value)
    assert "Install Kubeflow Trainer 2" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("served", KINDS, ids=KIND_NAMES)
def test_the_first_pod_that_failed_is_named_and_its_log_is_shown(served, config, make_cluster, make_job, capsys):
    cluster = make_cluster(fail, served)
    with pytest.raises(UserError) as error:
        make_job(config).run("/there")
    assert "worker 1 (pod " in str(error.value)
    assert str(error.value).endswith(": the disk is full")
    assert "): what it did before" in capsys.readouterr().out
    assert is_empty(cluster)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"reason": "OOMKilled"}, "kubeflow.resources.Trainer.memory allows (OOMKilled)"),
        ({"message": ""}, "exit code 1"),
        ({"message": "Traceback\nKeyError: 'x'\n"}, "exit code 1: KeyError: 'x'"),
        ({"index": 0, "message": "started\nerror: the training diverged\n"}, "the chief (pod "),
    ],
)
def test_why_a_pod_failed(how, said, config, make_cluster, make_job):
    make_cluster(lambda cluster, pods: fail(cluster, pods, **how))
    with pytest.raises(UserError) as error:
        make_job(config).run("/there")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_of_two_pods_that_fail_in_one_second_the_chief_is_not_the_cause(config, make_cluster, make_job):
    def on_start(cluster, pods):
        start_all(cluster, pods)
        cluster.done(pods[0], 1, "error: another worker has gone")
        cluster.done(pods[1], 137, "", reason="OOMKilled")
        cluster.end(succeeded=False)

    make_cluster(on_start)
    with pytest.raises(UserError, match=r"worker 1 \(pod .*OOMKilled"):
        make_job(config).run("/there")


def test_a_job_that_failed_is_made_anew_from_the_checkpoint(tmp_path, make_cluster, make_job, capsys):
    tries = []

    def fail_once(cluster, pods):
        tries.append(1)
        call = tmp_path / "volume" / "checkpoints" / "job.json"
        assert not call.exists()  # what a killed chief has left would be taken for the new one's call
        call.write_text("{}")
        (fail if len(tries) == 1 else succeed)(cluster, pods)

    cluster = make_cluster(fail_once)
    make_job(make_config(tmp_path, **{"kubeflow.training.restarts": 1})).run("/there")
    assert len(tries) == 2
    said = capsys.readouterr().out
    assert "It is made anew, from the last checkpoint" in said
    assert said.count("epoch 1 of 3") == 1
    assert is_empty(cluster)


def test_restarts_end(tmp_path, make_cluster, make_job):
    tries = []

    def on_start(cluster, pods):
        tries.append(1)
        fail(cluster, pods)

    make_cluster(on_start)
    with pytest.raises(UserError, match=r"it was tried 3 times \(kubeflow\.training\.restarts\)$"):
        make_job(make_config(tmp_path, **{"kubeflow.training.restarts": 2})).run("/there")
    assert len(tries) == 3


@pytest.mark.parametrize("served", KINDS, ids=KIND_NAMES)
def test_a_job_that_takes_too_long_is_removed(served, tmp_path, make_cluster, make_job):
    cluster = make_cluster(start_all, served)
    config = make_config(tmp_path, **{"kubeflow.training.timeout_seconds": 1})
    with pytest.raises(UserError, match=r"not done after 1 s \(kubeflow\.training\.timeout_seconds\)"):
        make_job(config).run("/there")
    assert is_empty(cluster)


def test_pods_that_never_start_are_told_and_given_up(tmp_path, make_cluster, make_job, capsys):
    def one_starts(cluster, pods):
        cluster.phase(pods[0], "Running", running={})
        cluster.phase(pods[1], "Pending", waiting={"reason": "ImagePullBackOff", "message": "no such image"})

    cluster = make_cluster(one_starts)
    config = make_config(tmp_path, **{"kubeflow.training.starting_seconds": 1})
    with pytest.raises(UserError) as error:
        make_job(config).run("/there")
    assert "1 of 2 pods have started after 1 s (kubeflow.training.starting_seconds): worker 1 (pod" in str(error.value)
    assert "ImagePullBackOff: no such image" in str(error.value)
    assert capsys.readouterr().out.count("waits: ImagePullBackOff") == 1
    assert is_empty(cluster)


def test_a_job_of_which_nobody_makes_pods_is_given_up(tmp_path, make_cluster, make_job):
    def none(cluster, pods):
        cluster.pods.clear()

    make_cluster(none)
    config = make_config(tmp_path, **{"kubeflow.training.starting_seconds": 1})
    with pytest.raises(UserError, match=r"0 of 2 pods .* its controller has said nothing of it: is it running\?"):
        make_job(config).run("/there")


@pytest.mark.parametrize("how", ["503", "broken"])
def test_an_api_that_is_away_for_a_while(how, config, make_cluster, make_job, capsys):
    """The training goes on meanwhile, and what it said is told once."""

    def on_start(cluster, pods):
        start_all(cluster, pods)
        cluster.say(pods[0], "before")
        time.sleep(0.2)
        cluster.away = how
        cluster.say(pods[0], "meanwhile")
        time.sleep(0.4)
        cluster.away = ""
        cluster.say(pods[0], "after")
        for pod in pods:
            cluster.done(pod)
        cluster.end(succeeded=True)

    cluster = make_cluster(on_start)
    make_job(config).run("/there")
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line in ("before", "meanwhile", "after")] == ["before", "meanwhile", "after"]
    assert sum("Kubernetes' API is away (" in line for line in lines) >= 1
    assert is_empty(cluster)


def test_an_api_that_stays_away_is_given_up(config, make_cluster, make_job):
    def on_start(cluster, pods):
        cluster.away = "503"

    make_cluster(on_start)
    with pytest.raises(UserError, match=r"^Kubernetes' API did not answer for 0\.2 s .*: 503"):
        make_job(config, patience=Patience(0.2, 0.02)).run("/there")


@pytest.mark.parametrize("served", KINDS, ids=KIND_NAMES)
@pytest.mark.parametrize("other", ["gone", "ended", "made anew"])
def test_what_a_killed_try_has_left_is_removed(other, served, config, make_cluster, make_job, capsys):
    cluster = make_cluster(start_all, served)
    killed = OWNER._replace(pod="try-before", uid="uid-of-try-before")
    make_job(config, owner=killed)._make("/before")
    if other != "gone":
        uid = "another" if other == "made anew" else killed.uid
        phase = "Running" if other == "made anew" else "Failed"
        cluster.pods["try-before"] = {"metadata": {"name": "try-before", "uid": uid}, "status": {"phase": phase}}
    cluster.on_start = succeed
    made = make_job(config)
    made.clear()
    assert not cluster.objects
    made.run("/there")
    said = capsys.readouterr().out
    assert "an earlier try has left it; it is removed" in said
    assert "epoch 3 of 3" in said


def test_another_runs_job_is_left_alone(config, make_cluster, make_job, tmp_path):
    cluster = make_cluster(start_all)
    other = OWNER._replace(pod="other-task", uid="uid-of-other-task")
    call = tmp_path / "volume" / "checkpoints" / workers.JOB_FILE
    its = make_job(config, owner=other)
    call.write_text("of a chief that was killed")
    its._make("/other")
    assert not call.exists()
    call.write_text("of its own chief")
    cluster.pods["other-task"] = {
        "metadata": {"name": "other-task", "uid": other.uid},
        "status": {"phase": "Running"},
    }
    with pytest.raises(UserError, match=r"the task in pod other-task is training with it\. Runs of one pipeline share"):
        make_job(config).clear()
    with pytest.raises(UserError, match=r"another run has made it meanwhile"):
        make_job(config).run("/there")
    assert len(cluster.objects) == 2
    assert call.read_text() == "of its own chief"


def test_while_one_run_copies_its_files_another_leaves_them_alone(config, make_cluster, make_job, tmp_path):
    cluster = make_cluster(start_all)
    folder, other = (
        tmp_path / "volume" / "training_jobs" / "it",
        OWNER._replace(pod="other-task", uid="uid-of-other-task"),
    )
    cluster.pods["other-task"] = {
        "metadata": {"name": "other-task", "uid": other.uid},
        "status": {"phase": "Running"},
    }
    with make_job(config, owner=other).owning(str(folder)):
        folder.mkdir()
        with (
            pytest.raises(UserError, match=r"the task in pod other-task trains\. Runs of one pipeline share"),
            make_job(config).owning(str(folder)),
        ):
            pytest.fail("it has the folder")
        cluster.pods["other-task"]["status"]["phase"] = "Failed"  # and could not take its mark away
        with make_job(config).owning(str(folder)):
            assert json.loads((tmp_path / "volume" / "training_jobs" / "it.owner").read_text())["name"] == OWNER.pod
    assert [path.name for path in folder.parent.iterdir()] == ["it"]


def test_somebody_elses_object_of_this_name_is_left_alone(config, make_cluster, make_job):
    cluster = make_cluster(start_all)
    make_job(config)._make("/there")
    for body in cluster.objects.values():
        body["metadata"]["labels"] = {}
    with pytest.raises(UserError, match="is not of this pipeline"):
        make_job(config).clear()
    assert len(cluster.objects) == 2


def test_a_lost_answer_to_the_making_is_no_other_run(config, make_cluster, make_job):
    """The API has made the job, but the connection broke before it said so."""
    cluster = make_cluster(succeed)
    make_job(config)._make("/there")
    make_job(config).run("/there")
    assert is_empty(cluster)


def test_a_runtime_that_the_controller_sees_a_while_later(config, make_cluster, make_job):
    cluster = make_cluster(succeed)
    cluster.unseen = 3
    make_job(config).run("/there")
    assert is_empty(cluster)
    cluster.unseen = 10**6
    with pytest.raises(UserError, match=r"^Kubernetes refused to create trainjobs.*trainingRuntime must be created"):
        make_job(config, seen=0.1).run("/there")
    assert is_empty(cluster)


def test_a_job_that_somebody_deletes(config, make_cluster, make_job):
    def on_start(cluster, pods):
        start_all(cluster, pods)
        time.sleep(0.1)
        with cluster.lock:
            cluster.delete("trainjobs", manifests.name_of(config.name))

    make_cluster(on_start)
    with pytest.raises(UserError, match="somebody has deleted it while it trained"):
        make_job(config).run("/there")


@pytest.mark.parametrize(
    ("verb", "resource"),
    [
        ("get", "trainjobs.trainer.kubeflow.org"),
        ("create", "trainingruntimes.trainer.kubeflow.org"),
        ("create", "trainjobs.trainer.kubeflow.org"),
        ("list", "pods"),
        ("get", "pods/log"),
    ],
)
def test_a_missing_right_is_one_line_that_names_it(verb, resource, config, make_cluster, make_job):
    cluster = make_cluster(lambda cluster, pods: start_all(cluster, pods))
    cluster.denied = {(verb, resource)}

    def work():
        made = make_job(config)
        made.clear()
        made.check("/there")
        made.run("/there")

    with pytest.raises(UserError) as error:
        work()
    said = str(error.value)
    assert f"the service account may not {verb} {resource} in the namespace team" in said
    assert "deploy/training-job.yaml" in said
    assert "\n" not in said


def test_a_right_to_remove_that_is_missing_does_not_hide_the_result(config, make_cluster, make_job, capsys):
    cluster = make_cluster(succeed)
    cluster.denied = {("delete", "trainjobs.trainer.kubeflow.org")}
    make_job(config).run("/there")
    assert "could not be removed: the service account may not delete trainjobs" in capsys.readouterr().out
    assert cluster.objects


def test_a_quota_or_a_webhook_that_refuses_is_told_as_it_says(config, make_cluster, make_job, monkeypatch):
    make_cluster()

    def refuse(*_):
        raise fake_cluster.RefusedError(403, 'pods "x" is forbidden: exceeded quota: gpus')

    monkeypatch.setattr(fake_cluster.FakeCluster, "create", refuse)
    with pytest.raises(UserError, match=r"^Kubernetes refused to create trainingruntimes.*\(403\): .*exceeded quota"):
        make_job(config).check("/there")


def test_the_check_makes_nothing_and_warns_of_a_volume_of_one_node(config, make_cluster, make_job, capsys):
    cluster = make_cluster()
    cluster.modes = ["ReadWriteOnce"]
    make_job(config).check("/there")
    assert "the claim models is ReadWriteOnce, not ReadWriteMany" in capsys.readouterr().out
    assert is_empty(cluster)
    cluster.denied = {("get", "persistentvolumeclaims")}
    make_job(config).check("/there")
    assert capsys.readouterr().out == ""


def test_the_task_knows_its_own_pod(monkeypatch):
    for variable, value in zip(platform.POD_FIELDS, OWNER, strict=True):
        monkeypatch.setenv(variable, value)
    assert job._owner() == OWNER
    monkeypatch.setenv("TFX_WORD2VEC_POD_UID", "")
    with pytest.raises(UserError, match=r"^the environment variable TFX_WORD2VEC_POD_UID is not set, .* Compile the"):
        job._owner()


def test_no_api_is_one_line(config, make_job, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", "/nowhere")
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(UserError, match="finds no Kubernetes API"):
        make_job(config)


def test_a_log_that_breaks_off_in_a_line_is_told_once(config, make_cluster, make_job, capsys):
    """The whole log comes again, and its times, of which zeros at the end are left out, tell what was printed."""
    ended = threading.Event()

    def on_start(cluster, pods):
        start_all(cluster, pods)
        for stamp, line in (("01.9", "a"), ("01.95", "b"), ("01.951", "c"), ("02", "d")):
            with cluster.lock:
                cluster.logs[pods[0]].append((f"2026-01-01T00:00:{stamp}Z", line))
            time.sleep(0.05)
        cluster.phase(pods[0], "Failed")  # its log's stream ends
        time.sleep(0.2)
        succeed(cluster, pods)
        ended.set()

    make_cluster(on_start)
    make_job(config).run("/there")
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if len(line) == 1] == ["a", "b", "c", "d"]
    assert ended.is_set()
