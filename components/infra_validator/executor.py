"""TFX's InfraValidator, which tells a model that TF Serving refuses from a TF Serving that could not be started."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from typing import Any

from absl import logging
from kubernetes import client as kubernetes
from tfx.components.infra_validator import error_types, executor, serving_bins, types
from tfx.components.infra_validator.model_server_runners import kubernetes_runner
from tfx.proto import infra_validator_pb2

from word2vec import errors
from word2vec.errors import UserError

_POLL_SECONDS = 5

# Where Kubernetes says to a pod in which namespace it is; KFP's version 2 does not pass it on.
_NAMESPACE_FILE = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"
_NAMESPACE = "KFP_NAMESPACE"

_ISTIO = "sidecar.istio.io/inject"

_USER = 10001  # the image's, should this process be root


class Executor(executor.Executor):
    """Blesses a model that loads and answers, and does not bless one that doesn't; anything else is an error.

    TFX's own takes every exception for the model's fault: a pod that may not be created, an image that is not there.
    Then a run would end well, and nothing would be pushed, for ever.
    """

    def _ValidateWithRetry(
        self,
        model_path: str,
        serving_binary: serving_bins.ServingBinary,
        serving_spec: infra_validator_pb2.ServingSpec,
        validation_spec: infra_validator_pb2.ValidationSpec,
        requests: list[types.Request],
    ) -> bool:
        """Tries a model in one TF Serving, as often as TFX's would.

        Returns:
            Whether it was loaded and has answered.

        Raises:
            UserError: no TF Serving could be started in any of the tries.
            GracefulShutdown: this process is told to end.
        """
        reason = ""
        for attempt in range(1, validation_spec.num_tries + 1):
            logging.info("Infra validation, attempt %d of %d.", attempt, validation_spec.num_tries)
            deadline = time.time() + validation_spec.max_loading_time_seconds
            try:
                with _started(model_path, serving_binary, serving_spec, deadline) as runner:
                    _ask(runner, serving_binary, deadline, requests)
                return True
            except error_types.GracefulShutdown:
                raise
            except _NotStartedError as error:
                logging.exception("TF Serving could not be started.")
                reason = str(error)
            except Exception:  # whatever TFX's client makes of a model that does not load, or of its answers
                logging.exception("The model failed.")
                reason = ""
        if reason:
            raise UserError(
                f"serving.infra_validation: TF Serving ({serving_binary.image}) could not be started: {reason}. The "
                "model was not tried"
            )
        return False


class _NotStartedError(Exception):
    """There is no TF Serving to ask."""


@contextlib.contextmanager
def _started(
    model_path: str,
    serving_binary: serving_bins.ServingBinary,
    serving_spec: infra_validator_pb2.ServingSpec,
    deadline: float,
) -> Iterator[Any]:
    """A TF Serving that runs; in the end it is stopped."""
    with contextlib.ExitStack() as stack:
        try:
            if serving_spec.WhichOneof("serving_platform") == "kubernetes":
                runner = KubernetesRunner(model_path, serving_binary, serving_spec)
            else:
                runner = executor._create_model_server_runner(model_path, serving_binary, serving_spec)
            stack.callback(runner.Stop)
            runner.Start()
            runner.WaitUntilRunning(deadline)
        except error_types.GracefulShutdown:
            raise
        except Exception as error:  # of Docker's, Kubernetes' or TFX's many
            raise _NotStartedError(_line(error)) from error
        yield runner


def _ask(
    runner: Any, serving_binary: serving_bins.ServingBinary, deadline: float, requests: list[types.Request]
) -> None:
    client = serving_binary.MakeClient(runner.GetEndpoint())
    try:
        client.WaitUntilModelLoaded(deadline, polling_interval_sec=_POLL_SECONDS)
        client.SendRequests(requests)
    except error_types.GracefulShutdown:
        raise
    except Exception:
        logging.error("TF Serving's log:\n%s", _log_of(runner))
        raise


class KubernetesRunner(kubernetes_runner.KubernetesRunner):
    """TFX's, in KFP's version 2, with a pod that Kubernetes takes, and with TF Serving's own log."""

    def __init__(self, *arguments: Any):
        if _NAMESPACE not in os.environ and os.path.exists(_NAMESPACE_FILE):
            with open(_NAMESPACE_FILE, encoding="utf-8") as file:
                os.environ[_NAMESPACE] = file.read().strip()
        super().__init__(*arguments)

    def _BuildPodManifest(self) -> kubernetes.V1Pod:
        """As TFX's, whose resources Kubernetes does not take: it sends a mapping where a list is expected.

        Istio's sidecar would let nobody in from a pod that has none, as KFP's have not (tensorflow/tfx #3893). The
        user is the pipeline's, whose files it reads; with the rest, the pod is a restricted one.
        """
        pod = super()._BuildPodManifest()
        pod.metadata.annotations = {**(pod.metadata.annotations or {}), _ISTIO: "false"}
        pod.metadata.labels = {**pod.metadata.labels, _ISTIO: "false"}
        pod.spec.security_context = kubernetes.V1PodSecurityContext(
            run_as_non_root=True,
            run_as_user=os.getuid() or _USER,
            seccomp_profile=kubernetes.V1SeccompProfile(type="RuntimeDefault"),
        )
        (container,) = pod.spec.containers
        container.resources = None
        container.security_context = kubernetes.V1SecurityContext(
            allow_privilege_escalation=False, capabilities=kubernetes.V1Capabilities(drop=["ALL"])
        )
        return pod

    def GetLogs(self) -> str | None:
        """TF Serving's log; TFX's asks for that of a container which its pod has not got."""
        if not self._pod_name:
            return None
        return self._k8s_core_api.read_namespaced_pod_log(name=self._pod_name, namespace=self._namespace)


def _log_of(runner: Any) -> str:
    try:
        return runner.GetLogs() or "(empty)"
    except Exception as error:  # the verdict is known, and its reason is less
        return f"({_line(error)})"


def _line(error: Exception) -> str:
    if isinstance(error, kubernetes.ApiException):
        try:
            message = json.loads(error.body)["message"]
        except (TypeError, ValueError, KeyError):
            message = error.reason
        return f"Kubernetes says {error.status}: {message}"
    why, kind = errors.reason(error).rstrip("."), type(error).__name__
    return why if why == kind else f"{kind}: {why}"  # an error without a text
