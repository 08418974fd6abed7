"""KFP's API (v2beta1) over HTTP, and what everything means that is not an answer of it.

KFP's SDK follows redirects and takes the login page at their end for an answer, has no time-outs, prints, and keeps
files in the home folder.
"""

from __future__ import annotations

import html
import http.client
import json
import re
import socket
import ssl
import urllib.parse
from collections.abc import Mapping
from typing import Any

import requests
import urllib3

from pipeline.configs import KubeflowConfig
from pipeline.kubeflow import credentials
from pipeline.kubeflow.credentials import ApiError, Secret
from word2vec.errors import UserError, reason

_PATH = "/apis/v2beta1/"
EXAMPLE = "https://kubeflow.example/pipeline"

# Of what KFP says of its health; what is empty or false it leaves out.
_HEALTH = {"commit_sha", "tag_name", "multi_user"}

# In seconds: to connect, for an answer, and for faults that pass while a run is waited for.
_CONNECT, _ANSWER, PATIENCE = 10, 60, 300


class Api:
    """KFP's API at one host: JSON there and back, and all else is an error."""

    def __init__(self, config: KubeflowConfig):
        self.host = _host(config.host)
        self._config = config
        self._verify = credentials.authority(config) if self.host.lower().startswith("https:") else True

    def health(self) -> dict[str, Any]:
        """Asks whether it is KFP, and ready; returns what it says of itself."""
        try:
            health = self.call("GET", "healthz", seconds=_CONNECT)
        except ApiError as error:
            if error.status != http.HTTPStatus.NOT_FOUND:
                raise
            raise ApiError(f"{error}. Is the path in kubeflow.host right? Expected as {EXAMPLE}") from None
        if health.get("apiServerReady") is False:  # so says the user interface, which is before the API
            raise ApiError(f"{self.host}: Kubeflow Pipelines is there, but its API is not ready. Try again later")
        if not _HEALTH & set(health):
            raise ApiError(
                f"{self.host}: answers, but not as Kubeflow Pipelines 2 does. Is kubeflow.host right? "
                f"Expected as {EXAMPLE}"
            )
        return health

    def call(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        seconds: float = _ANSWER,
    ) -> dict[str, Any]:
        """Asks once. Redirects are not followed: at their end is a login page."""
        secrets = credentials.read(self._config)
        try:
            answer = requests.request(
                method,
                self.host + _PATH + path,
                params=query,
                json=body,
                headers={"Accept": "application/json"},  # for which oauth2-proxy answers 401 instead of its page
                auth=credentials.Headers(secrets),
                timeout=(_CONNECT, seconds),
                allow_redirects=False,
                verify=self._verify,
            )
            content = _parsed(answer)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, UnicodeError) as error:
            raise _unreachable(self.host, error, method) from None
        if 200 <= answer.status_code < 300 and isinstance(content, dict):
            return content
        raise _refusal(self.host, answer, content, secrets)


def _host(host: str | None) -> str:
    text = (host or "").strip()
    if not text:
        raise UserError(f"kubeflow.host: is needed to submit, as {EXAMPLE}")
    if "@" in text:  # the text is not shown, for it may hold a password
        raise UserError(
            f"kubeflow.host: expected an address without user and password, as {EXAMPLE}; see {credentials.TOKEN}"
        )
    try:
        parts = urllib.parse.urlsplit(text)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and text.isprintable()
    except ValueError:
        good = False
    if not good or re.search(r"[\s?#]", text):
        raise UserError(
            f"kubeflow.host = {one_line(text)}: expected an address with http:// or https:// and without ? and #, "
            f"as {EXAMPLE}"
        )
    return text.rstrip("/")


def _parsed(answer: requests.Response) -> Any:
    try:
        return json.loads(answer.content)
    except (ValueError, RecursionError):
        return None


def _refusal(host: str, answer: requests.Response, content: Any, secrets: list[Secret]) -> ApiError:
    """What an answer means that is not one of KFP's good ones."""
    status, said = answer.status_code, credentials.hide(_said(answer, content), secrets)
    code = f"HTTP {status}: {said}" if said else f"HTTP {status}"
    if answer.is_redirect or answer.is_permanent_redirect:
        return _redirected(host, answer, secrets)
    if status == http.HTTPStatus.UNAUTHORIZED:
        return ApiError(
            f"{host}: not logged in ({code}). {credentials.advice(secrets)}", status, credentials.patience(secrets)
        )
    if status == http.HTTPStatus.FORBIDDEN:
        if isinstance(content, dict) and "code" in content:  # from KFP itself, which knows who it is
            return ApiError(
                f"{host}: refused ({code}). Is kubeflow.namespace right, and may this account work in it?", status
            )
        return ApiError(
            f"{host}: refused ({code}). {credentials.advice(secrets)}", status, credentials.patience(secrets)
        )
    if status >= 500 or status in (http.HTTPStatus.REQUEST_TIMEOUT, http.HTTPStatus.TOO_MANY_REQUESTS):
        return ApiError(f"{host}: {code}. Try again later{_unknown(answer.request.method)}", status, PATIENCE)
    if isinstance(content, dict) and said:
        return ApiError(f"{host}: {code}", status)
    if "https" in said.lower() and status == http.HTTPStatus.BAD_REQUEST:
        return ApiError(f"{host}: {code}. Set kubeflow.host to the same with https://", status)
    if re.search(r"(?i)\b(log|sign) ?[io]n\b|password|\b(dex|oauth2?|openid|keycloak)\b", answer.text[:100_000]):
        return ApiError(
            f"{host}: not logged in, a login page answers ({code}). {credentials.advice(secrets)}",
            0,
            credentials.patience(secrets),
        )
    return ApiError(
        f"{host}: not Kubeflow Pipelines, something else answers ({code}). Is the path in kubeflow.host right? "
        f"Expected as {EXAMPLE}. If it is, it may be a login page. {credentials.advice(secrets)}",
        0,
        PATIENCE,
    )


