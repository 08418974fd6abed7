"""Starts runs on Kubeflow Pipelines, waits for them, and schedules them.

It speaks KFP's API (v2beta1) itself. KFP's SDK follows redirects and takes the login page at their end for an answer,
waits without end for a run that was cancelled, has no time-outs, prints, and keeps files in the home folder.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime
import html
import http.client
import json
import os
import re
import socket
import ssl
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import Any

import requests
import requests.auth
import yaml

from components.errors import UserError
from pipeline.configs import KubeflowConfig

# A token or a session's cookie may stand here, which keeps it out of files and of the list of processes.
TOKEN = "KUBEFLOW_TOKEN"
COOKIE = "KUBEFLOW_COOKIE"

# Where the token of a pod of the cluster is, as KFP's SDK knows it too; the variable names another place.
PROJECTED = "KF_PIPELINES_SA_TOKEN_PATH"
_PROJECTED_FILE = "/var/run/secrets/kubeflow/pipelines/token"
_NAMESPACE_FILE = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

_API = "/apis/v2beta1/"
_EXAMPLE = "https://kubeflow.example/pipeline"
_GOES_ON = ("PENDING", "RUNNING", "RUNTIME_STATE_UNSPECIFIED", "")

# In seconds: to connect, for an answer, for faults that pass while a run is waited for, for a new token in its file.
_CONNECT, _ANSWER, _PATIENCE, _GRACE = 10, 60, 300, 60


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
        self._api = _Api(config)
        self._namespace = config.namespace or self._own_namespace(self._api.knock())

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
            except _Trouble as error:
                troubled = time.monotonic() if troubled is None else troubled
                if time.monotonic() - troubled >= error.patience:
                    raise self._left(run, error) from None
                pause = min(2 * pause, _PATIENCE / 5)
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
        trigger = {"cron_schedule": {"cron": _cron(cron)}}
        experiment = self._experiment()
        same = [old["recurring_run_id"] for old in self._recurring(experiment) if old.get("display_name") == name]
        body = {"mode": "ENABLE", "trigger": trigger, "max_concurrency": 1, "no_catchup": True}
        answer = self._api.call("POST", "recurringruns", body={**job, **body, "experiment_id": experiment})
        made = self._id(answer, "recurring_run_id")
        self._remove(same, made)
        return made

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
        found = self._api.call("GET", "experiments", query).get("experiments")
        if not found:
            body = {"display_name": self._config.experiment, "namespace": self._namespace}
            found = [self._api.call("POST", "experiments", body={key: value for key, value in body.items() if value})]
        return self._id(found[0] if isinstance(found, list) else found, "experiment_id")

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
            yield from (each for each in page.get("recurringRuns") or [] if each.get("recurring_run_id"))
            token = page.get("next_page_token")
            if not token:
                return

    def _remove(self, old: list[str], made: str) -> None:
        kept = {}
        for each in old:
            try:
                self._api.call("DELETE", f"recurringruns/{urllib.parse.quote(each, safe='')}")
            except _Trouble as error:
                if error.status != http.HTTPStatus.NOT_FOUND:  # somebody else was faster
                    kept[each] = error
        if kept:
            raise UserError(
                f"recurring run {made} is created, but {', '.join(kept)} of the same name could not be removed: remove "
                f"it at {self._api.host}/#/recurringruns, or both start runs. {next(iter(kept.values()))}"
            )

    def _ended(self, run: str) -> str | None:
        """The state and the reason, if the run has ended."""
        found = self._api.call("GET", f"runs/{urllib.parse.quote(run, safe='')}")
        self._id(found, "run_id")
        state = str(found.get("state") or "").upper()
        if state in _GOES_ON:
            return None
        faults = [found.get("error"), *(each.get("error") for each in reversed(found.get("state_history") or []))]
        reason = next((each["message"] for each in faults if each and each.get("message")), "")
        return f"{state}: {_line(reason)}" if reason and state == "FAILED" else state

    def _left(self, run: str, error: _Trouble) -> UserError:
        if error.status == http.HTTPStatus.NOT_FOUND:
            return error
        return UserError(f"{error}. The run goes on: {self.address(run)}")

    def _id(self, answer: Any, key: str) -> str:
        found = answer.get(key) if isinstance(answer, dict) else None
        if not isinstance(found, str) or not re.fullmatch(r"[\w.:-]+", found):
            raise _Trouble(
                f"{self._api.host}: the answer has no {key}, so that it is not one of Kubeflow Pipelines. "
                f"Is kubeflow.host right? Expected as {_EXAMPLE}"
            )
        return found


class _Trouble(UserError):
    """The server cannot be reached, refuses, or answers otherwise than KFP does.

    Attributes:
        status: of HTTP, if it answered.
        patience: how many seconds it is worth to try again while a run is waited for.
    """

    def __init__(self, text: str, status: int = 0, patience: float = 0):
        super().__init__(text)
        self.status, self.patience = status, patience


class _Api:
    """KFP's API at one host: JSON there and back, and all else is an error."""

    def __init__(self, config: KubeflowConfig):
        self.host = _host(config.host)
        self._config = config
        self._verify = _authority(config) if self.host.lower().startswith("https:") else True

    def knock(self) -> dict[str, Any]:
        """Asks whether it is KFP, and ready; returns what it says of itself."""
        found = self.call("GET", "healthz", seconds=_CONNECT)
        if found.get("apiServerReady") is False:  # so says the user interface, which is before the API
            raise _Trouble(f"{self.host}: Kubeflow Pipelines is there, but its API is not ready. Try again later")
        if "multi_user" not in found:
            raise _Trouble(
                f"{self.host}: answers, but not as Kubeflow Pipelines 2 does. Is kubeflow.host right? "
                f"Expected as {_EXAMPLE}"
            )
        return found

    def call(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        seconds: float = _ANSWER,
    ) -> dict[str, Any]:
        """Asks once. Redirects are not followed: at their end is a login page."""
        secrets = _secrets(self._config)
        try:
            answer = requests.request(
                method,
                self.host + _API + path,
                params=query,
                json=body,
                headers={"Accept": "application/json"},  # for which oauth2-proxy answers 401 instead of its page
                auth=_Headers(secrets),
                timeout=(_CONNECT, seconds),
                allow_redirects=False,
                verify=self._verify,
            )
            found = _parsed(answer)
        except (requests.RequestException, OSError, UnicodeError) as error:
            raise _unreachable(self.host, error, method) from None
        if 200 <= answer.status_code < 300 and isinstance(found, dict):
            return found
        raise _refusal(self.host, answer, found, secrets)


