"""Who is to blame: the model, or what should have tried it. A Kubernetes API of the tests stands in for a cluster's."""

from __future__ import annotations

import json
import threading
from http import server

import kubernetes
import pytest
from tfx import v1 as tfx
from tfx.components.infra_validator import error_types, serving_bins
from tfx.components.infra_validator.model_server_runners import local_docker_runner
from tfx.utils import kube_utils

from components.infra_validator import executor
from word2vec.errors import UserError

PODS = "/api/v1/namespaces/here/pods"


class Cluster(server.ThreadingHTTPServer):
    """Pods and a claim in memory; a pod that is created is in a phase at once."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.volumes, self.phase, self.refuses, self.made, self.deleted = [], "Running", None, [], []

    def answer(self, method, path, body):
        if method == "POST" and path == PODS:
            if self.refuses:
                return 403, {"kind": "Status", "message": self.refuses}
            self.made.append(body)
            return 201, {**body, "metadata": {**body["metadata"], "name": f"server-{len(self.made)}"}}
        if method == "DELETE":
            self.deleted.append(path.rpartition("/")[2])
            return 200, {}
        if path == f"{PODS}/executor":
            main = {"name": "main", "volumeMounts": [{"name": "models", "mountPath": self.mount}]}
            spec = {"containers": [main], "serviceAccountName": "word2vec", "volumes": self.volumes}
            metadata = {"name": "executor", "uid": "1"}
            return 200, {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
        if path.startswith(f"{PODS}/server-") and not path.endswith("/log"):
            return 200, {"spec": {"containers": []}, "status": {"phase": self.phase, "podIP": "127.0.0.1"}}
        if path.endswith("/persistentvolumeclaims/models"):
            return 200, {"spec": {"accessModes": ["ReadWriteMany"]}}
        return 404, {"kind": "Status", "message": f"{path} not found"}


class Handler(server.BaseHTTPRequestHandler):
    def _do(self):
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or "null")
        status, answer = self.server.answer(self.command, self.path.partition("?")[0], body)
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_DELETE = _do  # noqa: N815  (so are they called)

    def log_message(self, *_):
        pass


class Model:
    """What answers where TF Serving would; `fault` is what it makes of the model."""

    fault = None

    def WaitUntilModelLoaded(self, deadline, polling_interval_sec):
        if self.fault:
            raise self.fault

    def SendRequests(self, requests):
        pass


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    running = Cluster()
    running.mount = str(tmp_path)
    running.volumes = [{"name": "models", "persistentVolumeClaim": {"claimName": "models"}}]
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    settings = kubernetes.client.Configuration(host=f"http://127.0.0.1:{running.server_port}")
    api = kubernetes.client.CoreV1Api(kubernetes.client.ApiClient(settings))
    monkeypatch.setattr(kube_utils, "make_core_v1_api", lambda: api)
    monkeypatch.setattr(kube_utils, "is_inside_cluster", lambda: True)
    monkeypatch.setattr(serving_bins.TensorFlowServing, "MakeClient", lambda self, endpoint: Model())
    (tmp_path / "namespace").write_text("here\n")
    monkeypatch.setattr(executor, "_NAMESPACE_FILE", str(tmp_path / "namespace"))
    monkeypatch.setenv("KFP_POD_NAME", "executor")
    monkeypatch.delenv("KFP_NAMESPACE", raising=False)
    yield running
    running.shutdown()
    running.server_close()
    thread.join()
    monkeypatch.delenv("KFP_NAMESPACE", raising=False)


def validate(tmp_path, loading_seconds=5, tries=1, **platform):
    spec = tfx.proto.ServingSpec(
        model_name="infra-validation-model",
        tensorflow_serving=tfx.proto.TensorFlowServing(image_name="serving", tags=["1"]),
        **(platform or {"kubernetes": tfx.proto.KubernetesConfig()}),
    )
    (binary,) = serving_bins.parse_serving_binaries(spec)
    limits = tfx.proto.ValidationSpec(max_loading_time_seconds=loading_seconds, num_tries=tries)
    model = tmp_path / "infra-validation-model" / "1"
    model.mkdir(parents=True, exist_ok=True)
    return executor.Executor()._ValidateWithRetry(str(model), binary, spec, limits, requests=["one"])


def test_a_model_that_answers(cluster, tmp_path):
    """The namespace is that of the service account's file, since KFP's version 2 does not say it."""
    assert validate(tmp_path)
    (pod,) = cluster.made
    assert cluster.deleted == ["server-1"]
    assert pod["spec"]["volumes"][0]["persistentVolumeClaim"] == {"claimName": "models", "readOnly": True}
    (container,) = pod["spec"]["containers"]
    assert "resources" not in container  # TFX's have a mapping where Kubernetes takes a list only
    assert pod["metadata"]["annotations"]["sidecar.istio.io/inject"] == "false"
    assert pod["spec"]["securityContext"]["runAsNonRoot"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


@pytest.mark.parametrize("fault", [error_types.ValidationFailed("no"), error_types.DeadlineExceeded("late")])
def test_a_model_that_does_not_load_is_not_blessed(cluster, tmp_path, monkeypatch, fault):
    monkeypatch.setattr(Model, "fault", fault)
    assert not validate(tmp_path, tries=2)
    assert cluster.deleted == ["server-1", "server-2"]


def test_a_pod_that_may_not_be_made_is_an_error(cluster, tmp_path):
    cluster.refuses = "pods is forbidden"
    with pytest.raises(UserError, match=r"could not be started: Kubernetes says 403: pods is forbidden\. The"):
        validate(tmp_path, tries=2)


def test_a_model_on_no_volume_is_an_error(cluster, tmp_path):
    cluster.volumes = [{"name": "models", "emptyDir": {}}]
    with pytest.raises(UserError, match="NotImplementedError: Only PersistentVolumeClaim is allowed"):
        validate(tmp_path)


@pytest.mark.parametrize(
    ("phase", "message"), [("Failed", "JobAborted: .*phase=PodPhase.FAILED"), ("Pending", "DeadlineExceeded: ")]
)
def test_a_pod_that_never_runs_is_an_error(cluster, tmp_path, phase, message):
    cluster.phase = phase
    with pytest.raises(UserError, match=message):
        validate(tmp_path, loading_seconds=1)
    assert cluster.deleted == ["server-1"]


def test_outside_of_a_cluster(cluster, tmp_path, monkeypatch):
    monkeypatch.setattr(kube_utils, "is_inside_cluster", lambda: False)
    with pytest.raises(UserError, match="NotImplementedError: KubernetesRunner should be running inside KFP"):
        validate(tmp_path)


def test_docker_that_has_no_image_is_an_error(tmp_path, monkeypatch):
    def start(self):
        raise RuntimeError("No such image: serving:1")

    monkeypatch.setattr(local_docker_runner.LocalDockerRunner, "__init__", lambda *_, **__: None)
    monkeypatch.setattr(local_docker_runner.LocalDockerRunner, "Start", start)
    monkeypatch.setattr(local_docker_runner.LocalDockerRunner, "Stop", lambda self: None)
    with pytest.raises(UserError, match=r"TF Serving \(serving:1\) could not be started: RuntimeError: No such image"):
        validate(tmp_path, local_docker=tfx.proto.LocalDockerConfig())


def test_being_told_to_end_ends_it(cluster, tmp_path, monkeypatch):
    monkeypatch.setattr(Model, "fault", error_types.GracefulShutdown("SIGTERM"))
    with pytest.raises(error_types.GracefulShutdown):
        validate(tmp_path, tries=5)
    assert cluster.deleted == ["server-1"]
