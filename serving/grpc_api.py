"""TF Serving's gRPC interface: Predict, GetModelMetadata and GetModelStatus."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf import message
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, model_pb2, predict_pb2

from serving.errors import ServingError, invalid, shortened
from serving.limits import Limits
from serving.versions import Version, Versions, most_values

_SIGNATURE_DEF = "signature_def"

_Method = Callable[[message.Message], Awaitable[message.Message]]


class Server:
    """A server with both of TF Serving's services. Classify, Regress and MultiInference are unimplemented.

    Args:
        versions: what is served.
        limits: of connections, times and sizes.
    """

    def __init__(self, versions: Versions, limits: Limits):
        self._limits, self._answering = limits, 0
        self._server = grpc.aio.server(options=_options(limits), maximum_concurrent_rpcs=limits.requests)
        service = _Service(versions)
        methods = {
            "PredictionService": [
                (service.predict, predict_pb2.PredictRequest),
                (service.get_model_metadata, get_model_metadata_pb2.GetModelMetadataRequest),
            ],
            "ModelService": [(service.get_model_status, get_model_status_pb2.GetModelStatusRequest)],
        }
        for name, members in methods.items():
            handlers = {
                kind.__name__.removesuffix("Request"): grpc.unary_unary_rpc_method_handler(
                    self._handler(method, kind, versions)
                )
                for method, kind in members
            }
            self._server.add_generic_rpc_handlers(
                [grpc.method_handlers_generic_handler(f"tensorflow.serving.{name}", handlers)]
            )

    def listen(self, address: str) -> int:
        """Binds to `host:port`; returns the port.

        Raises:
            RuntimeError: it cannot.
        """
        return self._server.add_insecure_port(address)

    async def start(self) -> None:
        """Starts to answer."""
        await self._server.start()

    async def stop(self) -> None:
        """Takes no more requests, answers those that it has, and waits for no slow client."""
        stopping = asyncio.create_task(self._server.stop(self._limits.grace))
        end = asyncio.get_running_loop().time() + self._limits.grace
        while self._answering and asyncio.get_running_loop().time() < end:
            await asyncio.sleep(0.05)
        await self._server.stop(self._limits.slow)
        await stopping

    def _handler(self, method: _Method, kind: type[message.Message], versions: Versions) -> Callable[..., Any]:
        """From bytes to bytes. Bytes that are no message are the client's error, which gRPC would take for ours."""

        async def handle(data: bytes, context: grpc.aio.ServicerContext) -> bytes:
            self._answering += 1
            try:
                request = await _parsed(data, kind, versions)
                return (await method(request)).SerializeToString()
            except ServingError as error:
                return await context.abort(error.code, error.message)
            except Exception as error:
                logging.exception("%s failed", kind.__name__)
                return await context.abort(grpc.StatusCode.INTERNAL, f"the server failed: {type(error).__name__}")
            finally:
                self._answering -= 1

        return handle


def _options(limits: Limits) -> list[tuple[str, int]]:
    return [
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", limits.bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_allowed_incoming_connections", limits.connections),
        ("grpc.max_concurrent_streams", limits.requests),
        ("grpc.server_handshake_timeout_ms", int(limits.header_seconds * 1000)),
        ("grpc.max_connection_idle_ms", int(limits.idle_seconds * 1000)),
        # Ends the connections of clients that take for ever to send a request.
        ("grpc.max_connection_age_ms", int(limits.age_seconds * 1000)),
        ("grpc.max_connection_age_grace_ms", int(limits.body_seconds * 1000)),
        ("grpc.keepalive_time_ms", int(limits.idle_seconds * 1000)),
        ("grpc.keepalive_timeout_ms", int(limits.header_seconds * 1000)),
    ]


async def _parsed(data: bytes, kind: type[message.Message], versions: Versions) -> Any:
    try:
        return await versions.build(len(data), kind.FromString, data)
    except message.DecodeError:
        raise invalid(f"not a {kind.__name__}: the message is malformed") from None


