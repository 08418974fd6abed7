"""How the client's questions reach a server: TF Serving's gRPC or REST, with the same answers and the same errors."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import ssl
import time
import urllib.parse
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from serving.quiet import quiet
from word2vec import version_folders

# Seconds before a request is sent again; doubled each time.
_FIRST_WAIT, _LONGEST_WAIT = 0.2, 5.0

# What a server answers that is overloaded, or a proxy whose server is not there yet.
_AGAIN = (429, 502, 503, 504)

# That may ask over one connection to REST before some have to connect anew.
_MOST_THREADS = 256


class RequestError(Exception):
    """The server does not answer, or answers that the request is wrong."""


class TryAgainError(RequestError):
    """The server could not be reached, or had too much to do: the same request may be answered later."""


class Transport(Protocol):
    """A connection to a served model."""

    def predict(self, signature: str, inputs: Mapping[str, Sequence[Any]], seconds: float) -> dict[str, np.ndarray]:
        """Asks once.

        Args:
            signature: its name.
            inputs: by name; texts, int32 for `k` and `restrict_vocab`, or an array of vectors, float32 [n, D].
            seconds: that it may take.

        Raises:
            TryAgainError: it may be asked again.
            RequestError: it fails for another reason.
        """
        ...

    def close(self) -> None:
        """Closes the connection."""
        ...


def connect(address: str, model: str, version: int | None, tls: bool | str) -> Transport:
    """Makes a connection; nothing is sent yet.

    Raises:
        ValueError: the address, the version or `tls` cannot be.
        OSError: the file that `tls` names cannot be read.
    """
    scheme = address.partition("://")[0].lower() if "://" in address else ""
    host, port = _parts(address if scheme else f"//{address}", address)
    if scheme not in ("", "http", "https"):
        raise ValueError(f"{address}: expected host:port, http://host:port or https://host:port")
    if not scheme and port is None:
        raise ValueError(f"{address}: expected a port, as in {host}:8500")
    if tls and scheme == "http":
        raise ValueError(f"{address}: TLS needs https://")
    if version is not None and not 0 <= version <= version_folders.LARGEST:
        raise ValueError(f"version {version}: expected a whole number from 0 to {version_folders.LARGEST}")
    if isinstance(tls, str):
        _check_certificates(tls)
    transport_class = _Rest if scheme else _Grpc
    return transport_class(address, host, model, version, tls)


def ask(
    transport: Transport, signature: str, inputs: Mapping[str, Sequence[Any]], *, timeout: float, retries: int
) -> dict[str, np.ndarray]:
    """Asks, and asks again while that may help.

    Args:
        transport: the connection.
        signature: its name.
        inputs: by name.
        timeout: seconds that it may take, with all that is asked again.
        retries: how often it is asked again, after waits that double.

    Raises:
        RequestError: it is not answered.
    """
    end, wait = time.monotonic() + timeout, _FIRST_WAIT
    while True:
        try:
            return transport.predict(signature, inputs, max(end - time.monotonic(), 0.001))
        except TryAgainError:
            if not retries or time.monotonic() + wait > end:
                raise
        time.sleep(wait)
        retries, wait = retries - 1, min(2 * wait, _LONGEST_WAIT)


def _parts(url: str, address: str) -> tuple[str, int | None]:
    """The host and the port."""
    try:
        parts = urllib.parse.urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or port == 0 or not address.isprintable() or " " in address:
        raise ValueError(f"{address or 'an empty address'}: expected host:port, or http://host:port, of a server")
    return host, port


def _check_certificates(path: str) -> None:
    with open(path, "rb"):  # an error of its own where it cannot be read
        pass
    try:
        ssl.create_default_context(cafile=path)
    except ssl.SSLError:
        raise ValueError(f"tls {path}: expected certificates in PEM's form") from None


def _is_here(host: str) -> bool:
    """Whether a host is this machine, to which no proxy leads."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _unreachable(address: str, why: str = "") -> TryAgainError:
    return TryAgainError(
        f"{address}: cannot be reached{why}. Has the server been started, as by python -m serving.local --model FOLDER?"
    )


def _late(address: str) -> RequestError:
    return RequestError(f"{address}: no answer within the time that a request may take")


