"""The jobs' manifests, against the schemas of the custom resources and of Kubernetes."""

from __future__ import annotations

import copy

import jsonschema
import kubernetes_validate
import pytest

from pipeline.kubeflow.training_job import manifests
from tests.pipeline.kubeflow.training_job import fake_cluster
from tests.pipeline.kubeflow.training_job.conftest import OWNER, make_config

# Everything that a pod can be given.
ALL = {
    "kubeflow.image": "registry.example/word2vec:1",
    "kubeflow.image_pull_secrets": ["registry"],
    "kubeflow.secrets": [{"name": "aws", "environment": {"id": "AWS_ACCESS_KEY_ID"}}],
    "kubeflow.service_account": "word2vec",
    "kubeflow.resources": {
        "default": {"cpu": "1"},
        "Trainer": {
            "cpu": "8",
            "memory": "16Gi",
            "gpus": 2,
            "node_selector": {"pool": "large"},
            "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}],
        },
    },
    "kubeflow.training.workers": 3,
    "kubeflow.training.timeout_seconds": 600,
}
KINDS = [*manifests.OBJECTS]


def made(kind, config):
    return {each.name: body for each, body in manifests.of(kind, config, OWNER, "/mnt/models/training_jobs/x")}


def template(kind, config):
    """What the pods are made from."""
    bodies = made(kind, config)
    if kind == manifests.TF_JOB:
        return bodies["TFJob"]["spec"]["tfReplicaSpecs"]["Worker"]["template"]
    (node,) = bodies["TrainingRuntime"]["spec"]["template"]["spec"]["replicatedJobs"]
    return node["template"]["spec"]["template"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("values", [{}, ALL], ids=["least", "all"])
def test_valid_for_the_custom_resources_and_for_kubernetes(kind, values, tmp_path):
    for body in made(kind, make_config(tmp_path, **values)).values():
        fake_cluster.check(body)
        assert body["metadata"]["ownerReferences"] == [
            {"apiVersion": "v1", "kind": "Pod", "name": OWNER.pod, "uid": OWNER.uid}
        ]


@pytest.mark.parametrize("kind", KINDS)
def test_the_check_finds_what_is_wrong(kind, config):
    """A field that no such resource has, another kind of value, and a field that no pod has."""
    *_, body = made(kind, config).values()
    odd = copy.deepcopy(body)
    odd["spec"]["podSpecOverrides"] = []
    with pytest.raises(jsonschema.ValidationError, match="podSpecOverrides"):
        fake_cluster.check(odd)
    with_pods = next(iter(made(kind, config).values()))
    of_pod = (
        with_pods["spec"]["tfReplicaSpecs"]["Worker"]["template"]
        if kind == manifests.TF_JOB
        else with_pods["spec"]["template"]["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]
    )
    of_pod["spec"]["serviceAcount"] = "x"
    with pytest.raises(kubernetes_validate.ValidationError):
        fake_cluster.check(with_pods)


@pytest.mark.parametrize("kind", KINDS)
def test_the_pods_get_what_the_settings_say_of_the_trainer(kind, tmp_path):
    pod = template(kind, make_config(tmp_path, **ALL))["spec"]
    (container,) = pod["containers"]
    given = {"cpu": "8", "memory": "16Gi", "nvidia.com/gpu": "2"}
    assert container["resources"] == {"requests": given, "limits": given}
    assert container["image"] == "registry.example/word2vec:1"
    assert container["command"] == [
        "python", "-m", "pipeline.kubeflow.training_job.pod", "/mnt/models/training_jobs/x"
    ]  # fmt: skip
    secret = {"name": "AWS_ACCESS_KEY_ID", "valueFrom": {"secretKeyRef": {"name": "aws", "key": "id"}}}
    assert secret in container["env"]
    assert pod["serviceAccountName"] == "word2vec"
    assert pod["imagePullSecrets"] == [{"name": "registry"}]
    assert pod["nodeSelector"] == {"pool": "large"}
    assert pod["tolerations"] == [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}]


@pytest.mark.parametrize("kind", KINDS)
def test_the_pods_see_the_volume_where_the_task_sees_it(kind, config):
    pod = template(kind, config)["spec"]
    assert pod["volumes"][0]["persistentVolumeClaim"] == {"claimName": "models"}
    assert pod["containers"][0]["volumeMounts"][0]["mountPath"] == config.kubeflow.volume.path


@pytest.mark.parametrize("kind", KINDS)
def test_no_sidecar_and_no_token(kind, config):
    pod = template(kind, config)
    for group in ("labels", "annotations"):
        assert pod["metadata"][group]["sidecar.istio.io/inject"] == "false"
    assert pod["spec"]["automountServiceAccountToken"] is False


def test_a_train_job_is_as_many_pods_as_workers_and_no_pod_is_made_twice(tmp_path):
    bodies = made(manifests.TRAIN_JOB, make_config(tmp_path, **ALL))
    runtime, job = bodies["TrainingRuntime"]["spec"], bodies["TrainJob"]["spec"]
    assert runtime["mlPolicy"]["numNodes"] == job["trainer"]["numNodes"] == 3
    assert job["runtimeRef"]["name"] == bodies["TrainingRuntime"]["metadata"]["name"]
    jobs = runtime["template"]["spec"]
    assert jobs["failurePolicy"] == {"maxRestarts": 0}
    (node,) = jobs["replicatedJobs"]
    assert node["template"]["spec"]["backoffLimit"] == 0
    assert node["template"]["spec"]["activeDeadlineSeconds"] > 600  # the task says it better, if it is there


def test_a_tf_job_is_as_many_pods_as_workers_and_no_pod_is_made_twice(tmp_path):
    job = made(manifests.TF_JOB, make_config(tmp_path, **ALL))["TFJob"]["spec"]
    worker = job["tfReplicaSpecs"]["Worker"]
    assert (worker["replicas"], worker["restartPolicy"]) == (3, "Never")
    assert job["runPolicy"]["backoffLimit"] == 0
    assert job["runPolicy"]["activeDeadlineSeconds"] > 600
    assert worker["template"]["spec"]["containers"][0]["name"] == "tensorflow"  # to which the operator gives TF_CONFIG


def test_the_jobs_name_is_one_that_hosts_can_have():
    for name in ("tiny", "A" * 63, "9-_.x", "ünïcode"):
        made = manifests.name_of(name)
        assert len(f"{made}-node-0-999-abcde") <= 63
        assert made[0].isalpha()
        assert made.replace("-", "").isalnum()
        assert made.isascii()
    assert manifests.name_of("a.b") != manifests.name_of("a-b")
