"""KFP's ExecutorInput of a task, made into what TFX's entry point takes, and its output into what KFP takes.

KFP's launcher downloads a component's inputs before it runs, and uploads its outputs after, from and to any object
store; in between, `minio://bucket/key` is the path `/minio/bucket/key`, and likewise for s3 and gs. TFX's own entry
point would open the URIs themselves. So they are rewritten to these paths before, and back to URIs after.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from pipeline.kubeflow import needs, spec
from pipeline.kubeflow.compiler import TfxComponent
from pipeline.kubeflow.spec import Json

# Where KFP's launcher keeps what is at a URI.
MIRRORS = {"minio://": "/minio/", "s3://": "/s3/", "gs://": "/gcs/"}

# What KFP writes into the metadata of an artifact, beside what TFX wrote.
_KFPS_OWN = ("display_name", "store_session_info")


def local_path(uri: str) -> str:
    """Where KFP's launcher keeps what is at a URI; other paths as they are."""
    for scheme, folder in MIRRORS.items():
        if uri.startswith(scheme):
            return folder + uri.removeprefix(scheme)
    return uri


def remote_uri(path: str) -> str:
    """The inverse of `local_path`."""
    for scheme, folder in MIRRORS.items():
        if path.startswith(folder):
            return scheme + path.removeprefix(folder)
    return path


def facts_wanted(task: str, invocation: pipeline_spec_pb2.ExecutorInput) -> list[str]:
    """The files for facts that others need of this task; the Trainer's alone has one, and KFP's own are passed over."""
    outputs = invocation.outputs.parameters.items()
    return [one.output_file for name, one in outputs if needs.Source(task, name) in needs.FACTS.values()]


def keep_declared(invocation: pipeline_spec_pb2.ExecutorInput, component: TfxComponent) -> None:
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


def join_spans(invocation: pipeline_spec_pb2.ExecutorInput) -> None:
    """Makes one input of what the places of a window gave, without those that are empty; the URIs are local paths."""
    artifacts = invocation.inputs.artifacts
    if "examples" not in artifacts:
        return
    place, joined = 2, artifacts["examples"]
    while (name := spec.of_place("examples", place)) in artifacts:
        joined.artifacts.extend(artifacts[name].artifacts)
        del artifacts[name]
        place += 1
    if place > 2:
        full = [artifact for artifact in joined.artifacts if has_files(artifact.uri)]
        del joined.artifacts[:]
        joined.artifacts.extend(full)


def localize(invocation: pipeline_spec_pb2.ExecutorInput) -> None:
    """Rewrites artifacts' URIs to local paths."""
    for side in (invocation.inputs, invocation.outputs):
        for artifacts in side.artifacts.values():
            for artifact in artifacts.artifacts:
                artifact.uri = local_path(artifact.uri)


def complete(invocation: pipeline_spec_pb2.ExecutorInput, inputs: Json) -> None:
    """Makes inputs again what TFX put out, and drops an earlier model that is none."""
    for name, artifacts in list(invocation.inputs.artifacts.items()):
        for artifact in artifacts.artifacts:
            # KFP does not pass on what type the producer gave it.
            json_format.ParseDict(inputs["artifacts"][name]["artifactType"], artifact.type)
            metadata = unwrapped(json_format.MessageToDict(artifact.metadata))
            artifact.metadata.Clear()
            json_format.ParseDict(metadata, artifact.metadata)
        if name in ("baseline_model", "base_model") and not any(
            has_files(artifact.uri) for artifact in artifacts.artifacts
        ):
            del invocation.inputs.artifacts[name]


def unwrapped(metadata: Json) -> Json:
    """Metadata as it was before it went through KFP, which wraps lists and mappings and adds some of its own."""
    plain = {}
    for key, value in metadata.items():
        if key in _KFPS_OWN:
            continue
        is_wrapped = isinstance(value, dict) and len(value) == 1 and next(iter(value)) in ("list", "struct")
        plain[key] = next(iter(value.values())) if is_wrapped else value
    return plain


def has_files(folder: str) -> bool:
    """Whether there is anything in a folder."""
    return any(names for _, _, names in os.walk(folder))


def restore(path: str, copies: Mapping[str, str]) -> None:
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
