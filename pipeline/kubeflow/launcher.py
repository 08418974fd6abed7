"""What runs in a component's container on Kubeflow Pipelines: TFX's executor, on the paths of KFP's launcher.

KFP's launcher downloads a component's inputs before it runs, and uploads its outputs after, from and to any object
store; in between, `minio://bucket/key` is the path `/minio/bucket/key`, and likewise for s3 and gs. TFX's own entry
point would open the URIs themselves. So they are rewritten to these paths before, and back to URIs after.

The pipeline is made anew from the settings that the task is told (`needs.py`), and TFX's entry point is given what its
compiler says of this component, and nothing that KFP adds of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import tensorflow as tf
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2
from tfx.orchestration.kubeflow.v2.container import kubeflow_v2_run_executor
from tfx.utils import path_utils

from components.pusher import versions
from pipeline import beam_workers, engines, layout, nodes
from pipeline.configs import Config
from pipeline.inputs import Fingerprints
from pipeline.kubeflow import compiler, needs, probes, volume
from word2vec.errors import UserError

# Where KFP's launcher keeps what is at a URI.
_MIRRORS = {"minio://": "/minio/", "s3://": "/s3/", "gs://": "/gcs/"}

# What KFP writes into the metadata of an artifact, beside what TFX wrote.
_KFPS_OWN = ("display_name", "store_session_info")

Json = dict[str, Any]


def main(arguments: list[str] | None = None) -> int:
    """Runs one component; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", required=True, help="the component's name in the pipeline")
    parser.add_argument("--settings", required=True, help="those on which it depends, in JSON")
    parser.add_argument("--note", help="for KFP's cache alone")
    parser.add_argument("--executor-input", required=True, help="KFP's ExecutorInput, in JSON")
    options = parser.parse_args(arguments)
    try:
        _run(options.task, json.loads(options.settings), options.executor_input)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def local_path(uri: str) -> str:
    """Where KFP's launcher keeps what is at a URI; other paths as they are."""
    for scheme, folder in _MIRRORS.items():
        if uri.startswith(scheme):
            return folder + uri.removeprefix(scheme)
    return uri


def remote_uri(path: str) -> str:
    """The inverse of `local_path`."""
    for scheme, folder in _MIRRORS.items():
        if path.startswith(folder):
            return scheme + path.removeprefix(folder)
    return path


def _run(task: str, settings: Json, executor_input: str) -> None:
    invocation = json_format.Parse(executor_input, pipeline_spec_pb2.ExecutorInput(), ignore_unknown_fields=True)
    inputs = json_format.MessageToDict(invocation.inputs).get("parameterValues", {})
    config, facts = needs.config_in_container(settings, inputs)
    checkpoints = _checkpoints(config)
    for folder in _written(task, config, checkpoints):
        volume.check_writable(folder, config.kubeflow.volume)
    component = _component(task, config, facts, checkpoints)
    wanted = _facts_wanted(task, invocation)
    _keep_declared(invocation, component)
    _localize(invocation)
    _complete(invocation, component.inputs)
    model = next((one.artifacts[0].uri for name, one in invocation.outputs.artifacts.items() if name == "model"), "")
    with _on_volume(task, config, invocation), _on_engine(task, config, invocation) as copies:
        _execute(task, component, invocation, config)
    _restore(invocation.outputs.output_file, copies)
    for path in wanted:
        probes.write_parameter(path, versions.identity(path_utils.serving_model_path(model)))


def _facts_wanted(task: str, invocation: pipeline_spec_pb2.ExecutorInput) -> list[str]:
    """The files for facts that others need of this task; the Trainer's alone has one, and KFP's own are passed over."""
    outputs = invocation.outputs.parameters.items()
    return [one.output_file for name, one in outputs if needs.Source(task, name) in needs.FACTS.values()]


def _checkpoints(config: Config) -> str:
    """Where the Trainer's are: on the volume, if there is one, on which they survive the container."""
    on = config.kubeflow.volume
    return os.path.join(on.path if on else tempfile.gettempdir(), layout.CHECKPOINTS, config.name)


def _written(task: str, config: Config, checkpoints: str) -> list[str]:
    """The folders outside the object store into which a task writes."""
    exchange = [config.beam.exchange] if _has_engine(task, config) else []
    return {
        "Trainer": [checkpoints],
        "Pusher": [config.destination],
        "InfraValidator": [config.kubeflow.volume.path] if config.kubeflow.volume else [],
    }.get(task, exchange)


def _component(task: str, config: Config, facts: Mapping[str, str], checkpoints: str) -> compiler.TfxComponent:
    spec = compiler.tfx_spec(
        config,
        fingerprints=Fingerprints(*(facts.get(f"{name}_fingerprint", "") for name in Fingerprints._fields)),
        pushed_version=facts.get("pushed_version", ""),
        checkpoints=checkpoints,
    )
    return compiler.TfxComponent.of(spec, task)


