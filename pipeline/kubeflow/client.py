"""Starts runs on Kubeflow Pipelines, waits for them, and schedules them."""

from __future__ import annotations

import datetime
import http
import json
import re
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from pipeline.configs import KubeflowConfig
from pipeline.kubeflow.api import EXAMPLE, PATIENCE, Api, one_line
from pipeline.kubeflow.credentials import ApiError
from word2vec.errors import UserError

_NAMESPACE_FILE = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

# The states of a run that has not ended; all others, PAUSED and CANCELING among them, need a person.
_GOES_ON = ("PENDING", "RUNNING", "RUNTIME_STATE_UNSPECIFIED", "")


class Client:
    """A connection.

    A token comes from the environment variable KUBEFLOW_TOKEN, else from the file `kubeflow.token_file`; a cookie from
    KUBEFLOW_COOKIE, else from `kubeflow.cookie_file`: the environment wins over a file, as what is set for one command
    over what is set for all. If there is both a token and a cookie, both are sent. If there is neither, the token is
    sent that Kubernetes projects into a pod for KFP (KF_PIPELINES_SA_TOKEN_PATH), if there is one. Files are read anew
    for each request. Certificates of a private authority come from `kubeflow.ca_certificate`, else from
    REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE or SSL_CERT_FILE.

    Args:
        config: host, namespace, experiment and what lets one in.
        poll_seconds: time between two looks at a run that is waited for.

    Raises:
        UserError: there is no host, it cannot be reached, it is no Kubeflow Pipelines, or it lets nobody in.
    """

    def __init__(self, config: KubeflowConfig, poll_seconds: float = 5):
        self._config, self._poll = config, poll_seconds
        self._api = Api(config)
        health = self._api.health()
        self._namespace = config.namespace or self._own_namespace(health)

    def submit(self, package: str, name: str, parameters: Mapping[str, Any]) -> str:
        """Starts a run.

        Args:
            package: the compiled file.
            name: of the run.
            parameters: by name.

        Returns:
            The run's id.

        Raises:
            UserError: it was not started, or nobody knows.
        """
        job = self._job(package, name, parameters)
        return self._id(self._api.call("POST", "runs", body={**job, "experiment_id": self._experiment()}), "run_id")

    def wait(self, run: str, seconds: float) -> str:
        """Waits until a run has ended. Faults of the network and of the server that pass are borne for some minutes.

        Returns:
            Its state, as SUCCEEDED; with a colon and the reason behind it if it failed and KFP gives one.

        Raises:
            UserError: it has not ended in so many seconds, or it cannot be looked at any more.
        """
        end, troubled, pause = time.monotonic() + seconds, None, self._poll
        while True:
            try:
                if ended := self._ended(run):
                    return ended
                troubled, pause = None, self._poll
            except ApiError as error:
                troubled = time.monotonic() if troubled is None else troubled
                if time.monotonic() - troubled >= error.patience:
                    raise self._left(run, error) from None
                pause = min(2 * pause, PATIENCE / 5)
            left = end - time.monotonic()
            if left <= 0:
                raise UserError(f"run {run}: has not ended within {seconds:.0f} s, and goes on: {self.address(run)}")
            time.sleep(min(pause, left))

    def schedule(self, package: str, name: str, cron: str, parameters: Mapping[str, Any]) -> str:
        """Creates a recurring run, and removes those of the same name in the experiment.

        Only one of its runs is under way at a time, and times that passed while the cluster was down or the recurring
        run was paused are not made up for.

        Args:
            package: the compiled file.
            name: of the recurring run.
            cron: when, in six fields with seconds: `0 0 3 * * *` is at three each night. That is in UTC, unless the
                cluster's CRON_SCHEDULE_TIMEZONE (cronScheduleTimezone of pipeline-install-config) says otherwise.
            parameters: by name.

        Returns:
            The recurring run's id.

        Raises:
            UserError: it was not created, nobody knows, or an old one is still there beside it.
        """
        job = self._job(package, name, parameters)
        trigger = {"cron_schedule": {"cron": check_cron(cron)}}
        experiment = self._experiment()
        same = [old["recurring_run_id"] for old in self._recurring(experiment) if old.get("display_name") == name]
        body = {"mode": "ENABLE", "trigger": trigger, "max_concurrency": 1, "no_catchup": True}
        answer = self._api.call("POST", "recurringruns", body={**job, **body, "experiment_id": experiment})
        recurring_run = self._id(answer, "recurring_run_id")
        self._remove(same, recurring_run)
        return recurring_run

    def address(self, run: str) -> str:
        """The run's page."""
        return f"{self._api.host}/#/runs/details/{run}"

    def _own_namespace(self, health: Mapping[str, Any]) -> str | None:
        """Of the pod that this runs in, as with KFP's SDK, if Kubeflow is one of many users."""
        if not health.get("multi_user"):
            return None
        try:
            with open(_NAMESPACE_FILE, encoding="utf-8") as file:
                return file.read().strip()
        except OSError:
            raise UserError(
                f"kubeflow.namespace: is needed, for {self._api.host} is a Kubeflow of many users: set the one of your "
                "profile"
            ) from None

    def _experiment(self) -> str:
        """The id of the experiment, which is created if there is none of the name."""
        wanted = {"operation": "EQUALS", "key": "display_name", "stringValue": self._config.experiment}
        # KFP unquotes a filter once more than it should: a + in the name would be a blank, and a % an error.
        query = {"filter": urllib.parse.quote(json.dumps({"predicates": [wanted]})), "namespace": self._namespace}
        experiments = _objects(self._api.call("GET", "experiments", query).get("experiments"))
        if not experiments:
            body = {"display_name": self._config.experiment, "namespace": self._namespace}
            experiments = [
                self._api.call("POST", "experiments", body={key: value for key, value in body.items() if value})
            ]
        return self._id(experiments[0], "experiment_id")

    def _job(self, package: str, name: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """What runs and recurring runs have in common."""
        job = {
            "display_name": name,
            "pipeline_spec": _specification(package),
            # Without the root here, the cluster's own would be taken, and not the one of the settings.
            "runtime_config": {"parameters": _plain(parameters), "pipeline_root": self._config.root},
        }
        account = self._config.service_account
        return {**job, "service_account": account} if account else job

    def _recurring(self, experiment: str) -> Iterator[dict[str, Any]]:
        token = ""
        while True:
            query = {"experiment_id": experiment, "page_size": 100, "page_token": token}
            page = self._api.call("GET", "recurringruns", query)
            yield from (each for each in _objects(page.get("recurringRuns")) if each.get("recurring_run_id"))
            token = page.get("next_page_token") or ""
            if not token:
                return

    def _remove(self, old: list[str], recurring_run: str) -> None:
        kept = {}
        for each in old:
            try:
                self._api.call("DELETE", f"recurringruns/{urllib.parse.quote(each, safe='')}")
            except ApiError as error:
                if error.status != http.HTTPStatus.NOT_FOUND:  # somebody else was faster
                    kept[each] = error
        if kept:
            raise UserError(
                f"recurring run {recurring_run} is created, but {', '.join(kept)} of the same name could not be "
                f"removed: remove it at {self._api.host}/#/recurringruns, or both start runs. "
                f"{next(iter(kept.values()))}"
            )

    def _ended(self, run: str) -> str | None:
        """The state and the reason, if the run has ended."""
        answer = self._api.call("GET", f"runs/{urllib.parse.quote(run, safe='')}")
        self._id(answer, "run_id")
        state = str(answer.get("state") or "").upper()
        if state in _GOES_ON:
            return None
        history = reversed(_objects(answer.get("state_history")))
        faults = _objects([answer.get("error"), *(each.get("error") for each in history)])
        reason = next((each["message"] for each in faults if each.get("message")), "")
        return f"{state}: {one_line(reason)}" if reason and state == "FAILED" else state

    def _left(self, run: str, error: ApiError) -> UserError:
        if error.status == http.HTTPStatus.NOT_FOUND:
            return error
        return UserError(f"{error}. The run goes on: {self.address(run)}")

    def _id(self, answer: Mapping[str, Any], key: str) -> str:
        identifier = answer.get(key)
        if not isinstance(identifier, str) or not re.fullmatch(r"[\w.:-]+", identifier):
            raise ApiError(
                f"{self._api.host}: the answer has no {key}, so that it is not one of Kubeflow Pipelines. "
                f"Is kubeflow.host right? Expected as {EXAMPLE}"
            )
        return identifier


def _objects(value: Any) -> list[dict[str, Any]]:
    """A list's objects: what else a server sends in their place is not of KFP, and no reason to fail without a word."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def check_cron(text: str) -> str:
    """Makes sure that a cron expression has KFP's six fields; returns it.

    Raises:
        UserError: it has others.
    """
    fields = text.split()
    # KFP would take five for all but the weekday: what is meant as once a day would run once an hour.
    if len(fields) == 5 and not text.startswith("@"):
        raise UserError(f"--cron '{text}': expected six fields, of which the first is the seconds: '0 {text.strip()}'")
    if len(fields) != 6 and not text.startswith("@"):
        raise UserError(
            f"--cron '{text}': expected six fields (second, minute, hour, day, month, weekday): '0 0 3 * * *'"
        )
    return text


def _specification(package: str) -> dict[str, Any]:
    """What a compiled file holds, as the API wants it: beside the pipeline there may be what Kubernetes needs."""
    with open(package, encoding="utf-8") as file:
        pipeline, *rest = [document for document in yaml.safe_load_all(file) if document]
    platform = {key: value for document in rest for key, value in document.items()}
    return {"pipeline_spec": pipeline, "platform_spec": platform} if platform else pipeline


def _plain(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as JSON has them; dates, which YAML makes of what looks so, are text."""

    def date(value: Any) -> str:
        if isinstance(value, datetime.date):
            return value.isoformat()
        raise TypeError

    plain = {}
    for name, value in parameters.items():
        try:
            plain[name] = json.loads(json.dumps(value, default=date, allow_nan=False))
        except (TypeError, ValueError):
            raise UserError(
                f"--parameter {name}: expected text, a number, true, false, a list or a mapping: put text into quotes"
            ) from None
    return plain
