"""The Trainer's job, from its making to its end: what the task does while the pods train.

The chief is the job's first pod, and the task only watches. So all pods are made, scheduled and connected in the same
way, the task's own pod needs no address and no GPU, and a task that is away does not stop a training.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import NamedTuple

from kfp.pipeline_spec import pipeline_spec_pb2

from pipeline.configs import Config
from pipeline.kubeflow import platform
from pipeline.kubeflow.compiler import TfxComponent
from pipeline.kubeflow.spec import Json
from pipeline.kubeflow.training_job import handover, logs, manifests, states
from pipeline.kubeflow.training_job.cluster import Cluster, Patience
from pipeline.kubeflow.training_job.manifests import Kind, Owner
from word2vec import whole_files
from word2vec.errors import UserError
from word2vec.training import workers

_LAST_LINES = 30  # of a failed worker's log that are shown

# How Kubeflow Trainer refuses a TrainJob whose runtime has only just been made: its own cache does not have it yet.
_NOT_SEEN = "specified trainingRuntime must be created"
_TERMINATED = 128 + signal.SIGTERM


class Times(NamedTuple):
    """Seconds.

    Attributes:
        poll: between two looks at the job.
        seen: in which Kubeflow Trainer has seen a new runtime.
        again: before a job that failed is made anew.
        leaving: for a job to be gone that was removed.
        other: for the pod of the try before to end.
        cancelled: for both, when the task is told to end: Kubernetes kills it after 30.
    """

    poll: float = 5.0
    seen: float = 60.0
    again: float = 30.0
    leaving: float = 300.0
    other: float = 60.0
    cancelled: float = 15.0


TIMES = Times()


def train(
    component: TfxComponent, asked: pipeline_spec_pb2.ExecutorInput, config: Config, checkpoints: str
) -> dict[str, str]:
    """Has a job of many pods train.

    Args:
        component: the Trainer.
        asked: its ExecutorInput, with local paths.
        config: what the task knows of the settings.
        checkpoints: the folder of the Trainer's, on the volume.

    Returns:
        The outputs' local paths, by the paths on the volume of which the outputs' metadata may speak.

    Raises:
        UserError: the cluster has no such jobs, refuses this one, or the training failed.
        SystemExit: the task was told to end. The job has been removed.
    """
    owner = _owner()
    cluster = Cluster(owner.namespace)
    job = Job(cluster, cluster.find_kind(config.kubeflow.training.kind), config, owner, checkpoints)
    folder = handover.folder_of(config)
    with _cancelled_by_sigterm(job.hurry):
        job.clear()
        job.check(folder)
        with job.owning(folder), handover.through(folder, component, asked, checkpoints) as copies:
            job.run(folder)
    return copies


def _owner() -> Owner:
    """The pod in which this runs, as Kubernetes tells it."""
    known = {variable: os.environ.get(variable, "") for variable in platform.POD_FIELDS}
    missing = [variable for variable, value in known.items() if not value]
    if missing:
        raise UserError(
            f"the environment variable {missing[0]} is not set, by which the task knows its own pod. Compile the "
            "pipeline again, with trainer.strategy = multi_worker; a rehearsal has no pods"
        )
    return Owner(**{platform.POD_FIELDS[variable].name: value for variable, value in known.items()})


class Job:
    """One pipeline's job.

    Args:
        cluster: where it is.
        kind: of the job.
        config: all settings.
        owner: the task's pod.
        checkpoints: the folder of the Trainer's.
        times: how long everything may take.
    """

    def __init__(
        self, cluster: Cluster, kind: Kind, config: Config, owner: Owner, checkpoints: str, times: Times | None = None
    ):
        self._cluster, self._kind, self._config, self._owner = cluster, kind, config, owner
        self._checkpoints, self._times = checkpoints, times or TIMES
        self._name = manifests.name_of(config.name)
        self._title = f"{kind.name} {self._name}"

    def hurry(self) -> None:
        """Lets what is still to be done take no longer than Kubernetes waits for a pod that it ends."""
        seconds = self._times.cancelled
        self._times = self._times._replace(leaving=seconds)
        self._cluster.patience = Patience(seconds, min(1.0, self._cluster.patience.pause))

    def clear(self) -> None:
        """Removes a job that a killed try has left.

        It is not taken up: its files on the volume may be half of what they should be, and a new job goes on from the
        same checkpoint.

        Raises:
            UserError: another run is training.
        """
        found = False
        for kind in reversed(manifests.OBJECTS[self._kind]):
            if left := self._cluster.get(kind, self._name):
                self._check_abandoned(kind, left)
                self._cluster.delete(kind, self._name)
                found = True
        if found:
            print(f"{self._title}: an earlier try has left it; it is removed", flush=True)
            self._wait_until_gone()

    def check(self, folder: str) -> None:
        """Looks whether the cluster would take the job, before gigabytes are copied for it.

        Raises:
            UserError: it would not.
        """
        kind, body = manifests.of(self._kind, self._config, self._owner, folder)[0]
        self._cluster.create(kind, body, dry_run=True)
        self._cluster.pods(self._name)
        volume = self._config.kubeflow.volume
        modes = self._cluster.claim_modes(volume.claim) if volume else []
        if modes and "ReadWriteMany" not in modes:
            print(
                f"kubeflow.volume: the claim {volume and volume.claim} is {', '.join(modes)}, not ReadWriteMany: all "
                "pods of the job must come to one node, or they will not start",
                flush=True,
            )

    @contextlib.contextmanager
    def owning(self, folder: str) -> Iterator[None]:
        """Keeps other runs from a folder: while its files are copied there is no job yet that would.

        Args:
            folder: with the work for the pods.

        Raises:
            UserError: another run's task has it, or the volume cannot be written.
        """
        mark = f"{folder}.owner"
        with handover.said_in_one_line(folder):
            os.makedirs(os.path.dirname(mark), exist_ok=True)
            self._take(mark)
        try:
            yield
        finally:
            with contextlib.suppress(OSError):  # else the next one removes it, once this pod has gone
                if whole_files.read_json(mark, dict).get("uid") == self._owner.uid:
                    os.remove(mark)

    def _take(self, mark: str) -> None:
        """Makes a file that says whose the folder is, as soon as it is nobody's who lives."""
        until = time.monotonic() + self._times.other
        while True:
            holder = whole_files.read_json(mark, dict)
            if holder and self._is_live_other(holder):
                if time.monotonic() > until:
                    raise UserError(f"{self._title}: the task in pod {holder['name']} trains. {self._one_at_a_time()}")
                time.sleep(self._times.poll)
                continue
            with contextlib.suppress(FileNotFoundError):
                os.remove(mark)
            with contextlib.suppress(FileExistsError), open(mark, "x", encoding="utf-8") as file:
                json.dump({"name": self._owner.pod, "uid": self._owner.uid}, file)
                return

    def run(self, folder: str) -> None:
        """Makes the job, and makes it anew if a pod fails; afterwards it is gone.

        Args:
            folder: with the work for the pods.

        Raises:
            UserError: it failed too often, or took too long.
        """
        restarts = self._config.kubeflow.training.restarts
        for number in itertools.count():
            try:
                self._make(folder)
                failure = self._watch()
            finally:
                self._remove()
            if failure is None:
                return
            if number == restarts:
                tries = f"; it was tried {restarts + 1} times (kubeflow.training.restarts)" if restarts else ""
                raise UserError(f"{self._title} failed: {failure}{tries}")
            print(f"{self._title} failed: {failure}. It is made anew, from the last checkpoint", flush=True)
            time.sleep(self._times.again)

    def _make(self, folder: str) -> None:
        for kind, body in manifests.of(self._kind, self._config, self._owner, folder):
            if not self._create(kind, body) and not self._is_there(kind):  # else an answer was lost on its way
                raise UserError(f"{self._title}: another run has made it meanwhile. {self._one_at_a_time()}")
            # What a killed chief has left would be taken for the new one's call. Before, it could be another run's.
            with contextlib.suppress(FileNotFoundError):
                os.remove(os.path.join(self._checkpoints, workers.JOB_FILE))
        pods = self._config.kubeflow.training.workers
        print(f"{self._title}: {pods} pods train; the chief's log follows", flush=True)

    def _create(self, kind: Kind, body: Json) -> bool:
        """Makes an object as soon as those from which it is made are seen; returns as `Cluster.create`."""
        until = time.monotonic() + self._times.seen
        while True:
            try:
                return self._cluster.create(kind, body)
            except UserError as error:
                if _NOT_SEEN not in str(error) or time.monotonic() > until:
                    raise
            time.sleep(min(1.0, self._times.poll))

    def _watch(self) -> str | None:
        """Waits for the end; returns why it failed, or None if it did not."""
        started, told = time.monotonic(), dict[str, str]()
        with logs.following(self._cluster) as log:
            while True:
                job = self._cluster.get(self._kind, self._name)
                if job is None:
                    raise UserError(f"{self._title}: somebody has deleted it while it trained")
                pods = self._cluster.pods(self._name)
                self._tell(pods, told)
                chief = next((pod for pod in pods if states.index_of(pod) == 0 and states.has_started(pod)), None)
                if chief:
                    log.follow(chief["metadata"]["name"])
                if end := states.has_ended(job):
                    return None if end in manifests.SUCCEEDED else self._why_failed(job, pods)
                self._check_time(time.monotonic() - started, job, pods)
                time.sleep(self._times.poll)

    def _tell(self, pods: list[Json], told: dict[str, str]) -> None:
        """Prints what keeps pods from starting, when that changes."""
        for pod in pods:
            why = "" if states.has_started(pod) else states.why_waiting(pod)
            name = pod["metadata"]["name"]
            if why and told.get(name) != why:
                print(f"{states.title(pod)} waits: {why}", flush=True)
                told[name] = why

    def _check_time(self, seconds: float, job: Json, pods: list[Json]) -> None:
        training = self._config.kubeflow.training
        if training.timeout_seconds and seconds > training.timeout_seconds:
            raise UserError(
                f"{self._title}: not done after {training.timeout_seconds} s (kubeflow.training.timeout_seconds). A "
                "further run goes on from the last checkpoint"
            )
        started = sum(map(states.has_started, pods))
        if seconds > training.starting_seconds and started < training.workers:
            waiting = next((pod for pod in pods if not states.has_started(pod)), None)
            why = states.latest_condition(job)
            if waiting:
                why = f"{states.title(waiting)} waits: {states.why_waiting(waiting) or 'nobody says why'}"
            raise UserError(
                f"{self._title}: {started} of {training.workers} pods have started after {training.starting_seconds} s "
                f"(kubeflow.training.starting_seconds): {why}"
            )

    def _why_failed(self, job: Json, pods: list[Json]) -> str:
        """The first pod that failed is the cause; the others fail because it has gone.

        Kubernetes' times are whole seconds. Of the same second, the chief is more likely to be the one that was left.
        """
        failed = sorted(
            filter(states.has_failed, pods), key=lambda pod: (states.ended_at(pod), not states.index_of(pod))
        )
        if not failed:
            return states.latest_condition(job)
        first = failed[0]
        if states.index_of(first) != 0:
            for line in self._cluster.last_lines(first["metadata"]["name"], _LAST_LINES):
                print(f"{states.title(first)}: {line}", flush=True)
        return f"{states.title(first)}: {states.why_failed(first)}"

    def _remove(self) -> None:
        """Removes the job, if it is this task's; what keeps it from that is told, and does not hide why it ended."""
        try:
            for kind in reversed(manifests.OBJECTS[self._kind]):
                there = self._cluster.get(kind, self._name)
                if there and self._is_own(there):
                    self._cluster.delete(kind, self._name)
            self._wait_until_gone()
        except UserError as error:
            print(f"{self._title}: could not be removed: {error}", flush=True)

    def _wait_until_gone(self) -> None:
        until = time.monotonic() + self._times.leaving
        while self._cluster.pods(self._name) or any(
            self._cluster.get(kind, self._name) for kind in manifests.OBJECTS[self._kind]
        ):
            if time.monotonic() > until:
                raise UserError(f"{self._title}: it, or a pod of it, is still there after {self._times.leaving:g} s")
            time.sleep(min(1.0, self._times.poll))

    def _is_there(self, kind: Kind) -> bool:
        """Whether there is an object of this job that is this task's."""
        there = self._cluster.get(kind, self._name)
        return there is not None and self._is_own(there)

    def _is_own(self, found: Json) -> bool:
        return any(each["uid"] == self._owner.uid for each in found["metadata"].get("ownerReferences", []))

    def _check_abandoned(self, kind: Kind, found: Json) -> None:
        """Makes sure that nobody waits for a job.

        Raises:
            UserError: a task does, or it is somebody else's.
        """
        if manifests.LABEL not in found["metadata"].get("labels", {}):
            raise UserError(f"{kind.name} {self._name}: is not of this pipeline. Delete it, or give another name")
        until = time.monotonic() + self._times.other
        while pod := self._live_owner(found):
            if time.monotonic() > until:
                raise UserError(f"{self._title}: the task in pod {pod} is training with it. {self._one_at_a_time()}")
            time.sleep(self._times.poll)

    def _live_owner(self, found: Json) -> str | None:
        """The pod of another task that has made a job and goes on."""
        references = found["metadata"].get("ownerReferences", [])
        return next((each["name"] for each in references if self._is_live_other(each)), None)

    def _is_live_other(self, reference: Json) -> bool:
        """Whether a reference is to another task's pod that goes on."""
        pod = self._cluster.pod(reference["name"]) if reference["uid"] != self._owner.uid else None
        return pod is not None and pod["metadata"]["uid"] == reference["uid"] and states.is_live(pod)

    def _one_at_a_time(self) -> str:
        return (
            f"Runs of one pipeline share its checkpoints, so one trains at a time: wait for the other run of "
            f"{self._config.name} or end it, or give this one another name"
        )


@contextlib.contextmanager
def _cancelled_by_sigterm(hurry: Callable[[], None]) -> Iterator[None]:
    """Makes an exception of SIGTERM, with which Kubernetes ends a pod, so that everything is cleaned up.

    Args:
        hurry: called then.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may hear signals
        return

    def cancel(signal_number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        hurry()
        print("the task is told to end: its job is removed", flush=True)
        raise SystemExit(_TERMINATED)

    before = signal.signal(signal.SIGTERM, cancel)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
