"""Kubernetes' API, as far as the Trainer's task needs it: it is waited for, and its errors are one line."""

from __future__ import annotations

import http.client
import json
import os
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

import kubernetes
import urllib3

from pipeline.kubeflow.spec import Json
from pipeline.kubeflow.training_job import manifests
from pipeline.kubeflow.training_job.manifests import Kind
from word2vec.errors import UserError, first_line, printable, reason

_Answer = TypeVar("_Answer")

# Seconds to connect and for an answer.
_TIMEOUTS = (10, 60)

# Answers of an API that is starting, ending or full.
_AWAY = {429, 500, 502, 503, 504}

# A line of a log that is longer comes in parts.
_LINE_BYTES = 65_536

PODS, LOGS = "pods", "pods/log"


class AwayError(Exception):
    """A log that cannot be read just now."""


class Patience(NamedTuple):
    """How long the API may be away.

    Attributes:
        seconds: after which it is given up.
        pause: seconds between two tries.
    """

    seconds: float = 1800.0
    pause: float = 5.0


class Cluster:
    """The API of the cluster in which this process runs; elsewhere what `KUBECONFIG` names.

    All methods raise a `UserError` of one line for what the API refuses, and when it is away for longer than patience
    lasts: the training goes on meanwhile.

    Args:
        namespace: in which everything is.
        patience: with an API that is away.

    Raises:
        UserError: this is no pod, or one without a service account's token.
    """

    def __init__(self, namespace: str, patience: Patience = Patience()):  # noqa: B008  (a tuple)
        self.namespace, self.patience = namespace, patience
        settings = kubernetes.client.Configuration()
        try:
            file = os.path.expanduser(os.environ.get("KUBECONFIG", "~/.kube/config"))
            if os.path.exists(file):
                kubernetes.config.load_kube_config(file, client_configuration=settings)
            else:
                kubernetes.config.load_incluster_config(client_configuration=settings)
        except (kubernetes.config.ConfigException, OSError) as error:
            raise UserError(
                f"the Trainer's task finds no Kubernetes API: {reason(error)}. It needs its service account's token: "
                "automountServiceAccountToken must not be false"
            ) from None
        settings.retries = False  # `_call` tries again itself, and tells what it waits for
        client = kubernetes.client.ApiClient(settings)
        self._objects, self._core = kubernetes.client.CustomObjectsApi(client), kubernetes.client.CoreV1Api(client)

    def find_kind(self, wanted: str) -> Kind:
        """The kind of jobs that the cluster knows.

        Args:
            wanted: `kubeflow.training.kind`.

        Raises:
            UserError: it knows none.
        """
        kinds = [kind for kind in manifests.OBJECTS if wanted in ("auto", kind.name)]
        for kind in kinds:
            if all(self._is_served(each) for each in manifests.OBJECTS[kind]):
                return kind
        names = " and ".join(f"no {kind.name} ({kind.group}/{kind.version})" for kind in kinds)
        raise UserError(
            f"trainer.strategy = multi_worker: this cluster has {names}. Install Kubeflow Trainer 2 (or the "
            "training-operator 1.5 to 1.9), or set trainer.strategy to auto"
        )

    def _is_served(self, kind: Kind) -> bool:
        """Whether the API knows a kind; whoever has a token may ask that."""
        known = self._call(
            "get", f"the list of {kind.group}", lambda: self._objects.get_api_resources(kind.group, kind.version)
        )
        return known is not None and any(each.name == kind.plural for each in known.resources)

    def create(self, kind: Kind, body: Json, *, dry_run: bool = False) -> bool:
        """Makes an object; returns whether it did, and not another one of this name was there.

        Args:
            kind: of the object.
            body: its manifest.
            dry_run: only have the API look whether it would.
        """
        options = {"dry_run": "All"} if dry_run else {}
        made = self._call(
            "create",
            _full_name(kind),
            lambda: self._objects.create_namespaced_custom_object(
                kind.group, kind.version, self.namespace, kind.plural, body, _request_timeout=_TIMEOUTS, **options
            ),
            passing=(http.HTTPStatus.CONFLICT,),
        )
        return made is not None

    def get(self, kind: Kind, name: str) -> Json | None:
        """An object; None if there is none of this name."""
        return self._call(
            "get",
            _full_name(kind),
            lambda: self._objects.get_namespaced_custom_object(
                kind.group, kind.version, self.namespace, kind.plural, name, _request_timeout=_TIMEOUTS
            ),
        )

    def delete(self, kind: Kind, name: str) -> None:
        """Has an object removed, and what was made of it; it need not be there."""
        self._call(
            "delete",
            _full_name(kind),
            lambda: self._objects.delete_namespaced_custom_object(
                kind.group,
                kind.version,
                self.namespace,
                kind.plural,
                name,
                propagation_policy="Background",
                _request_timeout=_TIMEOUTS,
            ),
        )

    def pods(self, job: str) -> list[Json]:
        """A job's pods."""
        of_job = {"label_selector": f"{manifests.LABEL}={job}"}
        found = self._call("list", PODS, lambda: _read(self._core.list_namespaced_pod, self.namespace, **of_job))
        return found["items"] if found else []

    def pod(self, name: str) -> Json | None:
        """A pod; None if there is none of this name."""
        return self._call("get", PODS, lambda: _read(self._core.read_namespaced_pod, name, self.namespace))

    def log(self, pod: str) -> Iterator[tuple[str, str]]:
        """Yields (time, line) of a pod's log, until the pod or the connection ends.

        Raises:
            AwayError: the connection broke, or there is no log yet.
        """
        try:
            yield from self._log(pod, follow=True)
        except kubernetes.client.ApiException as error:
            if error.status == http.HTTPStatus.FORBIDDEN:
                raise UserError(self._refusal("get", LOGS, error)) from None
            raise AwayError(_message(error)) from None
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise AwayError(first_line(error)) from None

    def last_lines(self, pod: str, count: int) -> list[str]:
        """The last lines of a pod's log; none where it cannot be read any more."""
        try:
            return [line for _, line in self._log(pod, tail_lines=count)]
        except (kubernetes.client.ApiException, urllib3.exceptions.HTTPError, OSError):
            return []

    def _log(self, pod: str, **options: Any) -> Iterator[tuple[str, str]]:
        """Yields (time, line)."""
        answer = self._core.read_namespaced_pod_log(
            pod, self.namespace, timestamps=True, _preload_content=False, _request_timeout=(10, 600), **options
        )
        try:
            rest = b""
            for part in answer.stream(_LINE_BYTES):
                *lines, rest = (rest + part).split(b"\n")
                for line in lines:
                    stamp, _, text = line.decode("utf-8", "replace").partition(" ")
                    yield stamp, text
        finally:
            answer.close()

    def claim_modes(self, claim: str) -> list[str]:
        """How a volume may be mounted; empty where nobody may say it."""
        try:
            found = self._core.read_namespaced_persistent_volume_claim(
                claim, self.namespace, _request_timeout=_TIMEOUTS
            )
        except (kubernetes.client.ApiException, urllib3.exceptions.HTTPError):
            return []  # it is only asked so that a mistake is said early
        return found.spec.access_modes or []

    def _call(
        self, verb: str, resource: str, call: Callable[[], _Answer], passing: tuple[int, ...] = (404,)
    ) -> _Answer | None:
        """What the API answers; None for the answers that pass."""
        since = time.monotonic()
        told = False
        while True:
            try:
                return call()
            except kubernetes.client.ApiException as error:
                if error.status in passing:
                    return None
                if error.status not in _AWAY:
                    raise UserError(self._refusal(verb, resource, error)) from None
                why = f"{error.status} {printable(error.reason or '')}"
            except (urllib3.exceptions.HTTPError, OSError) as error:
                why = printable(first_line(error))
            if time.monotonic() - since > self.patience.seconds:
                raise UserError(
                    f"Kubernetes' API did not answer for {self.patience.seconds:g} s ({verb} {resource}): {why}"
                ) from None
            if not told:
                print(f"Kubernetes' API is away ({verb} {resource}: {why}). Waiting for it", flush=True)
            told = True
            time.sleep(self.patience.pause)

    def _refusal(self, verb: str, resource: str, error: kubernetes.client.ApiException) -> str:
        said = printable(_message(error))
        if error.status == http.HTTPStatus.FORBIDDEN and " cannot " in said:
            return (
                f"the service account may not {verb} {resource} in the namespace {self.namespace}: apply "
                f"deploy/training-job.yaml, or have its Role given to kubeflow.service_account (docs/kubeflow.md). "
                f"Kubernetes says: {said}"
            )
        return f"Kubernetes refused to {verb} {resource} in the namespace {self.namespace} ({error.status}): {said}"


def _read(call: Callable[..., Any], *arguments: str, **options: Any) -> Json:
    """What the API answers, as it is; the client's own classes refuse what later Kubernetes add."""
    return json.loads(call(*arguments, **options, _preload_content=False, _request_timeout=_TIMEOUTS).data)


def _full_name(kind: Kind) -> str:
    return f"{kind.plural}.{kind.group}"


def _message(error: kubernetes.client.ApiException) -> str:
    """What the API says of an error: its Status' message, or the first line of whatever it is."""
    text: Any = error.body.decode("utf-8", "replace") if isinstance(error.body, bytes) else error.body
    try:
        return first_line(ValueError(json.loads(text)["message"]))
    except (ValueError, TypeError, KeyError):
        return first_line(ValueError(text or error.reason or "no reason"))
