"""What has to stand in several files, for they cannot import each other, is the same in all of them."""

from __future__ import annotations

import re

import pytest

from pipeline.configs import ServingConfig
from tests.e2e.conftest import ROOT


def found(file, pattern):
    """All that a pattern's group finds in a file, of which there must be some."""
    texts = re.findall(pattern, (ROOT / file).read_text(encoding="utf-8"))
    assert texts, f"{file} has no {pattern}"
    return set(texts)


@pytest.mark.parametrize("file", ["serving/docker-compose.yaml", "serving/kubernetes/deployment.yaml"])
def test_tf_serving_is_the_one_that_models_are_tried_in(file):
    settings = ServingConfig()
    assert found(file, r"image: (\S*tensorflow/serving\S*)") == {f"{settings.image}:{tag}" for tag in settings.tags}


@pytest.mark.parametrize(
    ("file", "pattern"),
    [
        ("Dockerfile", r"(?m)^USER (\d+)"),
        ("pipeline/kubeflow/rehearsal/container.py", r"(?m)^USER = (\d+)"),
        ("components/infra_validator/executor.py", r"(?m)^_USER = (\d+)"),
        ("serving/docker-compose.yaml", r'user: "(\d+):'),
        ("serving/docker-compose.yaml", r'user: "\d+:(\d+)"'),
        ("serving/kubernetes/deployment.yaml", r"(?:runAsUser|runAsGroup|fsGroup): (\d+)"),
        ("deploy/volume-owner.yaml", r"chown (\d+):"),
        ("deploy/flink/cluster.yaml", r"fsGroup: (\d+)"),
    ],
)
def test_the_user_is_the_images(file, pattern):
    assert found(file, pattern) == found("Dockerfile", r"useradd --uid (\d+)")


def test_the_namespace_is_where_all_look_for_it():
    executor, client = "components/infra_validator/executor.py", "pipeline/kubeflow/client.py"
    platform = "pipeline/kubeflow/platform.py"
    assert found(executor, r'_NAMESPACE_FILE = "(.*)"') == found(client, r'_NAMESPACE_FILE = "(.*)"')
    assert found(executor, r'_NAMESPACE = "(.*)"') == found(platform, r'name="(.*)", field_path="metadata.namespace"')
