"""The baseline where there is no resolver: the last pushed model, found where models are pushed to."""

from __future__ import annotations

import os
from typing import Any

import tensorflow as tf
from absl import logging
from tfx.dsl.components.base import base_executor, executor_spec
from tfx.dsl.io import fileio
from tfx.types import artifact_utils, component_spec, standard_artifacts
from tfx.utils import io_utils, path_utils

from components.component import Component

_MARK = "saved_model.pb"  # the last file that a push writes


class Executor(base_executor.BaseExecutor):
    """Copies the newest version; leaves the artifact without files where there is none."""

    def Do(self, input_dict: dict[str, Any], output_dict: dict[str, Any], exec_properties: dict[str, Any]) -> None:
        """See `tfx.dsl.components.base.base_executor.BaseExecutor.Do`."""
        model = artifact_utils.get_single_instance(output_dict["model"])
        fileio.makedirs(model.uri)
        newest = _newest(exec_properties["folder"])
        if newest is None:
            logging.info("No model has been pushed to %s yet: no baseline.", exec_properties["folder"])
            return
        io_utils.copy_dir(newest, path_utils.serving_model_path(model.uri))
        model.set_string_custom_property("pushed_version", os.path.basename(newest))


class LastPushedSpec(component_spec.ComponentSpec):
    """What LastPushed takes and gives."""

    PARAMETERS = {"folder": component_spec.ExecutionParameter(type=str)}
    INPUTS: dict[str, component_spec.ChannelParameter] = {}
    OUTPUTS = {"model": component_spec.ChannelParameter(type=standard_artifacts.Model)}


class LastPushed(Component):
    """Finds the newest version; all that was pushed has been blessed.

    Args:
        folder: of the versions.
    """

    SPEC_CLASS = LastPushedSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)


def _newest(folder: str) -> str | None:
    if not tf.io.gfile.isdir(folder):
        return None
    names = (name.rstrip("/") for name in tf.io.gfile.listdir(folder))
    numbers = [
        int(name) for name in names if name.isdecimal() and tf.io.gfile.exists(os.path.join(folder, name, _MARK))
    ]
    return os.path.join(folder, str(max(numbers))) if numbers else None
