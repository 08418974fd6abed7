"""What TF Serving and Kubernetes are given."""

from __future__ import annotations

import pathlib
import shlex

import kubernetes_validate
import pytest
import yaml
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from tensorflow_serving.config import model_server_config_pb2

from serving import release
from tests.serving.conftest import ROOT, make_version

FOLDER = ROOT / "serving" / "kubernetes"
CONFIG = FOLDER / "config"


def parse(text, fields):
    """Reads a text proto of these fields: a wrapper's name, or a type of descriptor_pb2."""
    file = descriptor_pb2.FileDescriptorProto(name="serving.proto", syntax="proto3")
    for name, members in fields.items():
        message = file.message_type.add(name=name)
        for number, (member, kind) in enumerate(members.items(), 1):
            field = message.field.add(name=member, number=number, label=1)
            if isinstance(kind, str):
                field.type, field.type_name = descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE, kind
            else:
                field.type = kind
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    made = message_factory.GetMessageClass(pool.FindMessageTypeByName(next(iter(fields))))()
    return text_format.Parse(text, made)


INT, BOOL, TEXT = (getattr(descriptor_pb2.FieldDescriptorProto, f"TYPE_{kind}") for kind in ("INT64", "BOOL", "STRING"))


# Fields as in TF Serving's session_bundle_config.proto.
SIZES = ["max_batch_size", "batch_timeout_micros", "max_enqueued_batches", "num_batch_threads"]
BATCHING = {"BatchingParameters": dict.fromkeys(SIZES, "Value"), "Value": {"value": INT}}


def test_batching():
    found = parse((CONFIG / "batching.config").read_text(), BATCHING)
    assert all(getattr(found, name).value > 0 for name in SIZES)


def test_monitoring():
    """Fields as in TF Serving's monitoring_config.proto."""
    fields = {"MonitoringConfig": {"prometheus_config": "Prometheus"}, "Prometheus": {"enable": BOOL, "path": TEXT}}
    found = parse((CONFIG / "monitoring.config").read_text(), fields).prometheus_config
    annotations = load("deployment")["spec"]["template"]["metadata"]["annotations"]
    assert (found.enable, found.path) == (True, annotations["prometheus.io/path"])


def test_models():
    found = text_format.Parse((CONFIG / "models.config").read_text(), model_server_config_pb2.ModelServerConfig())
    (one,) = found.model_config_list.config
    assert (one.name, one.base_path, one.model_platform) == ("word2vec", "/models/word2vec", "tensorflow")
    assert one.model_version_policy.latest.num_versions == 1


def load(name):
    return yaml.safe_load((FOLDER / f"{name}.yaml").read_text())


@pytest.mark.parametrize("name", ["deployment", "network-policy", "service"])
def test_valid_for_kubernetes(name):
    kubernetes_validate.validate(load(name), "1.31", strict=True)


def test_what_is_wrong_would_be_found():
    wrong = load("deployment")
    wrong["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, "1.31", strict=True)


def test_the_parts_fit_together():
    """Labels, ports, mounts, files and security of the deployment, the service and the compose file."""
    deployment, service = load("deployment"), load("service")
    pod = deployment["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    assert service["spec"]["selector"] == deployment["spec"]["selector"]["matchLabels"]
    assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    ports = {port["name"] for port in container["ports"]}
    assert {port["targetPort"] for port in service["spec"]["ports"]} == ports
    security = {**pod["spec"]["securityContext"], **container["securityContext"]}
    assert (security["runAsNonRoot"], security["readOnlyRootFilesystem"]) == (True, True)
    assert {mount["name"] for mount in container["volumeMounts"]} == {
        volume["name"] for volume in pod["spec"]["volumes"]
    }
    assert {probe for probe in container if probe.endswith("Probe")} == {
        "startupProbe", "readinessProbe", "livenessProbe",
    }  # fmt: skip
    limits = container["resources"]["limits"]
    batching = parse((CONFIG / "batching.config").read_text(), BATCHING)
    assert int(limits["cpu"]) == batching.num_batch_threads.value
    policy = load("network-policy")["spec"]
    assert policy["podSelector"] == deployment["spec"]["selector"]
    assert {port["port"] for port in policy["ingress"][0]["ports"]} == ports
    assert set(load("kustomization")["resources"]) == {path.name for path in FOLDER.glob("*.yaml")} - {
        "kustomization.yaml"
    }
    files = load("kustomization")["configMapGenerator"][0]["files"]
    assert all((FOLDER / file).is_file() for file in files)
    named = [argument.partition("/etc/serving/")[2] for argument in container["args"] if "/etc/serving/" in argument]
    assert sorted(named) == sorted(pathlib.Path(file).name for file in files)
    compose = yaml.safe_load((ROOT / "serving" / "docker-compose.yaml").read_text())["services"]["word2vec"]
    assert (compose["command"], compose["image"]) == (container["args"], container["image"])
    assert (compose["read_only"], compose["cap_drop"]) == (True, ["ALL"])


def test_release(tmp_path, capsys):
    for number in (3, 4):
        make_version(tmp_path / "word2vec", number)
    to = tmp_path / "models.config"
    command = f"--model {tmp_path}/word2vec --stable 3 --canary 4 --to {to}"
    assert release.main(shlex.split(command)) == 0
    assert capsys.readouterr().out == f"{to}\n"
    found = text_format.Parse(to.read_text(), model_server_config_pb2.ModelServerConfig()).model_config_list.config[0]
    assert dict(found.version_labels) == {"stable": 3, "canary": 4}
    assert list(found.model_version_policy.specific.versions) == [3, 4]
    before = to.read_text()
    assert release.main(shlex.split(command.replace("--canary 4", "--canary 5"))) == 1
    assert capsys.readouterr().err == f"error: --canary 5: no such version in {tmp_path}/word2vec. There is: 3, 4\n"
    assert to.read_text() == before
