"""What runs in a component's container on Kubeflow Pipelines: TFX's executor, on the paths of KFP's launcher.

KFP's launcher downloads a component's inputs before it runs, and uploads its outputs after, from and to any object
store; in between, `minio://bucket/key` is the path `/minio/bucket/key`, and likewise for s3 and gs. TFX's own entry
point would open the URIs themselves. So they are rewritten to these paths before, and back to URIs after.

The parameters of the run that this component depends on are put over the settings with which the pipeline was compiled;
then the pipeline is made anew from them, for what this component is to do.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import tempfile
import uuid
from collections.abc import Iterator
from typing import Any

import tensorflow as tf
from google.protobuf import json_format, struct_pb2
from kfp.pipeline_spec import pipeline_spec_pb2
from tfx.orchestration.kubeflow.v2.container import kubeflow_v2_run_executor

from components import files
from components.errors import UserError
from pipeline import config_files, engines
from pipeline.configs import Config
from pipeline.kubeflow import compiler

# Where the launcher's paths begin, so that a rehearsal can have its own.
MIRROR = "TFX_WORD2VEC_MIRROR"
_SCHEMES = {"minio://": "minio/", "s3://": "s3/", "gs://": "gcs/"}


def main(arguments: list[str] | None = None) -> int:
    """Runs one component; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--node", required=True, help="the component's name in the pipeline")
    parser.add_argument("--settings", required=True, help="those of the compilation, in JSON")
    parser.add_argument("--executor_class_path", required=True)
    parser.add_argument("--json_serialized_invocation_args", required=True, help="KFP's ExecutorInput")
    parser.add_argument("--json_serialized_inputs_spec_args", required=True, help="KFP's ComponentInputsSpec")
    options, _ = parser.parse_known_args(arguments)  # Beam's options are made anew, for they have paths of this machine
    try:
        _run(options)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def local_path(uri: str) -> str:
    """Where KFP's launcher keeps what is at a URI; other paths as they are."""
    for scheme, folder in _SCHEMES.items():
        if uri.startswith(scheme):
            return os.path.join(os.environ.get(MIRROR, "/"), folder, uri.removeprefix(scheme))
    return uri


def _run(options: argparse.Namespace) -> None:
    invocation = json_format.Parse(
        options.json_serialized_invocation_args, pipeline_spec_pb2.ExecutorInput(), ignore_unknown_fields=True
    )
    inputs_spec = json_format.Parse(options.json_serialized_inputs_spec_args, pipeline_spec_pb2.ComponentInputsSpec())
    config = _put_parameters(invocation, options.node, json.loads(options.settings))
    uris = _localize(invocation)
    _complete(invocation, inputs_spec)
    beam_arguments = engines.arguments(config.beam, text_bytes=0).of(options.node)
    is_shared = options.node in engines.COMPONENTS and engines.is_remote(config.beam)
    with _shared(invocation, config.beam.exchange) if is_shared else contextlib.nullcontext({}) as shared:
        options.json_serialized_invocation_args = json_format.MessageToJson(invocation)
        kubeflow_v2_run_executor.main((options, beam_arguments))
    _restore(invocation.outputs.output_file, uris | {there: uris[here] for there, here in shared.items()})


def _put_parameters(invocation: pipeline_spec_pb2.ExecutorInput, node: str, settings: dict[str, Any]) -> Config:
    """Replaces the component's parameters by those of the settings, with the parameters of the run on top of them.

    Returns these settings.
    """
    values, given = dict(settings), invocation.inputs.parameter_values
    for key in settings["kubeflow"]["parameters"]:
        name = compiler.parameter_name(key)
        if name in given:
            values[key] = _plain(given[name])
            del given[name]
    config = config_files.load(None, values=values)
    fingerprint = ""
    if node in ("ExampleGen", "ModelCard"):
        fingerprint = files.fingerprint(files.find(config.corpus.paths, config.corpus.form, config.corpus.compression))
    volume = config.kubeflow.volume  # on which checkpoints survive the container
    checkpoints = os.path.join(volume.path if volume else tempfile.gettempdir(), "checkpoints", config.name)
    spec = compiler.tfx_spec(config, corpus_fingerprint=fingerprint, checkpoints=checkpoints)
    for name, value in spec["root"]["dag"]["tasks"][node].get("inputs", {}).get("parameters", {}).items():
        json_format.ParseDict(value["runtimeValue"]["constant"], given[name])
    return config


