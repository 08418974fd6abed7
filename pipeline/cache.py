"""The local runs' cache: TFX's own knows artifacts by their absolute paths, and answers with what is not there."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from google.protobuf import message
from ml_metadata.proto import metadata_store_pb2 as mlmd
from tfx import types
from tfx.orchestration import data_types_utils, metadata
from tfx.orchestration.portable import execution_publish_utils, inputs_utils
from tfx.orchestration.portable.mlmd import context_lib, execution_lib
from tfx.proto.orchestration import pipeline_pb2
from tfx.types import standard_artifacts

from components import artifacts
from components.pusher import push
from pipeline import nodes
from word2vec import progress

_Outputs = dict[str, list[types.Artifact]]


class Cache:
    """Answers for a component that has done the same before, if all that it made is still there.

    Args:
        handle: of the metadata, connected.
        run_folder: makes no difference for what comes out, so that a folder that was moved keeps its cache.
    """

    def __init__(self, handle: metadata.Metadata, run_folder: str):
        self._handle, self._run_folder = handle, run_folder

    def answer(self, node: pipeline_pb2.PipelineNode, executor: message.Message) -> int | None:
        """Records an execution that is answered, and returns its id; None if the component has to do its work.

        Then the node's execution will be found under its key from now on, instead of TFX's.
        """
        options = node.execution_options.caching_options
        is_wanted, options.enable_cache = options.enable_cache, False
        inputs = inputs_utils.resolve_input_artifacts(pipeline_node=node, metadata_handle=self._handle)
        if len(inputs) != 1:  # nothing to run, or what TFX has an error for
            return None
        parameters = data_types_utils.build_parsed_value_dict(
            inputs_utils.resolve_parameters_with_schema(node_parameters=node.parameters)
        )
        context = node.contexts.contexts.add()
        context.type.name = context_lib.CONTEXT_TYPE_EXECUTION_CACHE
        context.name.field_value.string_value = key_of(node, executor, inputs[0], parameters, self._run_folder)
        outputs = self._find(node, context.name.field_value.string_value) if is_wanted else None
        if outputs is None:
            return None
        contexts = context_lib.prepare_contexts(metadata_handle=self._handle, node_contexts=node.contexts)
        execution = execution_publish_utils.register_execution(
            metadata_handle=self._handle,
            execution_type=node.node_info.type,
            contexts=contexts,
            input_artifacts=inputs[0],
            exec_properties=parameters,
        )
        execution_publish_utils.publish_cached_executions(
            metadata_handle=self._handle,
            contexts=contexts,
            executions=[execution],
            output_artifacts_maps=[outputs],
        )
        return execution.id

    def _find(self, node: pipeline_pb2.PipelineNode, key: str) -> _Outputs | None:
        """The outputs of the newest execution with this key of which all is there."""
        context = self._handle.store.get_context_by_type_and_name(context_lib.CONTEXT_TYPE_EXECUTION_CACHE, key)
        if context is None:
            return None
        before = filter(execution_lib.is_execution_successful, self._handle.store.get_executions_by_context(context.id))
        lacking = []
        for execution in execution_lib.sort_executions_newest_to_oldest(before):
            outputs = execution_lib.get_output_artifacts(self._handle, execution.id)
            damage = next(
                filter(None, (_damage(artifact) for channel in outputs.values() for artifact in channel)), None
            )
            if damage is None and set(outputs) == set(node.outputs.outputs):
                return outputs
            lacking += [damage] if damage else []
        if lacking:
            progress.note(f"what {node.node_info.id} made before is not whole: {lacking[0]}; it is made again")
        return None


def key_of(
    node: pipeline_pb2.PipelineNode,
    executor: message.Message,
    inputs: _Outputs,
    parameters: dict[str, Any],
    run_folder: str,
) -> str:
    """Of all on which a component's outputs depend; an artifact's id stands for it, for none changes once published.

    Args:
        node: the component.
        executor: what runs it.
        inputs: its artifacts by key.
        parameters: their values by name.
        run_folder: left out of them.
    """
    escaped, component = json.dumps(run_folder)[1:-1], node.node_info.id
    known = {
        "inputs": {name: [artifact.id for artifact in channel] for name, channel in inputs.items()},
        "parameters": {
            name: str(value).replace(f"{run_folder}/", "").replace(f"{escaped}/", "")
            for name, value in parameters.items()
        },
        "component": node.node_info.SerializeToString(deterministic=True).hex(),
        "code": nodes.code_of(component) if component in nodes.OF else None,
        "executor": executor.SerializeToString(deterministic=True).hex(),
        "outputs": node.outputs.SerializeToString(deterministic=True).hex(),
    }
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()


def _damage(artifact: types.Artifact) -> str | None:
    """What is missing of an artifact, or of what was made elsewhere with it."""
    if artifact.mlmd_artifact.state != mlmd.Artifact.LIVE:
        return f"{artifact.uri} (it was removed)"
    if damage := artifacts.damage(artifact.mlmd_artifact):
        return f"{artifact.uri} ({damage})"
    if isinstance(artifact, standard_artifacts.PushedModel) and artifact.get_int_custom_property("pushed"):
        version = artifact.get_string_custom_property("pushed_destination")
        if not push.is_pushed(push.files_of(artifact.uri), version):
            return f"{version} (its files are gone, or others)"
    return None
