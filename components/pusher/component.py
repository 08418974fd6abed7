"""TFX's Pusher, which puts the model's card into the pushed version as well."""

from __future__ import annotations

import json
import os
from typing import Any

import tensorflow as tf
from tfx.components.pusher import component, executor
from tfx.dsl.components.base import executor_spec
from tfx.proto import pusher_pb2
from tfx.types import artifact_utils, component_spec, standard_artifacts
from tfx.utils import proto_utils

from components.card.component import ModelCardArtifact
from components.component import Component
from components.pusher import push, versions
from word2vec import progress
from word2vec.warmup import EXTRA


class Executor(executor.Executor):
    """Pushes the model with its card."""

    def Do(self, input_dict: dict[str, Any], output_dict: dict[str, Any], exec_properties: dict[str, Any]) -> None:
        """See `tfx.components.pusher.executor.Executor.Do`.

        Raises:
            UserError: see `push.push`.
        """
        pushed = artifact_utils.get_single_instance(output_dict["pushed_model"])
        destination = proto_utils.json_to_proto(exec_properties["push_destination"], pusher_pb2.PushDestination())
        folder = destination.filesystem.base_directory
        if not self.CheckBlessing(input_dict):
            push.tidy(folder)
            self._MarkNotPushed(pushed)
            return
        card = artifact_utils.get_single_uri(input_dict["model_card"])
        files = push.files_of(self.GetModelPath(input_dict)) | push.files_of(card, below=EXTRA)
        for name, path in files.items():
            kept = os.path.join(pushed.uri, name)
            tf.io.gfile.makedirs(os.path.dirname(kept))
            tf.io.gfile.copy(path, kept, overwrite=True)
        if versions.was_withdrawn(folder, versions.identity(self.GetModelPath(input_dict))):
            progress.note(f"{folder}: this model was rolled back; it is not pushed again")
            self._MarkNotPushed(pushed)
            return
        version = push.push(files, folder)
        if keep := json.loads(exec_properties.get("custom_config") or "null"):
            push.prune(folder, keep["versions"])
        self._MarkPushed(pushed, pushed_destination=os.path.join(folder, version), pushed_version=version)


class PusherSpec(component_spec.ComponentSpec):
    """TFX's PusherSpec, and the card."""

    PARAMETERS = component.Pusher.SPEC_CLASS.PARAMETERS
    INPUTS = {
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "model_blessing": component_spec.ChannelParameter(type=standard_artifacts.ModelBlessing),
        "model_card": component_spec.ChannelParameter(type=ModelCardArtifact),
        "infra_blessing": component_spec.ChannelParameter(type=standard_artifacts.InfraBlessing, optional=True),
    }
    OUTPUTS = component.Pusher.SPEC_CLASS.OUTPUTS
    TYPE_ANNOTATION = component.Pusher.SPEC_CLASS.TYPE_ANNOTATION


class Pusher(Component):
    """Copies a blessed model to a new version folder, as TF Serving reads it, with its card in `assets.extra`.

    Args:
        model: what is pushed.
        model_blessing: if it is blessed.
        model_card: goes with it.
        infra_blessing: whether TF Serving loads it and answers; None if that was not tried.
        push_destination: the folder of the versions.
        custom_config: JSON; `versions` says how many stay, where nothing else removes old ones.
    """

    SPEC_CLASS = PusherSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)