@dataclasses.dataclass(frozen=True, repr=False)
class _Secret:
    kind: str  # token or cookie
    value: str
    source: str
    renewed: bool  # whether there may be another one there next time


class _Headers(requests.auth.AuthBase):
    """Sends secrets. It has to be an `auth`: without one, requests would send what .netrc has in a token's place."""

    def __init__(self, secrets: list[_Secret]):
        self._secrets = secrets

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        for each in self._secrets:
            header, before = ("Authorization", "Bearer ") if each.kind == "token" else ("Cookie", "")
            request.headers[header] = before + each.value
        return request


def _secrets(config: KubeflowConfig) -> list[_Secret]:
    """Reads the token and the cookie.

    Raises:
        _Trouble: there is no file, or no token or cookie in it.
    """
    token = _secret("token", TOKEN, "kubeflow.token_file", config.token_file)
    cookie = _secret("cookie", COOKIE, "kubeflow.cookie_file", config.cookie_file)
    if not token and not cookie:
        path = os.environ.get(PROJECTED) or (_PROJECTED_FILE if os.path.exists(_PROJECTED_FILE) else None)
        token = _secret("token", "", PROJECTED, path)
    return [each for each in (token, cookie) if each]


def _secret(kind: str, variable: str, setting: str, path: str | None) -> _Secret | None:
    value = os.environ.get(variable, "").strip()
    if value:
        found = _Secret(kind, value, variable, renewed=False)
    elif path:
        found = _Secret(kind, _content(setting, path), f"{setting} = {path}", renewed=True)
    else:
        return None
    patience = _GRACE if found.renewed else 0
    if kind == "token" and not re.fullmatch(r"[!-~]+", found.value):
        raise _Trouble(
            f"{found.source}: expected the token alone, one line of ASCII without blanks and without Bearer before it",
            patience=patience,
        )
    if kind == "cookie" and not re.fullmatch(r"[\w.-]+=[!-:<-~]*(; ?[\w.-]+=[!-:<-~]*)*", found.value, re.ASCII):
        raise _Trouble(
            f"{found.source}: expected NAME=VALUE in one line, as oauth2_proxy_kubeflow=...; more with ; between",
            patience=patience,
        )
    return found


def _content(setting: str, path: str) -> str:
    try:
        with open(os.path.expanduser(path), "rb") as file:
            # Latin-1 takes all bytes; what is not ASCII is refused with the rest.
            text = file.read(1 << 16).decode("latin-1").strip()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise _Trouble(f"{setting} = {path}: cannot be read: {reason}", patience=_GRACE) from None
    if not text:
        raise _Trouble(f"{setting} = {path}: is empty", patience=_GRACE)
    return text