def _keep_declared(invocation: pipeline_spec_pb2.ExecutorInput, component: compiler.TfxComponent) -> None:
    """Replaces the parameters by TFX's, and drops whatever TFX's component does not know.

    KFP adds to a task's outputs what it wants to keep of it, as its logs.
    """
    for side, declared in (
        (invocation.inputs, component.inputs.get("artifacts", {})),
        (invocation.outputs, component.outputs),
    ):
        for name in set(side.artifacts) - set(declared):
            del side.artifacts[name]
    invocation.outputs.ClearField("parameters")
    invocation.inputs.ClearField("parameter_values")
    for name, value in component.parameters.items():
        json_format.ParseDict(value, invocation.inputs.parameter_values[name])


def _localize(invocation: pipeline_spec_pb2.ExecutorInput) -> None:
    """Rewrites artifacts' URIs to local paths."""
    for side in (invocation.inputs, invocation.outputs):
        for artifacts in side.artifacts.values():
            for artifact in artifacts.artifacts:
                artifact.uri = local_path(artifact.uri)


def _complete(invocation: pipeline_spec_pb2.ExecutorInput, inputs: Json) -> None:
    """Makes inputs again what TFX put out, and drops a baseline that is none."""
    for name, artifacts in list(invocation.inputs.artifacts.items()):
        for artifact in artifacts.artifacts:
            # KFP does not pass on what type the producer gave it.
            json_format.ParseDict(inputs["artifacts"][name]["artifactType"], artifact.type)
            metadata = _unwrapped(json_format.MessageToDict(artifact.metadata))
            artifact.metadata.Clear()
            json_format.ParseDict(metadata, artifact.metadata)
        if name == "baseline_model" and not any(_has_files(artifact.uri) for artifact in artifacts.artifacts):
            del invocation.inputs.artifacts[name]


def _unwrapped(metadata: Json) -> Json:
    """Metadata as it was before it went through KFP, which wraps lists and mappings and adds some of its own."""
    unwrapped = {}
    for key, value in metadata.items():
        if key in _KFPS_OWN:
            continue
        is_wrapped = isinstance(value, dict) and len(value) == 1 and next(iter(value)) in ("list", "struct")
        unwrapped[key] = next(iter(value.values())) if is_wrapped else value
    return unwrapped


def _has_files(folder: str) -> bool:
    return any(names for _, _, names in os.walk(folder))


@contextlib.contextmanager
def _on_volume(task: str, config: Config, invocation: pipeline_spec_pb2.ExecutorInput) -> Iterator[None]:
    """Lets TFX's InfraValidator work on the volume, from which another pod's TF Serving can read the model too.

    TFX works beside the file into which it writes its output; so that file is there for the time.
    """
    if task != "InfraValidator":
        yield
        return
    kept = invocation.outputs.output_file
    folder = os.path.join(config.kubeflow.volume.path, "infra_validation", uuid.uuid4().hex)
    os.makedirs(folder)
    try:
        invocation.outputs.output_file = os.path.join(folder, "output.json")
        yield
        os.makedirs(os.path.dirname(kept), exist_ok=True)
        shutil.copyfile(invocation.outputs.output_file, kept)
        invocation.outputs.output_file = kept
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _has_engine(task: str, config: Config) -> bool:
    return task in nodes.ON_THE_ENGINE and engines.is_remote(config.beam)


@contextlib.contextmanager
def _on_engine(task: str, config: Config, invocation: pipeline_spec_pb2.ExecutorInput) -> Iterator[dict[str, str]]:
    """Lets artifacts be where an engine's workers see them too, and not on this container's own paths alone.

    Args:
        task: the component.
        config: its settings; the copies are in `beam.exchange` for the time.
        invocation: its artifacts' URIs become those of copies.

    Yields:
        the outputs' local paths by the URIs of their copies; they are copied there at the end.
    """
    outputs: dict[str, str] = {}
    if not _has_engine(task, config):
        yield outputs
        return
    folder = f"{config.beam.exchange.rstrip('/')}/{uuid.uuid4().hex}"
    try:
        for side, artifacts in (("in", invocation.inputs.artifacts), ("out", invocation.outputs.artifacts)):
            for name, artifact_list in artifacts.items():
                for index, artifact in enumerate(artifact_list.artifacts):
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


def _execute(
    task: str, component: compiler.TfxComponent, invocation: pipeline_spec_pb2.ExecutorInput, config: Config
) -> None:
    options = argparse.Namespace(
        executor_class_path=component.executor,
        json_serialized_invocation_args=json_format.MessageToJson(invocation),
        json_serialized_inputs_spec_args=json.dumps(component.inputs),
    )
    beam_workers.register()
    kubeflow_v2_run_executor.main((options, engines.arguments(config.beam, text_bytes=0).of(task)))


def _restore(path: str, copies: Mapping[str, str]) -> None:
    """Puts URIs into the executor's output, which KFP reads: of the artifacts, and wherever metadata names one."""

    def outward(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: outward(part) for key, part in value.items()}
        if isinstance(value, list):
            return [outward(part) for part in value]
        if not isinstance(value, str):
            return value
        for there, here in copies.items():
            if f"{value}/".startswith(f"{there}/"):
                value = here + value[len(there) :]
        return remote_uri(value)

    with open(path, encoding="utf-8") as file:
        written = json.load(file)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(outward(written), file)


if __name__ == "__main__":
    sys.exit(main())
