"""TF Serving's REST interface, and the page of `serving.local`."""

from __future__ import annotations

import asyncio
import base64
import binascii
import html
import importlib.resources
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from aiohttp import http_exceptions, web
from google.protobuf import json_format
from plotly import offline
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import get_model_metadata_pb2, model_pb2  # noqa: F401  (json_format needs the first)

from serving import grpc_api, word_map
from serving.connections import Connections
from serving.errors import HTTP, ServingError, invalid, shortened
from serving.hosts import Hosts
from serving.versions import Versions
from word2vec import version_folders
from word2vec.errors import reason

_PAGE = importlib.resources.files("serving") / "page"
_MODEL = "/v1/models/{name:[^/:]+}"
_VERSIONS = (_MODEL, _MODEL + "/versions/{version:[0-9]+}", _MODEL + "/labels/{label:[^/:]+}")

# What a browser may do with what is sent: the page needs its own files, and Plotly styles. No other site may frame it.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "connect-src 'self'; img-src 'self' data: blob:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def application(versions: Versions, *, map_words: int, hosts: Hosts, most_bytes: int) -> web.Application:
    """The paths: TF Serving's below `/v1/models`, and the page at `/`.

    Args:
        versions: what is served.
        map_words: how many words are on the page's map.
        hosts: the names by which this server may be asked.
        most_bytes: of a request's body.
    """
    api = _Api(versions, map_words)
    app = web.Application(client_max_size=most_bytes, middlewares=[_framed, _says_why])
    app[_HOSTS] = hosts
    for path in _VERSIONS:
        app.router.add_get(path, api.status)
        app.router.add_get(f"{path}/metadata", api.metadata)
        app.router.add_post(f"{path}:predict", api.predict)
    app.router.add_get("/", api.page)
    app.router.add_get("/map", api.map)
    app.router.add_get("/plotly.js", _plotly)
    for name in ("page.css", "page.js"):
        app.router.add_get(f"/{name}", _file(name))
    return app


# Set once there are some; a server without does not end its clients' connections.
CONNECTIONS = web.AppKey("connections", list)
_HOSTS = web.AppKey("hosts", Hosts)


@web.middleware
async def _framed(request: web.Request, handler: Handler) -> web.StreamResponse:
    """What each request and each answer passes: the connection's clock, and the headers."""
    for connections in _connections(request):
        connections.started(request)
    try:
        answer = await handler(request)
    finally:
        for connections in _connections(request):
            connections.ended(request)
    answer.headers.update(_HEADERS)
    return answer


def _connections(request: web.Request) -> list[Connections]:
    return request.app.get(CONNECTIONS, [])


