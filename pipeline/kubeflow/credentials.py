"""What lets one in at Kubeflow Pipelines: tokens, cookies, and the certificates to trust."""

from __future__ import annotations

import base64
import dataclasses
import datetime
import json
import os
import re
import ssl

import requests
import requests.auth

from pipeline.configs import KubeflowConfig
from word2vec.errors import UserError, reason

# A token or a session's cookie may stand here, which keeps it out of files and of the list of processes.
TOKEN = "KUBEFLOW_TOKEN"
COOKIE = "KUBEFLOW_COOKIE"

# Where the token of a pod of the cluster is, as KFP's SDK knows it too; the variable names another place.
PROJECTED = "KF_PIPELINES_SA_TOKEN_PATH"
_PROJECTED_FILE = "/var/run/secrets/kubeflow/pipelines/token"

# Seconds for which it is worth to look again whether there is a new token in its file.
_GRACE = 60


class ApiError(UserError):
    """The server cannot be reached, refuses, or answers otherwise than KFP does.

    Attributes:
        status: of HTTP, if it answered.
        patience: how many seconds it is worth to try again while a run is waited for.
    """

    def __init__(self, text: str, status: int = 0, patience: float = 0):
        super().__init__(text)
        self.status, self.patience = status, patience


@dataclasses.dataclass(frozen=True, repr=False)
class Secret:
    """A token or a cookie, and where it was found."""

    kind: str  # token or cookie
    value: str
    source: str
    renewed: bool  # whether there may be another one there next time


class Headers(requests.auth.AuthBase):
    """Sends secrets. It has to be an `auth`: without one, requests would send what .netrc has in a token's place."""

    def __init__(self, secrets: list[Secret]):
        self._secrets = secrets

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Adds the headers."""
        for each in self._secrets:
            header, before = ("Authorization", "Bearer ") if each.kind == "token" else ("Cookie", "")
            request.headers[header] = before + each.value
        return request


def read(config: KubeflowConfig) -> list[Secret]:
    """Reads the token and the cookie.

    Raises:
        ApiError: there is no file, or no token or cookie in it.
    """
    token = _secret("token", TOKEN, "kubeflow.token_file", config.token_file)
    cookie = _secret("cookie", COOKIE, "kubeflow.cookie_file", config.cookie_file)
    if not token and not cookie:
        path = os.environ.get(PROJECTED) or (_PROJECTED_FILE if os.path.exists(_PROJECTED_FILE) else None)
        token = _secret("token", "", PROJECTED, path)
    return [each for each in (token, cookie) if each]


def _secret(kind: str, variable: str, setting: str, path: str | None) -> Secret | None:
    value = os.environ.get(variable, "").strip()
    if value:
        secret = Secret(kind, value, variable, renewed=False)
    elif path:
        secret = Secret(kind, _content(setting, path), f"{setting} = {path}", renewed=True)
    else:
        return None
    patience = _GRACE if secret.renewed else 0
    if kind == "token" and not re.fullmatch(r"[!-~]+", secret.value):
        raise ApiError(
            f"{secret.source}: expected the token alone, one line of ASCII without blanks and without Bearer before it",
            patience=patience,
        )
    if kind == "cookie" and not re.fullmatch(r"[\w.-]+=[!-:<-~]*(; ?[\w.-]+=[!-:<-~]*)*", secret.value, re.ASCII):
        raise ApiError(
            f"{secret.source}: expected NAME=VALUE in one line, as oauth2_proxy_kubeflow=...; more with ; between",
            patience=patience,
        )
    return secret


def _content(setting: str, path: str) -> str:
    try:
        with open(os.path.expanduser(path), "rb") as file:
            # Latin-1 takes all bytes; what is not ASCII is refused with the rest.
            text = file.read(1 << 16).decode("latin-1").strip()
    except (OSError, ValueError) as error:
        why = reason(error, with_file=False)
        raise ApiError(f"{setting} = {path}: cannot be read: {why}", patience=_GRACE) from None
    if not text:
        raise ApiError(f"{setting} = {path}: is empty", patience=_GRACE)
    return text


def advice(secrets: list[Secret]) -> str:
    """What to do to be let in."""
    if not secrets:
        return f"Set a token in {TOKEN} or kubeflow.token_file, or a cookie in {COOKIE} or kubeflow.cookie_file"
    each = secrets[0]
    expired = _expiry(each.value)
    if expired and expired < datetime.datetime.now(datetime.timezone.utc):
        return f"The {each.kind} of {each.source} expired at {expired:%Y-%m-%d %H:%M} UTC: put a new one there"
    return (
        f"The {each.kind} of {each.source} is not accepted, it may have expired or be meant for another audience: put "
        "a new one there"
    )


def _expiry(token: str) -> datetime.datetime | None:
    """When a token expires, if it is a JSON Web Token and says so."""
    try:
        middle = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
        return datetime.datetime.fromtimestamp(claims["exp"], datetime.timezone.utc)
    except (ValueError, LookupError, TypeError, OverflowError, OSError, RecursionError):
        return None


def patience(secrets: list[Secret]) -> float:
    """For how many seconds it is worth to wait for new ones."""
    return _GRACE if any(each.renewed for each in secrets) else 0


def hide(text: str, secrets: list[Secret]) -> str:
    """A text without them; what is so short that it is in every text hides nothing."""
    parts = [each.value for each in secrets]
    parts += [part.partition("=")[2] for each in secrets if each.kind == "cookie" for part in each.value.split(";")]
    for part in parts:
        text = text.replace(part, "***") if len(part) > 4 else text
    return text


def authority(config: KubeflowConfig) -> str | bool:
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
        why = "no certificate in it" if isinstance(error, ssl.SSLError) else reason(error, with_file=False)
        raise UserError(f"{name} = {path}: {why}: expected a file with certificates in PEM") from None
    return path
