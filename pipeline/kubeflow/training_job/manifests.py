"""The job as Kubernetes is told it: Kubeflow Trainer's TrainJob, or the older training-operator's TFJob.

A TrainJob names a runtime, from which its pods are made. The job brings its own: the runtimes that come with Kubeflow
Trainer are of other frameworks, and how a TrainJob may change a runtime's pods has changed from release to release
(podSpecOverrides, podTemplateOverrides, runtimePatches), while a TrainingRuntime has been the same from 2.0 on.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import NamedTuple

from pipeline.configs import Config
from pipeline.kubeflow.spec import Json

# The label by which all pods of a job are found, whoever makes them.
LABEL = "tfx-word2vec/training-job"

# The environment variable with the workers' addresses, where nobody else sets TF_CONFIG.
WORKERS = "TFX_WORD2VEC_WORKERS"

PORT = 2222  # the training-operator's own, which it takes from the port's name

_POD = "pipeline.kubeflow.training_job.pod"

# Names that the controllers ask for.
_NODE, _TENSORFLOW, _TENSORFLOW_PORT = "node", "tensorflow", "tfjob-port"

# A name that leaves room for what the controllers add to it (-node-0-999-abcde) in the 63 characters of a host's name.
_LONGEST_NAME = 40


class Kind(NamedTuple):
    """A kind of objects.

    Attributes:
        group: of its API.
        version: likewise.
        plural: its name in paths.
        name: its own.
    """

    group: str
    version: str
    plural: str
    name: str


TRAIN_JOB = Kind("trainer.kubeflow.org", "v1alpha1", "trainjobs", "TrainJob")
RUNTIME = Kind("trainer.kubeflow.org", "v1alpha1", "trainingruntimes", "TrainingRuntime")
TF_JOB = Kind("kubeflow.org", "v1", "tfjobs", "TFJob")

# What makes a job, by its kind; what others are made from comes first.
OBJECTS = {TRAIN_JOB: (RUNTIME, TRAIN_JOB), TF_JOB: (TF_JOB,)}

# The conditions in which a job has ended.
SUCCEEDED, FAILED = ("Complete", "Succeeded"), ("Failed",)


class Owner(NamedTuple):
    """The task's pod, with which its job goes.

    Attributes:
        namespace: in which it is.
        pod: its name.
        uid: its id.
    """

    namespace: str
    pod: str
    uid: str


def name_of(pipeline: str) -> str:
    """A pipeline's job: it has one at a time, for there is one folder of checkpoints."""
    digest = hashlib.sha256(pipeline.encode()).hexdigest()[:8]
    readable = re.sub("[^a-z0-9]+", "-", pipeline.lower())[: _LONGEST_NAME - len("word2vec--12345678")].strip("-")
    return f"word2vec-{readable or 'run'}-{digest}"


def of(kind: Kind, config: Config, owner: Owner, folder: str) -> list[tuple[Kind, Json]]:
    """The objects that make a job, in the order in which they are made.

    Args:
        kind: of the job.
        config: all settings.
        owner: the task's pod.
        folder: on the volume, in which the pods find what to do.
    """
    made = _train_job if kind == TRAIN_JOB else _tf_job
    bodies = made(config, name_of(config.name), folder)
    return [(each, {**_head(each, config, owner), "spec": bodies[each]}) for each in OBJECTS[kind]]


def _head(kind: Kind, config: Config, owner: Owner) -> Json:
    name = name_of(config.name)
    # Without blockOwnerDeletion, for which a service account would have to be allowed more.
    reference = {"apiVersion": "v1", "kind": "Pod", "name": owner.pod, "uid": owner.uid}
    return {
        "apiVersion": f"{kind.group}/{kind.version}",
        "kind": kind.name,
        "metadata": {
            "name": name,
            "namespace": owner.namespace,
            "labels": {LABEL: name},
            "ownerReferences": [reference],
        },
    }


