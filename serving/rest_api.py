"""TF Serving's REST interface, and the page of `serving.local`."""

from __future__ import annotations

import asyncio
import base64
import binascii
import importlib.resources
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import numpy as np
from aiohttp import web
from google.protobuf import json_format
from plotly import offline
from tensorflow_serving.apis import get_model_metadata_pb2, model_pb2  # noqa: F401  (json_format needs the first)

from serving import grpc_api, word_map
from serving.errors import HTTP, ServingError, invalid
from serving.versions import Versions

_PAGE = importlib.resources.files("serving") / "page"
_MODEL = "/v1/models/{name:[^/:]+}"
_VERSIONS = (_MODEL, _MODEL + "/versions/{version:[0-9]+}")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def application(versions: Versions, *, map_words: int) -> web.Application:
    """The paths: TF Serving's below `/v1/models`, and the page at `/`."""
    api = _Api(versions, map_words)
    made = web.Application(client_max_size=grpc_api.MOST_BYTES, middlewares=[_says_why])
    for path in _VERSIONS:
        made.router.add_get(path, api.status)
        made.router.add_get(f"{path}/metadata", api.metadata)
        made.router.add_post(f"{path}:predict", api.predict)
    made.router.add_get("/", api.page)
    made.router.add_get("/map", api.map)
    made.router.add_get("/plotly.js", _plotly)
    for name in ("page.css", "page.js"):
        made.router.add_get(f"/{name}", _file(name))
    return made


@web.middleware
async def _says_why(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turns errors into `{"error": why}`."""
    try:
        return await handler(request)
    except ServingError as error:
        return web.json_response({"error": error.message}, status=HTTP[error.code])
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return web.json_response({"error": f"{request.method} {request.path}: {error.reason}"}, status=error.status)


class _Api:
    def __init__(self, versions: Versions, map_words: int):
        self._versions = versions
        self._map = word_map.WordMap(map_words)

    async def status(self, request: web.Request) -> web.Response:
        """GetModelStatus."""
        wanted = _number(request)
        with self._versions.use(request.match_info["name"], wanted):
            found = grpc_api.status(self._versions, wanted)
        states = [
            {
                "version": str(one.version),
                "state": type(one).State.Name(one.state),
                "status": {"error_code": "OK", "error_message": ""},
            }
            for one in found.model_version_status
        ]
        return web.json_response({"model_version_status": states})

    async def metadata(self, request: web.Request) -> web.Response:
        """GetModelMetadata."""
        name = request.match_info["name"]
        with self._versions.use(name, _number(request)) as version:
            found = grpc_api.metadata(version, model_pb2.ModelSpec(name=name))
        made = json_format.MessageToDict(
            found, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )
        return web.json_response(made)

    async def predict(self, request: web.Request) -> web.Response:
        """Predict: `{"instances": [...]}`, a row a question, or `{"inputs": {...}}`, a column an input."""
        with self._versions.use(request.match_info["name"], _number(request)) as version:
            asked = await _json(request)
            signature = asked.get("signature_name") or "serving_default"
            rows, columns = asked.get("instances"), asked.get("inputs")
            if (rows is None) == (columns is None):
                raise invalid('expected either "instances" or "inputs"')
            names = list(version.signature_defs[signature].inputs) if signature in version.signature_defs else []
            values = _columns_of_rows(rows, names) if columns is None else _columns(columns, names)
            outputs = await version.predict(signature, {name: _array(value, name) for name, value in values.items()})
            return web.json_response(_rows_of(outputs) if columns is None else _columns_of(outputs))

    async def page(self, request: web.Request) -> web.Response:
        """The page, with the model's name in it."""
        text = (_PAGE / "index.html").read_text(encoding="utf-8")
        return web.Response(text=text.replace("MODEL_NAME", self._versions.name), content_type="text/html")

    async def map(self, request: web.Request) -> web.Response:
        """Where the most frequent words are on the map of the newest version."""
        with self._versions.use(self._versions.name) as version:
            return web.json_response(await self._map.of(version))


def _number(request: web.Request) -> int | None:
    version = request.match_info.get("version")
    return None if version is None else int(version)


async def _json(request: web.Request) -> Mapping[str, Any]:
    try:
        found = json.loads(await request.read())
    except (ValueError, RecursionError) as error:
        raise invalid(f"not JSON: {error}") from None
    if not isinstance(found, dict):
        raise invalid("expected a JSON object")
    return found


def _columns_of_rows(rows: Any, names: list[str]) -> dict[str, list[Any]]:
    if not isinstance(rows, list):
        raise invalid('"instances": expected a list')
    if not all(_is_named(row) for row in rows):
        if len(names) > 1:
            raise invalid(f'"instances": expected objects with {", ".join(sorted(names))}')
        return {names[0] if names else "": rows}
    if len({frozenset(row) for row in rows}) > 1:
        raise invalid('"instances": expected the same names in each')
    return {name: [row[name] for row in rows] for name in (rows[0] if rows else names)}


def _columns(columns: Any, names: list[str]) -> Mapping[str, Any]:
    return columns if _is_named(columns) else {names[0] if names else "": columns}


def _is_named(value: Any) -> bool:
    return isinstance(value, dict) and set(value) != {"b64"}


def _array(value: Any, name: str) -> np.ndarray:
    """JSON to an array; texts become bytes, and so does `{"b64": ...}`."""
    flat = value if isinstance(value, list) else [value]
    if all(isinstance(one, bool | int | float) for one in flat):
        try:
            # No values are texts: numbers have defaults nowhere.
            return np.array(value if flat else [], np.float64 if flat else object)
        except (ValueError, OverflowError):
            raise invalid(f"input {name}: a number is too large") from None
    made = np.array([_bytes(one, name) for one in flat], object)
    return made if isinstance(value, list) else made.reshape(())


def _bytes(value: Any, name: str) -> bytes:
    if isinstance(value, str):
        return value.encode("utf-8", errors="replace")
    if isinstance(value, dict) and set(value) == {"b64"} and isinstance(value["b64"], str):
        try:
            return base64.b64decode(value["b64"], validate=True)
        except (binascii.Error, ValueError):
            raise invalid(f"input {name}: not base64") from None
    raise invalid(f"input {name}: expected texts or numbers in one list")


def _rows_of(outputs: Mapping[str, np.ndarray]) -> dict[str, Any]:
    columns = {name: _plain(value) for name, value in outputs.items()}
    if len(columns) == 1:
        return {"predictions": next(iter(columns.values()))}
    return {"predictions": [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]}


def _columns_of(outputs: Mapping[str, np.ndarray]) -> dict[str, Any]:
    columns = {name: _plain(value) for name, value in outputs.items()}
    return {"outputs": next(iter(columns.values())) if len(columns) == 1 else columns}


def _plain(value: np.ndarray) -> Any:
    return np.char.decode(value.astype(np.bytes_), "utf-8").tolist() if value.dtype == object else value.tolist()


async def _plotly(_: web.Request) -> web.Response:
    text = await asyncio.to_thread(offline.get_plotlyjs)
    return web.Response(text=text, content_type="text/javascript", headers={"Cache-Control": "max-age=86400"})


def _file(name: str) -> Handler:
    kind = "text/css" if name.endswith("css") else "text/javascript"

    async def send(_: web.Request) -> web.Response:
        return web.Response(text=(_PAGE / name).read_text(encoding="utf-8"), content_type=kind)

    return send
