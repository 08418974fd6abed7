"""What Kubernetes says of a job and its pods, in words."""

from __future__ import annotations

from pipeline.kubeflow.spec import Json
from pipeline.kubeflow.training_job import manifests
from word2vec.errors import printable

# Where controllers write which of a job's pods one is: Kubernetes' own for a TrainJob, training-operator for a TFJob.
_INDICES = (
    ("annotations", "batch.kubernetes.io/job-completion-index"),
    ("labels", "batch.kubernetes.io/job-completion-index"),
    ("labels", "training.kubeflow.org/replica-index"),
)

_ERROR = "error: "


def has_ended(job: Json) -> str | None:
    """`Complete`, `Succeeded` or `Failed`; None as long as it goes on."""
    ends = (*manifests.SUCCEEDED, *manifests.FAILED)
    return next((each["type"] for each in _conditions(job) if each["type"] in ends and each["status"] == "True"), None)


def latest_condition(job: Json) -> str:
    """What the controller says of a job last."""
    conditions = _conditions(job)
    if not conditions:
        return "its controller has said nothing of it: is it running?"
    last = conditions[-1]
    return printable(": ".join(filter(None, [last["type"], last.get("message") or last.get("reason")])))


def index_of(pod: Json) -> int | None:
    """Which worker a pod is, from 0, the chief; None if nobody says it."""
    for group, key in _INDICES:
        value = pod["metadata"].get(group, {}).get(key, "")
        if value.isdigit():
            return int(value)
    return None


def title(pod: Json) -> str:
    """A pod, for people."""
    index = index_of(pod)
    kind = "the chief" if index == 0 else "a worker" if index is None else f"worker {index}"
    return f"{kind} (pod {pod['metadata']['name']})"


def has_started(pod: Json) -> bool:
    """Whether a pod runs, or has run."""
    return _phase(pod) in ("Running", "Succeeded", "Failed")


def has_failed(pod: Json) -> bool:
    """Whether a pod ended with an error."""
    return _phase(pod) == "Failed"


def is_live(pod: Json) -> bool:
    """Whether a pod goes on."""
    return _phase(pod) in ("Pending", "Running") and "deletionTimestamp" not in pod["metadata"]


def why_waiting(pod: Json) -> str:
    """What keeps a pod from starting; empty if nobody says so."""
    for status in _containers(pod):
        waiting = status.get("state", {}).get("waiting", {})
        if waiting.get("reason") not in (None, "ContainerCreating", "PodInitializing"):
            return printable(": ".join(filter(None, [waiting["reason"], waiting.get("message")])))
    for condition in pod.get("status", {}).get("conditions") or []:
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return printable(": ".join(filter(None, [condition.get("reason"), condition.get("message")])))
    return ""


def why_failed(pod: Json) -> str:
    """Why a pod ended: its own last error, or what Kubernetes knows."""
    for status in _containers(pod):
        ended = status.get("state", {}).get("terminated")
        if ended and ended.get("exitCode"):
            return _of_container(ended)
    status = pod.get("status", {})
    return printable(": ".join(filter(None, [status.get("reason"), status.get("message")]))) or "nobody says why"


def ended_at(pod: Json) -> str:
    """When a failed pod's container ended; what sorts last, if nobody says it."""
    times = [status.get("state", {}).get("terminated", {}).get("finishedAt") for status in _containers(pod)]
    return next(filter(None, times), "~")


def _of_container(ended: Json) -> str:
    if ended.get("reason") == "OOMKilled":
        return "it needed more memory than kubeflow.resources.Trainer.memory allows (OOMKilled)"
    lines = [line.strip() for line in (ended.get("message") or "").splitlines() if line.strip()]
    own = next((line for line in reversed(lines) if line.startswith(_ERROR)), None)
    if own:
        return printable(own.removeprefix(_ERROR))
    code = f"exit code {ended['exitCode']}"
    return printable(f"{code}: {lines[-1]}") if lines else code


def _phase(pod: Json) -> str:
    return pod.get("status", {}).get("phase", "")


def _conditions(job: Json) -> list[Json]:
    return job.get("status", {}).get("conditions") or []


def _containers(pod: Json) -> list[Json]:
    return pod.get("status", {}).get("containerStatuses") or []
