"""TF Serving's gRPC interface: Predict, GetModelMetadata and GetModelStatus."""

from __future__ import annotations

import functools
import math
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import tensorflow as tf
from google.protobuf import message
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from serving.errors import ServingError, invalid
from serving.versions import MOST_ROWS, Version, Versions

# Of a request and of an answer.
MOST_BYTES = 64 * 1024 * 1024

_SIGNATURE_DEF = "signature_def"


def server(versions: Versions) -> grpc.aio.Server:
    """A server with both of TF Serving's services."""
    options = [("grpc.max_receive_message_length", MOST_BYTES), ("grpc.max_send_message_length", -1)]
    made = grpc.aio.server(options=[*options, ("grpc.so_reuseport", 0)])
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(PredictionService(versions), made)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(versions), made)
    return made


def _says_why(method: Callable[..., Awaitable[message.Message]]) -> Callable[..., Awaitable[message.Message]]:
    """Turns errors into gRPC's status."""

    @functools.wraps(method)
    async def wrapped(self: Any, request: message.Message, context: grpc.aio.ServicerContext) -> message.Message:
        try:
            return await method(self, request, context)
        except ServingError as error:
            return await context.abort(error.code, error.message)

    return wrapped


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Answers questions, and says which there are. Classify, Regress and MultiInference are unimplemented."""

    def __init__(self, versions: Versions):
        self._versions = versions

    @_says_why
    async def Predict(
        self, request: predict_pb2.PredictRequest, context: grpc.aio.ServicerContext
    ) -> predict_pb2.PredictResponse:
        """Runs a signature; `output_filter` names the outputs that are wanted, by default all."""
        spec = request.model_spec
        with self._versions.use(spec.name, number(spec)) as version:
            inputs = {name: _array(value, name) for name, value in request.inputs.items()}
            outputs = await version.predict(spec.signature_name, inputs)
            wanted = list(request.output_filter) or list(outputs)
            if unknown := set(wanted) - set(outputs):
                raise invalid(f"output_filter: no output {', '.join(sorted(unknown))}. There are {', '.join(outputs)}")
            answer = predict_pb2.PredictResponse(model_spec=_spec(version, spec))
            for name in wanted:
                answer.outputs[name].CopyFrom(tf.make_tensor_proto(outputs[name]))
            return answer

    @_says_why
    async def GetModelMetadata(
        self, request: get_model_metadata_pb2.GetModelMetadataRequest, context: grpc.aio.ServicerContext
    ) -> get_model_metadata_pb2.GetModelMetadataResponse:
        """The signatures, with their inputs and outputs."""
        if list(request.metadata_field) != [_SIGNATURE_DEF]:
            raise invalid(f"metadata_field: expected {_SIGNATURE_DEF}")
        with self._versions.use(request.model_spec.name, number(request.model_spec)) as version:
            return metadata(version, request.model_spec)


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """Says which versions are loaded."""

    def __init__(self, versions: Versions):
        self._versions = versions

    @_says_why
    async def GetModelStatus(
        self, request: get_model_status_pb2.GetModelStatusRequest, context: grpc.aio.ServicerContext
    ) -> get_model_status_pb2.GetModelStatusResponse:
        """The state of one version, or of all."""
        wanted = number(request.model_spec)
        with self._versions.use(request.model_spec.name, wanted):
            return status(self._versions, wanted)


def metadata(version: Version, spec: model_pb2.ModelSpec) -> get_model_metadata_pb2.GetModelMetadataResponse:
    """The answer of GetModelMetadata."""
    made = get_model_metadata_pb2.GetModelMetadataResponse(model_spec=_spec(version, spec))
    signatures = get_model_metadata_pb2.SignatureDefMap(signature_def=version.signature_defs)
    made.metadata[_SIGNATURE_DEF].Pack(signatures)
    return made


def status(versions: Versions, wanted: int | None) -> get_model_status_pb2.GetModelStatusResponse:
    """The answer of GetModelStatus; `wanted` is a version's number, or None for all."""
    made = get_model_status_pb2.GetModelStatusResponse()
    for found, state in sorted(versions.states().items(), reverse=True):
        if wanted in (None, found):
            one = made.model_version_status.add(version=found)
            one.state = get_model_status_pb2.ModelVersionStatus.State.Value(state)
            one.status.SetInParent()
    return made


def number(spec: model_pb2.ModelSpec) -> int | None:
    """The version that is asked for; None for the newest.

    Raises:
        ServingError: it is asked for by label.
    """
    if spec.WhichOneof("version_choice") == "version_label":
        raise invalid(f'label "{spec.version_label}": this server has no labels. Leave it out for the newest version')
    return spec.version.value if spec.HasField("version") else None


def _spec(version: Version, asked: model_pb2.ModelSpec) -> model_pb2.ModelSpec:
    made = model_pb2.ModelSpec(name=asked.name, signature_name=asked.signature_name or "serving_default")
    made.version.value = version.number
    return made


def _array(value: Any, name: str) -> Any:
    size = math.prod(dimension.size for dimension in value.tensor_shape.dim)
    if value.tensor_shape.unknown_rank or not 0 <= size <= MOST_ROWS:
        raise invalid(f"input {name}: expected a tensor of at most {MOST_ROWS:,} values")
    try:
        array = tf.make_ndarray(value)
    except (TypeError, ValueError, AttributeError) as error:
        raise invalid(f"input {name}: not a tensor: {error}") from None
    return array