def _redirected(host: str, answer: requests.Response, secrets: list[Secret]) -> ApiError:
    there = urllib.parse.urljoin(answer.url, answer.headers["Location"])
    there = credentials.hide(
        one_line(re.split(r"[?#]", there)[0]), secrets
    )  # behind it is what nobody can read, or a secret
    asked = urllib.parse.urlsplit(answer.url).path
    path = asked[asked.index(_PATH) :]
    if there.endswith(path):
        return ApiError(f"{host}: has moved (HTTP {answer.status_code}). Set kubeflow.host to {there[: -len(path)]}")
    return ApiError(
        f"{host}: not logged in, it sends to {there} (HTTP {answer.status_code}). {credentials.advice(secrets)}",
        answer.status_code,
        credentials.patience(secrets),
    )


def _unreachable(host: str, error: BaseException, method: str) -> ApiError:
    """What it means that there is no answer."""
    root = error
    while before := root.__cause__ or root.__context__:
        root = before
    why = one_line(reason(root, with_file=False))
    if isinstance(root, ssl.SSLCertVerificationError):
        return ApiError(f"{host}: {_certificate(root)}")
    if isinstance(root, ssl.SSLError) and re.search("WRONG_VERSION|HTTP_REQUEST|RECORD_LAYER", str(root)):
        return ApiError(
            f"{host}: does not speak https. Set kubeflow.host to the same with http://, or correct its port"
        )
    if isinstance(error, requests.exceptions.ProxyError):
        return ApiError(f"{host}: the proxy (HTTPS_PROXY, HTTP_PROXY, NO_PROXY) fails: {why}", 0, PATIENCE)
    if isinstance(error, (requests.exceptions.InvalidURL, urllib3.exceptions.LocationParseError, UnicodeError)):
        return ApiError(f"kubeflow.host = {host}: not an address, expected as {EXAMPLE}")
    unsent = isinstance(root, (ConnectionRefusedError, socket.gaierror, ssl.SSLError)) or isinstance(
        error, requests.exceptions.ConnectTimeout
    )
    closed = isinstance(root, (http.client.HTTPException, ConnectionResetError))
    hint = "Does it speak https, so that https:// is needed?" if closed and host.startswith("http:") else ""
    hint = hint or ("Try again later" if not unsent else "Is kubeflow.host right?")
    return ApiError(f"{host}: cannot be reached: {why}. {hint}{'' if unsent else _unknown(method)}", 0, PATIENCE)


def _certificate(error: ssl.SSLCertVerificationError) -> str:
    if error.verify_code in (62, 64):  # X509_V_ERR_HOSTNAME_MISMATCH and _IP_ADDRESS_MISMATCH
        return (
            f"its certificate is not for this name: {one_line(error.verify_message)} Set kubeflow.host to the right one"
        )
    if error.verify_code in (9, 10):  # X509_V_ERR_CERT_NOT_YET_VALID and _HAS_EXPIRED
        return f"{one_line(error.verify_message)}. It has to be renewed there; or the clock here is wrong"
    return (
        f"its certificate is not trusted: {one_line(error.verify_message)}. Set kubeflow.ca_certificate to a file with "
        "the certificates (PEM) of the authority that signed it"
    )


def _unknown(method: str | None) -> str:
    return ". Whether it has been done all the same is not known: look there before" if method == "POST" else ""


def _said(answer: requests.Response, content: Any) -> str:
    """What the server says, in one line: KFP's message, a page's title, or a text's first line."""
    if isinstance(content, dict):
        details = content.get("details")
        details = (
            [each.get("message") for each in details if isinstance(each, dict)] if isinstance(details, list) else []
        )
        # The details hold the message for users, without the names of functions; of faults within they say nothing.
        good = [each for each in details if each and each not in ("Internal Server Error", "Service unavailable")]
        return one_line(next(iter(good), None) or content.get("message") or content.get("error") or "")
    title = re.search(r"(?is)<title[^>]*>(.*?)</title>", answer.text[:100_000])
    if title:
        return one_line(html.unescape(title[1]).strip())
    return "" if answer.text.lstrip().startswith("<") else one_line(answer.text)


def one_line(text: Any, length: int = 400) -> str:
    """The first line, without what a terminal would take for a command; of a long one the start and the end."""
    lines = str(text).strip().splitlines() or [""]
    line = " ".join("".join(each if each.isprintable() else " " for each in lines[0]).split())
    return line if len(line) <= length else f"{line[: length // 4]} ... {line[-length * 3 // 4 :]}"
