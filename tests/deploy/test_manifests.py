"""What an administrator applies to a cluster."""

from __future__ import annotations

import re

import kubernetes_validate
import pytest
import yaml

from pipeline import config_files
from pipeline.kubeflow.training_job import manifests
from tests.e2e.conftest import ROOT

FOLDER = ROOT / "deploy"


def load(name):
    return list(yaml.safe_load_all((FOLDER / f"{name}.yaml").read_text()))


@pytest.mark.parametrize("name", ["infra-validator", "service-account", "training-job", "volume", "volume-owner"])
def test_valid_for_kubernetes(name):
    for document in load(name):
        kubernetes_validate.validate(document, "1.31", strict=True)


def test_the_service_account_may_no_more_than_it_must():
    """Of secrets and settings those with names; and to start pods only where InfraValidator is wanted."""
    _, role, binding = load("service-account")
    for rule in role["rules"]:
        if {"secrets", "configmaps"} & set(rule["resources"]):
            assert rule["resourceNames"]
            assert rule["verbs"] == ["get"]
        assert "*" not in (*rule["verbs"], *rule["resources"])
        assert not ("pods" in rule["resources"] and "create" in rule["verbs"])
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    more, _ = load("infra-validator")
    pods = next(rule for rule in more["rules"] if rule["resources"] == ["pods"])
    assert set(pods["verbs"]) == {"create", "delete", "get"}


def test_the_parts_fit_together():
    """The claim that all name, the image's user, and what is applied together."""
    (volume,), (owner,) = load("volume"), load("volume-owner")
    claim = volume["metadata"]["name"]
    assert config_files.load("kubeflow").kubeflow.volume.claim == claim
    pod = owner["spec"]["template"]["spec"]
    assert pod["volumes"][0]["persistentVolumeClaim"]["claimName"] == claim
    (container,) = pod["containers"]
    user = re.search(r"useradd --uid (\d+)", (ROOT / "Dockerfile").read_text())[1]
    assert f"chown {user}:{user} /volume" in container["command"][-1]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"], "add": ["CHOWN", "FOWNER"]}
    (more, _) = load("infra-validator")
    assert [rule["resourceNames"] for rule in more["rules"] if "persistentvolumeclaims" in rule["resources"]] == [
        [claim]
    ]
    (kustomization,) = load("kustomization")
    assert all((FOLDER / name).is_file() for name in kustomization["resources"])


def test_a_training_job_may_do_what_its_task_does_and_no_more():
    """All requests that the task makes are tried with each of these rights missing, in the tests of the job."""
    role, binding = load("training-job")
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    allowed = {
        (group, resource): set(rule["verbs"])
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
    for kind in (manifests.TRAIN_JOB, manifests.RUNTIME, manifests.TF_JOB):
        assert allowed.pop((kind.group, kind.plural)) == {"create", "delete", "get"}
    assert allowed == {
        ("", "pods"): {"get", "list"},
        ("", "pods/log"): {"get"},
        ("", "persistentvolumeclaims"): {"get"},
    }
    assert [rule["resourceNames"] for rule in role["rules"] if "resourceNames" in rule] == [["word2vec-models"]]


def test_flink_and_its_workers():
    """The operator's own kind has no schema here; what it makes pods from has."""
    cluster, *others = yaml.safe_load_all((ROOT / "deploy" / "flink" / "cluster.yaml").read_text())
    for document in others:
        kubernetes_validate.validate(document, "1.31", strict=True)
    pod = {"apiVersion": "v1", "kind": "Pod", **cluster["spec"]["taskManager"]["podTemplate"]}
    kubernetes_validate.validate(pod, "1.31", strict=True)
    _, workers = pod["spec"]["containers"]
    assert "--service_port=50000" in workers["args"]
    (volume,) = yaml.safe_load_all((ROOT / "deploy" / "volume.yaml").read_text())
    assert pod["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"] == volume["metadata"]["name"]
    job_server, service = others
    assert service["spec"]["selector"] == job_server["spec"]["selector"]["matchLabels"]
    own = yaml.safe_load((ROOT / "pipeline" / "flink" / "config.yaml").read_text())
    given = cluster["spec"]["flinkConfiguration"]
    for settings in (given, {".".join(keys): value for keys, value in _leaves(own)}):
        assert settings["restart-strategy.type"] == "exponential-delay"
        assert settings["jobmanager.execution.failover-strategy"] == "full"


def _leaves(tree, keys=()):
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(value, (*keys, key))
        else:
            yield (*keys, key), value
