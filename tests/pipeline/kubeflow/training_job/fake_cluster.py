"""A Kubernetes API on loopback, to which the real client talks, with the controllers of the jobs.

What is made is held against the schemas. A job's pods are made from its manifest, as JobSet or the training-operator
make them; what they do is the test's business.
"""

from __future__ import annotations

import contextlib
import functools
import http.server
import json
import pathlib
import re
import threading
import time
import urllib.parse

import jsonschema
import kubernetes_validate
import yaml

NAMESPACE = "team"
TRAINER, OPERATOR = "trainer.kubeflow.org/v1alpha1", "kubeflow.org/v1"
SERVED = {TRAINER: ("trainjobs", "trainingruntimes"), OPERATOR: ("tfjobs",)}
_SCHEMAS = yaml.safe_load((pathlib.Path(__file__).parent / "crds.yaml").read_text())
_OBJECT = re.compile(r"/apis/([^/]+)/([^/]+)/namespaces/([^/]+)/([^/]+)(?:/([^/]+))?")
_POD = re.compile(r"/api/v1/namespaces/([^/]+)/pods(?:/([^/]+))?(/log)?")
_CLAIM = re.compile(r"/api/v1/namespaces/([^/]+)/persistentvolumeclaims/([^/]+)")


def check(body):
    """Holds a manifest against the custom resource's schema, and what it makes pods of against Kubernetes' own."""
    jsonschema.validate(body, _SCHEMAS[body["kind"]])
    if body["kind"] == "TrainingRuntime":
        for each in body["spec"]["template"]["spec"]["replicatedJobs"]:
            made = {"apiVersion": "batch/v1", "kind": "Job", **each["template"]}
            kubernetes_validate.validate(made, "1.31", strict=True)
    if body["kind"] == "TFJob":
        for each in body["spec"]["tfReplicaSpecs"].values():
            kubernetes_validate.validate({"apiVersion": "v1", "kind": "Pod", **each["template"]}, "1.31", strict=True)


class RefusedError(Exception):
    """An answer that is none: (status, message)."""


