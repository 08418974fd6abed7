"""The baseline where there is no resolver: a pushed model, found where models are pushed to."""

from __future__ import annotations

import os
from typing import Any

from absl import logging
from tfx.dsl.components.base import base_executor, executor_spec
from tfx.dsl.io import fileio
from tfx.types import artifact_utils, component_spec, standard_artifacts
from tfx.utils import io_utils, path_utils

from components.component import Component
from components.pusher import versions
from word2vec.errors import UserError


class Executor(base_executor.BaseExecutor):
    """Copies a version; leaves the artifact without files where there is none."""

    def Do(self, input_dict: dict[str, Any], output_dict: dict[str, Any], exec_properties: dict[str, Any]) -> None:
        """See `tfx.dsl.components.base.base_executor.BaseExecutor.Do`.

        Raises:
            UserError: the version is no longer there.
        """
        model = artifact_utils.get_single_instance(output_dict["model"])
        fileio.makedirs(model.uri)
        folder, version = exec_properties["folder"], exec_properties["version"]
        if not version:
            logging.info("Nothing but this model has been pushed to %s yet: no baseline.", folder)
            return
        pushed = os.path.join(folder, version)
        if not versions.is_finished(pushed):
            raise UserError(f"{pushed}: the version that was to be the baseline is gone. Start the run again")
        io_utils.copy_dir(pushed, path_utils.serving_model_path(model.uri))
        model.set_string_custom_property("pushed_version", version)


class LastPushedSpec(component_spec.ComponentSpec):
    """What LastPushed takes and gives."""

    PARAMETERS = {
        "folder": component_spec.ExecutionParameter(type=str),
        "version": component_spec.ExecutionParameter(type=str),
    }
    INPUTS: dict[str, component_spec.ChannelParameter] = {}
    OUTPUTS = {"model": component_spec.ChannelParameter(type=standard_artifacts.Model)}


class LastPushed(Component):
    """Takes a version as a model; all that was pushed has been blessed.

    Args:
        folder: of the versions.
        version: which one, as `versions.newest_other` finds it; empty for none.
    """

    SPEC_CLASS = LastPushedSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)