class _Service:
    """The methods of TF Serving's services that this server has."""

    def __init__(self, versions: Versions):
        self._versions = versions

    async def predict(self, request: predict_pb2.PredictRequest) -> predict_pb2.PredictResponse:
        """Runs a signature; `output_filter` names the outputs that are wanted, by default all."""
        spec = request.model_spec
        with self._versions.use(spec.name, number(spec)) as version:
            signature = spec.signature_name or tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY
            definition = version.signature(signature)
            inputs = {
                name: _array(value, name, definition.inputs[name].dtype if name in definition.inputs else value.dtype)
                for name, value in request.inputs.items()
            }
            outputs = await version.predict(signature, inputs)
            wanted = list(dict.fromkeys(request.output_filter)) or list(outputs)
            if unknown := set(wanted) - set(outputs):
                unknown_names = shortened(", ".join(sorted(unknown)))
                raise invalid(f"output_filter: no output {unknown_names}. There are {', '.join(outputs)}")
            spec = _spec(version, spec)
        answer = {name: outputs[name] for name in wanted}
        return await self._versions.build(sum(value.size for value in answer.values()), _response, spec, answer)

    async def get_model_metadata(
        self, request: get_model_metadata_pb2.GetModelMetadataRequest
    ) -> get_model_metadata_pb2.GetModelMetadataResponse:
        """The signatures, with their inputs and outputs."""
        if list(request.metadata_field) != [_SIGNATURE_DEF]:
            raise invalid(f"metadata_field: expected {_SIGNATURE_DEF}")
        with self._versions.use(request.model_spec.name, number(request.model_spec)) as version:
            return metadata(version, request.model_spec)

    async def get_model_status(
        self, request: get_model_status_pb2.GetModelStatusRequest
    ) -> get_model_status_pb2.GetModelStatusResponse:
        """The state of one version, or of all."""
        wanted = number(request.model_spec)
        with self._versions.use(request.model_spec.name, wanted):
            return status(self._versions, wanted)


def metadata(version: Version, spec: model_pb2.ModelSpec) -> get_model_metadata_pb2.GetModelMetadataResponse:
    """The answer of GetModelMetadata."""
    response = get_model_metadata_pb2.GetModelMetadataResponse(model_spec=_spec(version, spec))
    signatures = get_model_metadata_pb2.SignatureDefMap(signature_def=version.signature_defs)
    response.metadata[_SIGNATURE_DEF].Pack(signatures)
    return response


def status(versions: Versions, wanted: int | None) -> get_model_status_pb2.GetModelStatusResponse:
    """The answer of GetModelStatus; `wanted` is a version's number, or None for all."""
    response = get_model_status_pb2.GetModelStatusResponse()
    for version, state in sorted(versions.states().items(), reverse=True):
        if wanted in (None, version):
            one = response.model_version_status.add(version=version)
            one.state = get_model_status_pb2.ModelVersionStatus.State.Value(state)
            one.status.SetInParent()
    return response


def number(spec: model_pb2.ModelSpec) -> int | None:
    """The version that is asked for; None for the newest.

    Raises:
        ServingError: it is asked for by label.
    """
    if spec.WhichOneof("version_choice") == "version_label":
        raise no_labels(spec.version_label)
    return spec.version.value if spec.HasField("version") else None


def no_labels(label: str) -> ServingError:
    """A version is asked for by label."""
    return invalid(f'label "{shortened(label)}": this server has no labels. Leave it out for the newest version')


def _response(spec: model_pb2.ModelSpec, outputs: Mapping[str, np.ndarray]) -> predict_pb2.PredictResponse:
    response = predict_pb2.PredictResponse(model_spec=spec)
    for name, value in outputs.items():
        response.outputs[name].CopyFrom(tf.make_tensor_proto(value))
    return response


def _spec(version: Version, asked: model_pb2.ModelSpec) -> model_pb2.ModelSpec:
    spec = model_pb2.ModelSpec(name=asked.name, signature_name=asked.signature_name or "serving_default")
    spec.version.value = version.number
    return spec


def _array(value: Any, name: str, dtype: int) -> np.ndarray:
    """A tensor of a request as an array.

    Raises:
        ServingError: it is of another type than the signature takes, or says of itself what cannot be.
    """
    name = shortened(name)
    if value.dtype != dtype:
        raise invalid(f"input {name} is {_named(value.dtype)}, expected {_named(dtype)}")
    dimensions = [dimension.size for dimension in value.tensor_shape.dim]
    is_shape = (
        not value.tensor_shape.unknown_rank and len(dimensions) <= _MOST_DIMENSIONS and min(dimensions, default=0) >= 0
    )
    most = most_values(tf.as_dtype(dtype))
    if not is_shape or math.prod(dimensions) > most:
        raise invalid(f"input {name}: expected a tensor of at most {most:,} values")
    try:
        return tf.make_ndarray(value)
    except Exception as error:  # of whatever kind, it is a tensor that contradicts itself
        raise invalid(f"input {name}: not a tensor: {shortened(' '.join(str(error).split()), 200)}") from None


_MOST_DIMENSIONS = 8


def _named(dtype: int) -> str:
    try:
        return tf.as_dtype(dtype).name
    except TypeError:
        return f"of the type {dtype}, which there is not"