class FakeCluster:
    """The API and the controllers.

    Attributes:
        served: the kinds' plurals by group and version.
        objects: by plural and name.
        pods: by name.
        denied: (verb, resource) that the service account may not.
        asked: (verb, resource, name) of all requests.
        away: whether every request is answered with 503, or (`broken`) with no answer at all.
        on_start: called with this and the pods of a new job, in a thread; a test's own work of them.
        on_kill: called with the pods that were removed.
        modes: of the volume.
        unseen: how often a TrainJob is refused because its runtime is not in the controller's cache yet.
    """

    def __init__(self, on_start=lambda cluster, pods: None, served=SERVED, on_kill=lambda names: None):
        self.served, self.on_start, self.on_kill = served, on_start, on_kill
        self.objects, self.pods, self.logs = {}, {}, {}
        self.denied, self.asked, self.away, self.modes = set(), [], "", ["ReadWriteMany"]
        self.uids = self.unseen = 0
        self.lock = threading.RLock()
        handler = functools.partial(_Handler, self)
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()

    def kubeconfig(self, path):
        """Writes a file by which the client finds this."""
        address = f"http://127.0.0.1:{self._server.server_address[1]}"
        path.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "fake",
                    "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "fake"}}],
                    "clusters": [{"name": "fake", "cluster": {"server": address}}],
                    "users": [{"name": "fake", "user": {"token": "t"}}],
                }
            )
        )
        return path

    def job(self):
        """The one job."""
        with self.lock:
            (found,) = [body for (plural, _), body in self.objects.items() if plural in ("trainjobs", "tfjobs")]
            return found

    def end(self, succeeded, message=""):
        """What the controller says of a job that has ended."""
        with self.lock:
            job = self.job()
            kind = ("Complete" if job["kind"] == "TrainJob" else "Succeeded") if succeeded else "Failed"
            job["status"] = {"conditions": [{"type": kind, "status": "True", "reason": kind, "message": message}]}

    def phase(self, name, phase, **container):
        """What the kubelet says of a pod."""
        with self.lock:
            status = {"phase": phase}
            if container:
                status["containerStatuses"] = [{"name": "c", "state": container}]
            self.pods[name]["status"] = status

    def say(self, name, line):
        """A line of a pod's log."""
        now = time.time_ns()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now // 10**9)) + f".{now % 10**9:09}".rstrip("0") + "Z"
        with self.lock:
            self.logs[name].append((stamp, line))

    def done(self, name, code=0, message="", reason="Error", finished="2026-01-01T00:00:00Z"):
        """A pod's end."""
        ended = {"exitCode": code, "reason": reason if code else "Completed", "finishedAt": finished}
        self.phase(name, "Failed" if code else "Succeeded", terminated={**ended, "message": message})

    # What the API does.

    def create(self, group, version, plural, body, dry_run):
        check(body)
        name = body["metadata"]["name"]
        if (plural, name) in self.objects:
            raise RefusedError(409, f'{plural}.{group} "{name}" already exists')
        self.uids += 1
        body["metadata"]["uid"] = f"uid-{self.uids}"
        if dry_run:
            return body
        if plural == "trainjobs" and not self._is_seen(body["spec"]["runtimeRef"]["name"]):
            hook = 'admission webhook "validator.trainjob.trainer.kubeflow.org" denied the request: '
            raise RefusedError(403, f"{hook}spec.runtimeRef: specified trainingRuntime must be created before the job")
        self.objects[plural, name] = body
        if plural in ("trainjobs", "tfjobs"):
            made = self._pods_of(body)
            self.pods |= made
            self.logs |= {pod: [] for pod in made}
            threading.Thread(target=self.on_start, args=(self, list(made)), daemon=True).start()
        return body

    def _is_seen(self, runtime):
        """Kubeflow Trainer looks into a cache, in which a new runtime is a while later."""
        self.unseen -= 1
        return self.unseen < 0 and ("trainingruntimes", runtime) in self.objects

    def delete(self, plural, name):
        """Removes an object; a runtime stays until no job is made from it, as Kubeflow Trainer's finalizer has it."""
        body = self.objects[plural, name]
        if plural == "trainingruntimes" and ("trainjobs", name) in self.objects:
            body["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
            return
        del self.objects[plural, name]
        if plural == "trainjobs" and "deletionTimestamp" in self.objects.get(("trainingruntimes", name), {}).get(
            "metadata", {}
        ):
            del self.objects["trainingruntimes", name]
        if plural in ("trainjobs", "tfjobs"):
            gone = [pod for pod in self.pods if self.pods[pod]["metadata"].get("of") == name]
            for pod in gone:
                del self.pods[pod]
            self.on_kill(gone)

    def _pods_of(self, job):
        """As JobSet and the training-operator make them: names, marks, and what they are told of the others."""
        name = job["metadata"]["name"]
        if job["kind"] == "TFJob":
            worker = job["spec"]["tfReplicaSpecs"]["Worker"]
            hosts = [f"{name}-worker-{index}.{NAMESPACE}.svc:2222" for index in range(worker["replicas"])]
            made = {}
            for index in range(worker["replicas"]):
                task = {"cluster": {"worker": hosts}, "task": {"type": "worker", "index": index}}
                pod = _pod(worker["template"], f"{name}-worker-{index}", name, "tensorflow")
                pod["spec"]["containers"][0]["env"].append(
                    {"name": "TF_CONFIG", "value": json.dumps({**task, "environment": "cloud"})}
                )
                pod["metadata"]["labels"]["training.kubeflow.org/replica-index"] = str(index)
                made[f"{name}-worker-{index}"] = pod
            return made
        runtime = self.objects["trainingruntimes", job["spec"]["runtimeRef"]["name"]]
        (node,) = runtime["spec"]["template"]["spec"]["replicatedJobs"]
        assert node["template"]["metadata"]["labels"] == {"trainer.kubeflow.org/trainjob-ancestor-step": "trainer"}
        made = {}
        for index in range(job["spec"]["trainer"]["numNodes"]):
            pod = _pod(node["template"]["spec"]["template"], f"{name}-{node['name']}-0-{index}-x7k2p", name, "node")
            pod["spec"]["containers"][0]["env"].append({"name": "JOB_COMPLETION_INDEX", "value": str(index)})
            pod["spec"] |= {"hostname": f"{name}-{node['name']}-0-{index}", "subdomain": name}
            pod["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"] = str(index)
            made[pod["metadata"]["name"]] = pod
        return made


def _pod(template, name, job, container):
    pod = json.loads(json.dumps(template))
    assert [each["name"] for each in pod["spec"]["containers"]] == [container]
    pod["metadata"] |= {"name": name, "uid": f"uid-of-{name}", "of": job}
    return {**pod, "status": {"phase": "Pending"}}


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, cluster, *arguments):
        self.cluster = cluster
        super().__init__(*arguments)

    def log_message(self, *_):
        pass

    def handle(self):
        with contextlib.suppress(ConnectionError):
            super().handle()

    def do_GET(self):
        self._answer("get")

    def do_POST(self):
        self._answer("create")

    def do_DELETE(self):
        self._answer("delete")

    def _answer(self, verb):
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        address = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(address.query))
        if self.cluster.away == "broken":
            self.close_connection = True
            return
        try:
            if self.cluster.away:
                raise RefusedError(503, "apiserver is shutting down")
            if address.path.endswith("/log"):
                self._log(address.path.split("/")[-2], query)
                return
            with self.cluster.lock:
                self._send(200, self._of(verb, address.path, query, body))
        except RefusedError as error:
            status, message = error.args
            self._send(status, {"kind": "Status", "status": "Failure", "message": message, "code": status})
        except (jsonschema.ValidationError, kubernetes_validate.ValidationError) as error:
            self._send(422, {"kind": "Status", "message": f"is invalid: {error.message}", "code": 422})

    def _of(self, verb, path, query, body):
        cluster = self.cluster
        if match := _OBJECT.fullmatch(path):
            group, version, namespace, plural, name = match.groups()
            self._may(verb, f"{plural}.{group}", plural, name or (body and body["metadata"]["name"]), group)
            assert namespace == NAMESPACE
            if verb == "create":
                return cluster.create(group, version, plural, body, query.get("dryRun") == "All")
            if (plural, name) not in cluster.objects:
                raise RefusedError(404, f'{plural}.{group} "{name}" not found')
            found = cluster.objects[plural, name]
            if verb == "delete":
                cluster.delete(plural, name)
            return found
        if match := _CLAIM.fullmatch(path):
            self._may("get", "persistentvolumeclaims", "persistentvolumeclaims", match[2], "")
            return {"spec": {"accessModes": cluster.modes}}
        if match := _POD.fullmatch(path):
            self._may("get" if match[2] else "list", "pods", "pods", match[2], "")
            if not match[2]:
                key, _, value = query["labelSelector"].partition("=")
                found = [pod for pod in cluster.pods.values() if pod["metadata"].get("labels", {}).get(key) == value]
                return {"kind": "PodList", "items": found}
            if match[2] not in cluster.pods:
                raise RefusedError(404, f'pods "{match[2]}" not found')
            return cluster.pods[match[2]]
        of_group = path.removeprefix("/apis/")
        if of_group in cluster.served:
            kinds = [
                {"name": plural, "singularName": "", "namespaced": True, "kind": "K", "verbs": ["get"]}
                for plural in cluster.served[of_group]
            ]
            return {"kind": "APIResourceList", "groupVersion": of_group, "resources": kinds}
        raise RefusedError(404, "the server could not find the requested resource")

    def _may(self, verb, resource, plural, name, group):
        self.cluster.asked.append((verb, resource, name))
        if (verb, resource) in self.cluster.denied:
            user = f"system:serviceaccount:{NAMESPACE}:word2vec"
            raise RefusedError(
                403,
                f'{resource} "{name}" is forbidden: User "{user}" cannot {verb} resource "{plural}" in API group '
                f'"{group}" in the namespace "{NAMESPACE}"',
            )

    def _log(self, pod, query):
        """Streams a log until its pod ends, as the kubelet does."""
        self._may("get", "pods/log", "pods/log", pod, "")
        assert query["timestamps"] == "True"
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        cluster, sent = self.cluster, 0
        while True:
            with cluster.lock:
                phase = cluster.pods.get(pod, {}).get("status", {}).get("phase", "gone")
                lines, ended = cluster.logs[pod][sent:], phase in ("gone", "Succeeded", "Failed")
            if "tailLines" in query:
                lines = lines[-int(query["tailLines"]) :]
            for stamp, line in lines:
                part = f"{stamp} {line}\n".encode()
                self.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
            sent += len(lines)
            if cluster.away or ended or query.get("follow") != "True":
                break
            time.sleep(0.02)
        self.wfile.write(b"0\r\n\r\n")

    def _send(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