def _host(host: str | None) -> str:
    text = (host or "").strip()
    if not text:
        raise UserError(f"kubeflow.host: is needed to submit, as {_EXAMPLE}")
    if "@" in text:  # the text is not shown, for it may hold a password
        raise UserError(f"kubeflow.host: expected an address without user and password, as {_EXAMPLE}; see {TOKEN}")
    try:
        parts = urllib.parse.urlsplit(text)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and text.isprintable()
    except ValueError:
        good = False
    if not good or re.search(r"[\s?#]", text):
        raise UserError(
            f"kubeflow.host = {_line(text)}: expected an address with http:// or https:// and without ? and #, "
            f"as {_EXAMPLE}"
        )
    return text.rstrip("/")


def _authority(config: KubeflowConfig) -> str | bool:
    """The file with the certificates to trust; True stands for the public ones."""
    variables = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
    given = {"kubeflow.ca_certificate": config.ca_certificate, **{name: os.environ.get(name) for name in variables}}
    name, path = next(((name, path) for name, path in given.items() if path), ("", ""))
    if not path:
        return True
    path = os.path.expanduser(path)
    try:
        if not os.path.isdir(path):  # with hashed names, as OpenSSL's c_rehash makes
            ssl.create_default_context(cafile=path)
    except (OSError, ValueError) as error:
        reason = "no certificate in it" if isinstance(error, ssl.SSLError) else getattr(error, "strerror", error)
        raise UserError(f"{name} = {path}: {reason}: expected a file with certificates in PEM") from None
    return path


def _cron(text: str) -> str:
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

    found = {}
    for name, value in parameters.items():
        try:
            found[name] = json.loads(json.dumps(value, default=date, allow_nan=False))
        except (TypeError, ValueError):
            raise UserError(
                f"--parameter {name}: expected text, a number, true, false, a list or a mapping: put text into quotes"
            ) from None
    return found


def _parsed(answer: requests.Response) -> Any:
    try:
        return json.loads(answer.content)
    except (ValueError, RecursionError):
        return None


def _refusal(host: str, answer: requests.Response, found: Any, secrets: list[_Secret]) -> _Trouble:
    """What an answer means that is not one of KFP's good ones."""
    status, said = answer.status_code, _hidden(_said(answer, found), secrets)
    code = f"HTTP {status}: {said}" if said else f"HTTP {status}"
    if answer.is_redirect or answer.is_permanent_redirect:
        return _redirected(host, answer, secrets)
    if status == http.HTTPStatus.UNAUTHORIZED:
        return _Trouble(f"{host}: not logged in ({code}). {_login(secrets)}", status, _renewal(secrets))
    if status == http.HTTPStatus.FORBIDDEN:
        more = "" if found is None else ". Is kubeflow.namespace right, and may this account create runs in it?"
        return _Trouble(f"{host}: refused ({code}). {_login(secrets)}{more}", status, _renewal(secrets))
    if status >= 500 or status in (http.HTTPStatus.REQUEST_TIMEOUT, http.HTTPStatus.TOO_MANY_REQUESTS):
        return _Trouble(f"{host}: {code}. Try again later{_unknown(answer.request.method)}", status, _PATIENCE)
    if "https" in said.lower() and status == http.HTTPStatus.BAD_REQUEST:
        return _Trouble(f"{host}: {code}. Set kubeflow.host to the same with https://", status)
    if isinstance(found, dict) and said:
        return _Trouble(f"{host}: {code}", status)
    if re.search(r"(?i)\b(log|sign) ?[io]n\b|password|\b(dex|oauth2?|openid|keycloak)\b", answer.text[:100_000]):
        return _Trouble(f"{host}: not logged in, a login page answers ({code}). {_login(secrets)}", 0, _renewal(secrets))
    return _Trouble(
        f"{host}: not Kubeflow Pipelines, something else answers ({code}). Is the path in kubeflow.host right? Expected "
        f"as {_EXAMPLE}. If it is, log in: {_login(secrets)}",
        0,
        _PATIENCE,
    )


def _redirected(host: str, answer: requests.Response, secrets: list[_Secret]) -> _Trouble:
    there = urllib.parse.urljoin(answer.url, answer.headers["Location"])
    there = _hidden(_line(re.split(r"[?#]", there)[0]), secrets)  # behind it is what nobody can read, or a secret
    asked = urllib.parse.urlsplit(answer.url).path
    path = asked[asked.index(_API) :]
    if there.endswith(path):
        return _Trouble(f"{host}: has moved (HTTP {answer.status_code}). Set kubeflow.host to {there[: -len(path)]}")
    return _Trouble(
        f"{host}: not logged in, it sends to {there} (HTTP {answer.status_code}). {_login(secrets)}",
        answer.status_code,
        _renewal(secrets),
    )