class _Grpc:
    def __init__(self, address: str, host: str, model: str, version: int | None, tls: bool | str):
        # TensorFlow comes with them: seconds that those who ask over REST need not wait.
        with quiet():
            import grpc
            import tensorflow as tf
            from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

        self._tf, self._error, self._request = tf, grpc.RpcError, predict_pb2.PredictRequest
        self._address, self._model, self._version = address, model, version
        self._proxy = "" if _is_here(host) else _first_of("grpc_proxy", "https_proxy", "http_proxy")
        options = [
            ("grpc.max_receive_message_length", -1),
            ("grpc.max_send_message_length", -1),
            ("grpc.enable_retries", 0),
            ("grpc.enable_http_proxy", int(bool(self._proxy))),
            # Not much later than it is asked again.
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.min_reconnect_backoff_ms", 1000),
            ("grpc.max_reconnect_backoff_ms", int(_LONGEST_WAIT * 1000)),
        ]
        if tls:
            credentials = grpc.ssl_channel_credentials(_read(tls) if isinstance(tls, str) else None)
            self._channel = grpc.secure_channel(address, credentials, options)
        else:
            self._channel = grpc.insecure_channel(address, options)
        self._stub = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)

    def predict(self, signature: str, inputs: Mapping[str, Sequence[Any]], seconds: float) -> dict[str, np.ndarray]:
        request = self._request()
        request.model_spec.name, request.model_spec.signature_name = self._model, signature
        if self._version is not None:
            request.model_spec.version.value = self._version
        for name, values in inputs.items():
            request.inputs[name].CopyFrom(self._tf.make_tensor_proto(values, *self._kind(values)))
        try:
            answer = self._stub.Predict(request, timeout=seconds)
        except self._error as error:
            raise self._failure(error.code().name, error.details() or "") from None
        return {name: _texts(self._tf.make_ndarray(value)) for name, value in answer.outputs.items()}

    def _kind(self, values: Sequence[Any]) -> tuple[Any, list[int]]:
        """The type and shape of an input: vectors, whole numbers or texts."""
        if isinstance(values, np.ndarray):
            return self._tf.float32, list(values.shape)
        whole = bool(values) and isinstance(values[0], int)
        return self._tf.int32 if whole else self._tf.string, [len(values)]

    def _failure(self, code: str, details: str) -> RequestError:
        if code == "DEADLINE_EXCEEDED":
            return _late(self._address)
        if code != "UNAVAILABLE":
            return RequestError(f"{self._address}: {code}: {details}")
        if "http1.x" in details.lower() or "http/1" in details.lower():
            return RequestError(f"{self._address}: speaks HTTP, and not gRPC. For REST, ask http://{self._address}")
        if self._proxy:
            return _unreachable(self._address, f" through the proxy {self._proxy}")
        if "handshak" in details.lower() or "ssl" in details.lower():
            return RequestError(f"{self._address}: no TLS with it, or its certificate is not trusted: {details}")
        return _unreachable(self._address)

    def close(self) -> None:
        self._channel.close()


class _Rest:
    def __init__(self, address: str, host: str, model: str, version: int | None, tls: bool | str):
        import requests
        from requests import adapters

        self._session, self._errors = requests.Session(), requests.exceptions
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, adapters.HTTPAdapter(pool_maxsize=_MOST_THREADS))
        at = "" if version is None else f"/versions/{version}"
        name = urllib.parse.quote(model, safe="")
        self._address, self._url = address, f"{address.rstrip('/')}/v1/models/{name}{at}:predict"
        # Given with each request: the session's own would yield to what REQUESTS_CA_BUNDLE says.
        self._verify = tls if isinstance(tls, str) else True
        # As the environment has it, but to this machine no proxy leads.
        self._proxies = {"no_proxy": host} if _is_here(host) else {}

    def predict(self, signature: str, inputs: Mapping[str, Sequence[Any]], seconds: float) -> dict[str, np.ndarray]:
        plain = {name: values.tolist() if isinstance(values, np.ndarray) else values for name, values in inputs.items()}
        request = {"signature_name": signature, "inputs": plain}
        try:
            answer = self._session.post(
                self._url, json=request, timeout=seconds, verify=self._verify, proxies=self._proxies,
                allow_redirects=False,
            )  # fmt: skip
        except self._errors.RequestException as error:
            raise self._failure(error) from None
        if answer.status_code in _AGAIN:
            raise TryAgainError(f"{self._address}: HTTP {answer.status_code}: {_error_message(answer)}")
        if answer.status_code != 200:
            raise RequestError(f"{self._address}: HTTP {answer.status_code}: {_error_message(answer)}")
        try:
            return {name: _typed(values) for name, values in answer.json()["outputs"].items()}
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise RequestError(f"{self._address}: HTTP 200: {_NO_TF_SERVING}") from None

    def _failure(self, error: Exception) -> RequestError:
        if isinstance(error, self._errors.ProxyError):
            variables = " and ".join(name for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY") if _first_of(name))
            return TryAgainError(
                f"{self._address}: cannot be reached through the proxy that {variables or 'the system'} names. "
                f"Set NO_PROXY to go past it, or mend it"
            )
        if isinstance(error, self._errors.SSLError):
            return RequestError(f"{self._address}: no TLS with it, or its certificate is not trusted: {error}")
        if isinstance(error, self._errors.ReadTimeout):
            return _late(self._address)
        if isinstance(error, self._errors.ConnectionError | self._errors.ChunkedEncodingError):
            cause = " ".join(str(error).split())
            if "BadStatusLine" in cause:
                return RequestError(f"{self._address}: does not speak HTTP. For gRPC, leave http:// out")
            if "Connection aborted" in cause or "IncompleteRead" in cause or "Connection broken" in cause:
                return TryAgainError(f"{self._address}: the server ended the connection before its answer was whole")
            return _unreachable(self._address, ": there is no host of this name" if "resol" in cause else "")
        return RequestError(f"{self._address}: {error}")

    def close(self) -> None:
        self._session.close()


_NO_TF_SERVING = "this is no TF Serving"


def _error_message(answer: Any) -> str:
    """What a server says is wrong."""
    with contextlib.suppress(ValueError, KeyError, TypeError, RecursionError):
        return str(answer.json()["error"])
    return _NO_TF_SERVING


def _first_of(*variables: str) -> str:
    values = (os.environ.get(spelled) for name in variables for spelled in (name.lower(), name.upper()))
    return next(filter(None, values), "")


def _texts(values: np.ndarray) -> np.ndarray:
    """Bytes to texts, in an array of objects: of NumPy's own each would be as wide as the longest."""
    if values.dtype != object:
        return values
    texts = np.empty(values.size, object)
    texts[:] = [value.decode("utf-8", errors="replace") for value in values.ravel()]
    return texts.reshape(values.shape)


def _typed(values: list[Any]) -> np.ndarray:
    array = np.array(values)
    if array.dtype.kind == "U":
        return np.array(values, object)
    return array.astype(np.float32) if array.dtype == np.float64 else array


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