def _plain(value: struct_pb2.Value) -> Any:
    """As Python has it; numbers without a fraction as integers."""
    found = json_format.MessageToDict(value)
    return int(found) if isinstance(found, float) and found.is_integer() else found


def _localize(invocation: pipeline_spec_pb2.ExecutorInput) -> dict[str, str]:
    """Rewrites artifacts' URIs to local paths; returns the URIs of the outputs by path."""
    uris = {}
    for side in (invocation.inputs, invocation.outputs):
        for artifacts in side.artifacts.values():
            for artifact in artifacts.artifacts:
                path = local_path(artifact.uri)
                if side is invocation.outputs:
                    uris[path] = artifact.uri
                artifact.uri = path
    return uris


@contextlib.contextmanager
def _shared(invocation: pipeline_spec_pb2.ExecutorInput, exchange: str) -> Iterator[dict[str, str]]:
    """Lets the artifacts be where an engine's workers see them too, and not on this container's own paths alone.

    Args:
        invocation: its artifacts' URIs become those of copies.
        exchange: a folder on a volume, or a URI, in which the copies are for the time.

    Yields:
        the outputs' local paths by the URIs of their copies; they are copied there at the end.
    """
    folder = f"{exchange.rstrip('/')}/{uuid.uuid4().hex}"
    outputs = {}
    try:
        for side, artifacts in (("in", invocation.inputs.artifacts), ("out", invocation.outputs.artifacts)):
            for name, found in artifacts.items():
                for index, artifact in enumerate(found.artifacts):
                    here, artifact.uri = artifact.uri, f"{folder}/{side}/{name}/{index}"
                    if side == "in":
                        _copy(here, artifact.uri)
                    else:
                        outputs[artifact.uri] = here
        yield outputs
        for there, here in outputs.items():
            _copy(there, here)
    finally:
        if tf.io.gfile.exists(folder):
            tf.io.gfile.rmtree(folder)


def _copy(source: str, destination: str) -> None:
    for folder, _, names in tf.io.gfile.walk(source):
        into = destination + folder[len(source) :].rstrip("/")
        tf.io.gfile.makedirs(into)
        for name in names:
            tf.io.gfile.copy(f"{folder.rstrip('/')}/{name}", f"{into}/{name}", overwrite=True)


def _complete(invocation: pipeline_spec_pb2.ExecutorInput, inputs_spec: pipeline_spec_pb2.ComponentInputsSpec) -> None:
    """Gives inputs the types of their channels, which KFP does not pass on, and drops a baseline that is none."""
    for name, artifacts in invocation.inputs.artifacts.items():
        for artifact in artifacts.artifacts:
            artifact.type.CopyFrom(inputs_spec.artifacts[name].artifact_type)
    for name, artifacts in list(invocation.inputs.artifacts.items()):
        if name == "baseline_model" and not any(_has_files(artifact.uri) for artifact in artifacts.artifacts):
            del invocation.inputs.artifacts[name]


def _has_files(folder: str) -> bool:
    return any(names for _, _, names in os.walk(folder))


def _restore(path: str, uris: dict[str, str]) -> None:
    """Puts URIs back into the executor's output, which KFP reads."""
    with open(path, encoding="utf-8") as file:
        output = json_format.Parse(file.read(), pipeline_spec_pb2.ExecutorOutput(), ignore_unknown_fields=True)
    for artifacts in output.artifacts.values():
        for artifact in artifacts.artifacts:
            artifact.uri = uris.get(artifact.uri, artifact.uri)
    with open(path, "w", encoding="utf-8") as file:
        file.write(json_format.MessageToJson(output))


if __name__ == "__main__":
    sys.exit(main())