def _unreachable(host: str, error: BaseException, method: str) -> _Trouble:
    """What it means that there is no answer."""
    root = error
    while root.__cause__ or root.__context__:
        root = root.__cause__ or root.__context__
    reason = _line(getattr(root, "verify_message", "") or getattr(root, "strerror", "") or str(root))
    if isinstance(root, ssl.SSLCertVerificationError):
        return _Trouble(f"{host}: {_certificate(root)}")
    if isinstance(root, ssl.SSLError) and re.search("WRONG_VERSION|HTTP_REQUEST|RECORD_LAYER", str(root)):
        return _Trouble(f"{host}: does not speak https. Set kubeflow.host to the same with http://, or correct its port")
    if isinstance(error, requests.exceptions.ProxyError):
        return _Trouble(f"{host}: the proxy (HTTPS_PROXY, HTTP_PROXY, NO_PROXY) fails: {reason}", 0, _PATIENCE)
    if isinstance(error, (requests.exceptions.InvalidURL, UnicodeError)):
        return _Trouble(f"kubeflow.host = {host}: not an address, expected as {_EXAMPLE}")
    unsent = isinstance(root, (ConnectionRefusedError, socket.gaierror, ssl.SSLError)) or isinstance(
        error, requests.exceptions.ConnectTimeout
    )
    closed = isinstance(root, (http.client.HTTPException, ConnectionResetError))
    hint = "Does it speak https, so that https:// is needed?" if closed and host.startswith("http:") else ""
    hint = hint or ("Try again later" if not unsent else "Is kubeflow.host right?")
    return _Trouble(
        f"{host}: cannot be reached: {reason}. {hint}{'' if unsent else _unknown(method)}", 0, _PATIENCE
    )


def _certificate(error: ssl.SSLCertVerificationError) -> str:
    if error.verify_code in (62, 64):  # X509_V_ERR_HOSTNAME_MISMATCH and _IP_ADDRESS_MISMATCH
        return f"its certificate is not for this name: {_line(error.verify_message)} Set kubeflow.host to the right one"
    if error.verify_code in (9, 10):  # X509_V_ERR_CERT_NOT_YET_VALID and _HAS_EXPIRED
        return f"{_line(error.verify_message)}. It has to be renewed there; or the clock here is wrong"
    return (
        f"its certificate is not trusted: {_line(error.verify_message)}. Set kubeflow.ca_certificate to a file with the "
        "certificates (PEM) of the authority that signed it"
    )


def _login(secrets: list[_Secret]) -> str:
    """What to do to be let in."""
    if not secrets:
        return f"Set a token in {TOKEN} or kubeflow.token_file, or a cookie in {COOKIE} or kubeflow.cookie_file"
    each = secrets[0]
    expired = _expiry(each.value)
    if expired and expired < datetime.datetime.now(datetime.timezone.utc):
        return f"The {each.kind} of {each.source} expired at {expired:%Y-%m-%d %H:%M} UTC: put a new one there"
    return (
        f"The {each.kind} of {each.source} is not accepted, it may have expired or be meant for another audience: put a "
        "new one there"
    )


def _expiry(token: str) -> datetime.datetime | None:
    """When a token expires, if it is a JSON Web Token and says so."""
    try:
        middle = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
        return datetime.datetime.fromtimestamp(claims["exp"], datetime.timezone.utc)
    except (ValueError, LookupError, TypeError, OverflowError, OSError, RecursionError):
        return None


def _renewal(secrets: list[_Secret]) -> float:
    return _GRACE if any(each.renewed for each in secrets) else 0


def _unknown(method: str | None) -> str:
    return ". Whether it has been done all the same is not known: look there before" if method == "POST" else ""


def _said(answer: requests.Response, found: Any) -> str:
    """What the server says, in one line: KFP's message, a page's title, or a text's first line."""
    if isinstance(found, dict):
        details = [each.get("message") for each in found.get("details") or [] if isinstance(each, dict)]
        # The details hold the message for users, without the names of functions; of faults within they say nothing.
        good = [each for each in details if each and each not in ("Internal Server Error", "Service unavailable")]
        return _line(next(iter(good), None) or found.get("message") or found.get("error") or "")
    title = re.search(r"(?is)<title[^>]*>(.*?)</title>", answer.text[:100_000])
    if title:
        return _line(html.unescape(title[1]).strip())
    return "" if answer.text.lstrip().startswith("<") else _line(answer.text)


def _line(text: Any, length: int = 400) -> str:
    """The first line without what a terminal would take for a command; of a long one the start and, the cause, the end."""
    lines = str(text).strip().splitlines() or [""]
    line = " ".join("".join(each if each.isprintable() else " " for each in lines[0]).split())
    return line if len(line) <= length else f"{line[: length // 4]} ... {line[-length * 3 // 4 :]}"


def _hidden(text: str, secrets: list[_Secret]) -> str:
    for each in secrets:
        for part in (each.value, each.value.partition("=")[2]):
            text = text.replace(part, "***") if part else text
    return text
