"""Starts runs on Kubeflow Pipelines, and schedules them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import Any

import kfp
import kfp_server_api
import requests
import urllib3

from components.errors import UserError
from pipeline.configs import KubeflowConfig

# The token may stand here, which keeps it out of files and of the list of processes.
TOKEN = "KUBEFLOW_TOKEN"


class Client:
    """A connection.

    Args:
        config: host, namespace and experiment.

    Raises:
        UserError: there is no host, it cannot be reached, or it refuses.
    """

    def __init__(self, config: KubeflowConfig):
        if not config.host:
            raise UserError("kubeflow.host: is needed to submit, as https://kubeflow.example/pipeline")
        self._config = config
        token = os.environ.get(TOKEN)
        with self._told():
            _knock(config.host, token)
            self._kfp = kfp.Client(host=config.host, namespace=config.namespace or "kubeflow", existing_token=token)

    def submit(self, package: str, name: str, parameters: Mapping[str, Any]) -> str:
        """Starts a run.

        Args:
            package: the compiled file.
            name: of the run.
            parameters: by name.

        Returns:
            The run's id.
        """
        with self._told():
            return self._kfp.create_run_from_pipeline_package(
                package,
                arguments=dict(parameters),
                run_name=name,
                experiment_name=self._config.experiment,
                namespace=self._config.namespace,
                service_account=self._config.service_account,
            ).run_id

    def wait(self, run: str, seconds: float) -> str:
        """Waits until a run has ended; returns its state, as SUCCEEDED.

        Raises:
            UserError: it has not ended in so many seconds.
        """
        with self._told():
            try:
                return self._kfp.wait_for_run_completion(run, timeout=seconds).state
            except TimeoutError:
                raise UserError(f"run {run}: has not ended within {seconds:.0f} s, and goes on") from None

    def schedule(self, package: str, name: str, cron: str, parameters: Mapping[str, Any]) -> str:
        """Creates a recurring run, and removes those of the same name.

        Args:
            package: the compiled file.
            name: of the recurring run.
            cron: when, in six fields with seconds: `0 0 3 * * *` is at three each night.
            parameters: by name.

        Returns:
            The recurring run's id.
        """
        with self._told():
            experiment = self._kfp.create_experiment(self._config.experiment, namespace=self._config.namespace)
            same = [
                run.recurring_run_id for run in self._recurring(experiment.experiment_id) if run.display_name == name
            ]
            made = self._kfp.create_recurring_run(
                experiment.experiment_id,
                job_name=name,
                cron_expression=cron,
                pipeline_package_path=package,
                params=dict(parameters),
                service_account=self._config.service_account,
            )
            for old in same:
                self._kfp.delete_recurring_run(old)
            return made.recurring_run_id

    def address(self, run: str) -> str:
        """The run's page."""
        return f"{self._config.host.rstrip('/')}/#/runs/details/{run}"

    def _recurring(self, experiment: str) -> Iterator[Any]:
        token = ""
        while True:
            page = self._kfp.list_recurring_runs(token, page_size=100, experiment_id=experiment)
            yield from page.recurring_runs or []
            token = page.next_page_token
            if not token:
                return

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Turns what the SDK raises into one line."""
        host = self._config.host
        try:
            yield
        except kfp_server_api.ApiException as error:
            if error.status in (401, 403):
                raise UserError(
                    f"{host}: refused (HTTP {error.status}). Set a valid token in {TOKEN}, and kubeflow.namespace"
                ) from None
            first = (error.body or str(error.reason)).strip().splitlines()[0]
            raise UserError(f"{host}: HTTP {error.status}: {first[:300]}") from None
        except (urllib3.exceptions.HTTPError, OSError) as error:
            reason = getattr(error, "reason", error)
            raise UserError(f"{host}: cannot be reached: {reason}. Is kubeflow.host right?") from None


def _knock(host: str, token: str | None) -> None:
    """Asks whether it is there and lets one in, once: the SDK would ask for half a minute.

    Raises:
        kfp_server_api.ApiException: it refuses.
        OSError: it cannot be reached.
    """
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    answer = requests.get(f"{host.rstrip('/')}/apis/v2beta1/healthz", headers=headers, timeout=10)
    if not answer.ok:
        raise kfp_server_api.ApiException(answer.status_code, answer.reason)