def _train_job(config: Config, name: str, folder: str) -> Mapping[Kind, Json]:
    """A TrainJob and its runtime, whose pods have the hosts' names that JobSet gives them."""
    training = config.kubeflow.training
    hosts = [f"{name}-{_NODE}-0-{index}.{name}:{PORT}" for index in range(training.workers)]
    job: Json = {"backoffLimit": 0, "completionMode": "Indexed", "template": _pod(config, name, folder, _NODE, hosts)}
    if training.timeout_seconds:
        job["activeDeadlineSeconds"] = _deadline(training.timeout_seconds)
    replicated = {
        "name": _NODE,
        "replicas": 1,
        # By this label Kubeflow Trainer knows which pods are to be as many as numNodes.
        "template": {"metadata": {"labels": {"trainer.kubeflow.org/trainjob-ancestor-step": "trainer"}}, "spec": job},
    }
    job_set = {
        "network": {"enableDNSHostnames": True, "publishNotReadyAddresses": True},
        "failurePolicy": {"maxRestarts": 0},
        "replicatedJobs": [replicated],
    }
    return {
        RUNTIME: {"mlPolicy": {"numNodes": training.workers}, "template": {"spec": job_set}},
        TRAIN_JOB: {
            "runtimeRef": {"apiGroup": RUNTIME.group, "kind": RUNTIME.name, "name": name},
            "trainer": {"numNodes": training.workers},
        },
    }


def _tf_job(config: Config, name: str, folder: str) -> Mapping[Kind, Json]:
    """A TFJob of workers alone: the first is the chief, and the operator sets TF_CONFIG in all of them."""
    training = config.kubeflow.training
    policy: Json = {"cleanPodPolicy": "Running", "backoffLimit": 0}
    if training.timeout_seconds:
        policy["activeDeadlineSeconds"] = _deadline(training.timeout_seconds)
    template = _pod(config, name, folder, _TENSORFLOW, [])
    del template["spec"]["restartPolicy"]  # which is the operator's to set
    worker = {"replicas": training.workers, "restartPolicy": "Never", "template": template}
    return {TF_JOB: {"runPolicy": policy, "tfReplicaSpecs": {"Worker": worker}}}


def _deadline(seconds: int) -> int:
    """When the controller ends a job whose task has gone without ending it: after the task would have done so."""
    return seconds + 300


def _pod(config: Config, name: str, folder: str, container: str, hosts: list[str]) -> Json:
    """What all pods are made from."""
    kubeflow = config.kubeflow
    resources, volume = kubeflow.of("Trainer"), kubeflow.volume
    assert volume is not None  # which `checks.check` demands for this strategy
    spec: Json = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "containers": [_container(config, folder, container, hosts)],
        "volumes": [{"name": "volume", "persistentVolumeClaim": {"claimName": volume.claim}}],
    }
    if kubeflow.service_account:
        spec["serviceAccountName"] = kubeflow.service_account
    if kubeflow.image_pull_secrets:
        spec["imagePullSecrets"] = [{"name": secret} for secret in kubeflow.image_pull_secrets]
    if resources.node_selector:
        spec["nodeSelector"] = dict(resources.node_selector)
    if resources.tolerations:
        spec["tolerations"] = [toleration.model_dump(exclude_none=True) for toleration in resources.tolerations]
    # A sidecar would keep the pods from talking to each other, and from ending.
    no_sidecar = {"sidecar.istio.io/inject": "false"}
    return {"metadata": {"labels": {LABEL: name, **no_sidecar}, "annotations": no_sidecar}, "spec": spec}


def _container(config: Config, folder: str, name: str, hosts: list[str]) -> Json:
    volume = config.kubeflow.volume
    assert volume is not None
    environment: list[Json] = [{"name": WORKERS, "value": ",".join(hosts)}] if hosts else []
    for secret in config.kubeflow.secrets:
        environment += [
            {"name": variable, "valueFrom": {"secretKeyRef": {"name": secret.name, "key": key}}}
            for key, variable in secret.environment.items()
        ]
    container: Json = {
        "name": name,
        "image": config.kubeflow.image,
        "command": ["python", "-m", _POD, folder],
        "env": environment,
        "ports": [{"name": _TENSORFLOW_PORT, "containerPort": PORT}],
        "volumeMounts": [{"name": "volume", "mountPath": volume.path}],
        # So the pod's status says in which line it ended.
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    resources = config.kubeflow.of("Trainer")
    limits = {"cpu": resources.cpu, "memory": resources.memory}
    if resources.gpus:
        limits[resources.gpu_type] = str(resources.gpus)
    given = {key: value for key, value in limits.items() if value}
    return {**container, "resources": {"requests": given, "limits": given}} if given else container