@web.middleware
async def _says_why(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turns errors into `{"error": why}`."""
    try:
        request.app[_HOSTS].check(request)
        return await handler(request)
    except ServingError as error:
        return web.json_response({"error": error.message}, status=HTTP[error.code])
    except web.HTTPException as error:
        if error.status < 400:
            raise
        message = f"{request.method} {shortened(request.path, 200)}: {error.reason}"
        headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
        return web.json_response({"error": message}, status=error.status, headers=headers)
    except ConnectionError:  # the client has gone
        raise
    except Exception as error:
        logging.exception("%s %s failed", request.method, shortened(request.path))
        return web.json_response({"error": f"the server failed: {type(error).__name__}"}, status=500)


class _Api:
    def __init__(self, versions: Versions, map_words: int):
        self._versions = versions
        self._map = word_map.WordMap(map_words)

    async def status(self, request: web.Request) -> web.Response:
        """GetModelStatus."""
        wanted = _number(request)
        with self._versions.use(request.match_info["name"], wanted):
            response = grpc_api.status(self._versions, wanted)
        states = [
            {
                "version": str(one.version),
                "state": type(one).State.Name(one.state),
                "status": {"error_code": "OK", "error_message": ""},
            }
            for one in response.model_version_status
        ]
        return web.json_response({"model_version_status": states})

    async def metadata(self, request: web.Request) -> web.Response:
        """GetModelMetadata."""
        name = request.match_info["name"]
        with self._versions.use(name, _number(request)) as version:
            response = grpc_api.metadata(version, model_pb2.ModelSpec(name=name))
        content = json_format.MessageToDict(
            response, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )
        return web.json_response(content)

    async def predict(self, request: web.Request) -> web.Response:
        """Predict: `{"instances": [...]}`, one row per question, or `{"inputs": {...}}`, one column per input."""
        wanted, body = _number(request), await _body(request)
        with self._versions.use(request.match_info["name"], wanted) as version:
            asked = await self._versions.build(len(body), _json, body)
            signature = _signature_name(asked)
            definition = version.signature(signature)
            inputs = await self._versions.build(len(body), _inputs, asked, definition)
            outputs = await version.predict(signature, inputs)
        form = _rows_of if "instances" in asked else _columns_of
        values = sum(value.size for value in outputs.values())
        answer = await self._versions.build(values, _encoded, form, outputs)
        return web.Response(body=answer, content_type="application/json", charset="utf-8")

    async def page(self, request: web.Request) -> web.Response:
        """The page, with the model's name in it."""
        text = (_PAGE / "index.html").read_text(encoding="utf-8")
        name = html.escape(self._versions.name, quote=True)
        return web.Response(text=text.replace("MODEL_NAME", name), content_type="text/html")

    async def map(self, request: web.Request) -> web.Response:
        """Where the most frequent words are on the map of the newest version."""
        for connections in _connections(request):
            connections.answering(request)
        with self._versions.use(self._versions.name) as version:
            return web.json_response(await self._map.of(version))


def _number(request: web.Request) -> int | None:
    """The version that the path names; None for the newest.

    Raises:
        ServingError: it is no number that a version can have, or a label.
    """
    if label := request.match_info.get("label"):
        raise grpc_api.no_labels(label)
    version = request.match_info.get("version")
    if version is None:
        return None
    number = version_folders.parse(version)
    if number is None:
        raise invalid(f"version {shortened(version)}: no number that a version can have")
    return number


async def _body(request: web.Request) -> bytes:
    try:
        body = await request.read()
    except (http_exceptions.HttpProcessingError, web.RequestPayloadError) as error:
        raise invalid(f"the body cannot be read: {shortened(reason(error), 200)}") from None
    for connections in _connections(request):
        connections.answering(request)
    return body


def _json(body: bytes) -> Mapping[str, Any]:
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise invalid(f"not JSON: {shortened(str(error), 200)}") from None
    if not isinstance(parsed, dict):
        raise invalid("expected a JSON object")
    return parsed


def _signature_name(asked: Mapping[str, Any]) -> str:
    name = asked.get("signature_name", "")
    if not isinstance(name, str):
        raise invalid('"signature_name": expected a text')
    return name or tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY


def _inputs(asked: Mapping[str, Any], definition: meta_graph_pb2.SignatureDef) -> Mapping[str, np.ndarray]:
    """A request's inputs, of the types that a signature takes.

    Raises:
        ServingError: they are others.
    """
    if ("instances" in asked) == ("inputs" in asked):
        raise invalid('expected either "instances" or "inputs"')
    names = list(definition.inputs)
    by_row = "instances" in asked
    values = _columns_of_rows(asked["instances"], names) if by_row else _columns(asked["inputs"], names)
    if unknown := set(values) - set(names):
        unknown_names = shortened(", ".join(sorted(unknown)) or "one without a name")
        raise invalid(f"no input {unknown_names}. The signature takes {', '.join(sorted(names))}")
    return {name: _array(value, name, tf.as_dtype(definition.inputs[name].dtype)) for name, value in values.items()}


def _columns_of_rows(rows: Any, names: list[str]) -> dict[str, list[Any]]:
    if not isinstance(rows, list):
        raise invalid('"instances": expected a list')
    if not all(_is_named(row) for row in rows):
        if len(names) > 1:
            raise invalid(f'"instances": expected objects with {", ".join(sorted(names))}')
        return {names[0]: rows}
    if len({frozenset(row) for row in rows}) > 1:
        raise invalid('"instances": expected the same names in each')
    return {name: [row[name] for row in rows] for name in (rows[0] if rows else names)}


def _columns(columns: Any, names: list[str]) -> Mapping[str, Any]:
    if _is_named(columns):
        return columns
    if len(names) > 1:
        raise invalid(f'"inputs": expected an object with {", ".join(sorted(names))}')
    return {names[0]: columns}


def _is_named(value: Any) -> bool:
    return isinstance(value, dict) and set(value) != {"b64"}


def _array(value: Any, name: str, dtype: tf.DType) -> np.ndarray:
    """JSON to an array; texts become bytes, and so does `{"b64": ...}`. Only vectors are a list of lists."""
    if dtype.is_floating:
        return _table(value, name, dtype)
    flat = value if isinstance(value, list) else [value]
    if dtype == tf.string:
        array = np.empty(len(flat), object)
        array[:] = [_bytes(one, name) for one in flat]
    else:
        array = np.array([_integer(one, name, dtype) for one in flat], dtype.as_numpy_dtype)
    return array if isinstance(value, list) else array.reshape(())


def _table(value: Any, name: str, dtype: tf.DType) -> np.ndarray:
    rows = value if isinstance(value, list) else [value]
    is_table = all(isinstance(row, list) and len(row) == len(rows[0]) for row in rows)
    if not is_table or not all(type(number) in (int, float) for row in rows for number in row):
        raise invalid(f"input {name}: expected a list of vectors, which are lists of as many numbers")
    try:
        return np.array(rows, dtype.as_numpy_dtype).reshape(len(rows), len(rows[0]) if rows else 0)
    except OverflowError:
        raise invalid(f"input {name}: a number is too large") from None


def _integer(value: Any, name: str, dtype: tf.DType) -> int:
    if type(value) is not int or not dtype.min <= value <= dtype.max:
        raise invalid(f"input {name}: expected whole numbers, {dtype.name}, in one list")
    return value


def _bytes(value: Any, name: str) -> bytes:
    if isinstance(value, str):
        try:
            return value.encode("utf-8")
        except UnicodeEncodeError:
            raise invalid(f"input {name}: half of a surrogate pair, which is no text") from None
    if isinstance(value, dict) and set(value) == {"b64"} and isinstance(value["b64"], str):
        try:
            return base64.b64decode(value["b64"], validate=True)
        except (binascii.Error, ValueError):
            raise invalid(f"input {name}: not base64") from None
    raise invalid(f"input {name}: expected texts in one list")


def _encoded(form: Callable[[Mapping[str, np.ndarray]], Any], outputs: Mapping[str, np.ndarray]) -> bytes:
    return json.dumps(form(outputs)).encode()


def _rows_of(outputs: Mapping[str, np.ndarray]) -> dict[str, Any]:
    columns = {name: _plain(value) for name, value in outputs.items()}
    if len(columns) == 1:
        return {"predictions": next(iter(columns.values()))}
    return {"predictions": [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]}


def _columns_of(outputs: Mapping[str, np.ndarray]) -> dict[str, Any]:
    columns = {name: _plain(value) for name, value in outputs.items()}
    return {"outputs": next(iter(columns.values())) if len(columns) == 1 else columns}


def _plain(value: np.ndarray) -> Any:
    if value.dtype != object:
        return value.tolist()
    # Not NumPy's texts: each of them is as wide as the longest.
    texts = np.empty(value.size, object)
    texts[:] = [one.decode("utf-8", errors="replace") for one in value.ravel()]
    return texts.reshape(value.shape).tolist()


async def _plotly(_: web.Request) -> web.Response:
    text = await asyncio.to_thread(offline.get_plotlyjs)
    return web.Response(text=text, content_type="text/javascript", headers={"Cache-Control": "max-age=86400"})


def _file(name: str) -> Handler:
    kind = "text/css" if name.endswith("css") else "text/javascript"

    async def send(_: web.Request) -> web.Response:
        return web.Response(text=(_PAGE / name).read_text(encoding="utf-8"), content_type=kind)

    return send
