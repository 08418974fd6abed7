"""Where a component works, if others have to see its files: on the volume, or where Beam's engine sees them."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator

import tensorflow as tf
from kfp.pipeline_spec import pipeline_spec_pb2

from pipeline import engines, nodes
from pipeline.configs import Config
from pipeline.kubeflow import checks


@contextlib.contextmanager
def on_volume(task: str, config: Config, invocation: pipeline_spec_pb2.ExecutorInput) -> Iterator[None]:
    """Lets TFX's InfraValidator work on the volume, from which another pod's TF Serving can read the model too.

    TFX works beside the file into which it writes its output; so that file is there for the time.
    """
    if task != "InfraValidator":
        yield
        return
    kept = invocation.outputs.output_file
    volume = config.kubeflow.volume
    assert volume is not None  # which `checks.check` demands for an InfraValidator
    folder = os.path.join(volume.path, "infra_validation", uuid.uuid4().hex)
    os.makedirs(folder)
    try:
        invocation.outputs.output_file = os.path.join(folder, "output.json")
        yield
        os.makedirs(os.path.dirname(kept), exist_ok=True)
        shutil.copyfile(invocation.outputs.output_file, kept)
        invocation.outputs.output_file = kept
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def has_engine(task: str, config: Config) -> bool:
    """Whether a task works on an engine whose workers do not see its container."""
    return task in nodes.ON_THE_ENGINE and engines.is_remote(config.beam)


@contextlib.contextmanager
def on_engine(task: str, config: Config, invocation: pipeline_spec_pb2.ExecutorInput) -> Iterator[dict[str, str]]:
    """Lets artifacts be where an engine's workers see them too, and not on this container's own paths alone.

    Args:
        task: the component.
        config: its settings; the copies are in `beam.exchange` for the time.
        invocation: its artifacts' URIs become those of copies.

    Yields:
        the outputs' local paths by the URIs of their copies; they are copied there at the end.
    """
    outputs: dict[str, str] = {}
    if not has_engine(task, config):
        yield outputs
        return
    folder = f"{checks.exchange(config).rstrip('/')}/{uuid.uuid4().hex}"
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
