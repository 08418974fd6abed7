"""What Kubernetes is told of a task: resources, retries, secrets, volumes, nodes."""

from __future__ import annotations

from typing import NamedTuple

from google.protobuf import json_format
from kfp.kubernetes import kubernetes_executor_config_pb2 as kubernetes

from pipeline.configs import Config, ResourcesConfig
from pipeline.kubeflow import needs
from pipeline.kubeflow.spec import Json

_BACKOFF_SECONDS, _BACKOFF_FACTOR = 30, 2

# What a task may wait for a node in all its tries, and how long one without a time-out may take.
_WAITING_SECONDS = 24 * 3600
_UNLIMITED_SECONDS = 365 * 24 * 3600


class PodField(NamedTuple):
    """What a task wants to know of its own pod.

    Attributes:
        name: for us.
        path: where Kubernetes has it.
    """

    name: str
    path: str


# By the environment variables in which a task whose work a job does finds them.
POD_FIELDS = {
    "TFX_WORD2VEC_NAMESPACE": PodField("namespace", "metadata.namespace"),
    "TFX_WORD2VEC_POD": PodField("pod", "metadata.name"),
    "TFX_WORD2VEC_POD_UID": PodField("uid", "metadata.uid"),
}


def resources_of(config: Config, task: str) -> ResourcesConfig:
    """What a task's own pod gets; where a job does its work, that is what any task gets, for the job gets the rest."""
    resources = config.kubeflow.of(task)
    if not needs.has_job(task, config):
        return resources
    own = {"retries": resources.retries, "timeout_seconds": resources.timeout_seconds}
    return config.kubeflow.of("default").model_copy(update={**own, "gpus": 0})


def retry_policy(resources: ResourcesConfig) -> Json:
    """How a failed task is tried again, as KFP's specification says it.

    Argo counts `backoffMaxDuration` from the first try's start and starts no further one after it, and KFP makes 0 of
    none at all. So it is above what all tries, the pauses between them and the waiting for nodes may take together.

    Args:
        resources: of the task, with `retries` above 0.
    """
    one = resources.timeout_seconds or _UNLIMITED_SECONDS
    pauses = _BACKOFF_SECONDS * (_BACKOFF_FACTOR**resources.retries - 1)
    most = one * (resources.retries + 1) + pauses + _WAITING_SECONDS
    return {
        "maxRetryCount": resources.retries,
        "backoffDuration": f"{_BACKOFF_SECONDS}s",
        "backoffFactor": float(_BACKOFF_FACTOR),
        "backoffMaxDuration": f"{most}s",
    }


def limits(resources: ResourcesConfig) -> Json:
    """The container's share of a node: what is asked for is what it may take."""
    resource_spec: Json = {}
    if resources.cpu:
        resource_spec |= {"resourceCpuRequest": resources.cpu, "resourceCpuLimit": resources.cpu}
    if resources.memory:
        resource_spec |= {"resourceMemoryRequest": resources.memory, "resourceMemoryLimit": resources.memory}
    if resources.gpus:
        resource_spec["accelerator"] = {"resourceType": resources.gpu_type, "resourceCount": str(resources.gpus)}
    return resource_spec


def executor_config(config: Config, task: str) -> Json:
    """The rest, as a `KubernetesExecutorConfig`."""
    resources, kubernetes_config = resources_of(config, task), kubernetes.KubernetesExecutorConfig()
    if resources.node_selector:
        kubernetes_config.node_selector.labels.update(resources.node_selector)
    for toleration in resources.tolerations:
        kubernetes_config.tolerations.add(**toleration.model_dump(exclude_none=True))
    if resources.timeout_seconds:
        kubernetes_config.active_deadline_seconds = resources.timeout_seconds
    for name in config.kubeflow.image_pull_secrets:
        pull = kubernetes_config.image_pull_secret.add(secret_name=name)
        pull.secret_name_parameter.runtime_value.constant.string_value = name
    for secret in config.kubeflow.secrets:
        of_secret = kubernetes_config.secret_as_env.add(secret_name=secret.name)
        of_secret.secret_name_parameter.runtime_value.constant.string_value = secret.name
        for key, variable in secret.environment.items():
            of_secret.key_to_env.add(secret_key=key, env_var=variable)
    if volume := config.kubeflow.volume:
        mount = kubernetes_config.pvc_mount.add(mount_path=volume.path, constant=volume.claim)
        mount.pvc_name_parameter.runtime_value.constant.string_value = volume.claim
    if task == "InfraValidator":  # TFX looks for its own pod there, and KFP says the pod's name only
        kubernetes_config.field_path_as_env.add(name="KFP_NAMESPACE", field_path="metadata.namespace")
    if needs.has_job(task, config):
        for variable, field in POD_FIELDS.items():
            kubernetes_config.field_path_as_env.add(name=variable, field_path=field.path)
    return json_format.MessageToDict(kubernetes_config)
