"""Runs a pipeline on this machine, component by component, and tells an observer how it goes."""

from __future__ import annotations

import dataclasses
import datetime
import json
import os
import time
from typing import Any, Protocol

from ml_metadata.proto import metadata_store_pb2
from tfx import types
from tfx.dsl.compiler import constants
from tfx.orchestration import metadata
from tfx.orchestration.local import runner_utils
from tfx.orchestration.portable import launcher, runtime_parameter_utils, tfx_runner
from tfx.proto.orchestration import pipeline_pb2
from tfx.types import artifact_utils


@dataclasses.dataclass(frozen=True)
class ComponentRun:
    """How a component ended: its name, its time, whether the cache answered, and its output artifacts by key."""

    component: str
    seconds: float
    cached: bool
    outputs: dict[str, list[types.Artifact]]


class Observer(Protocol):
    """Hears of every component as it starts and ends."""

    def started(self, component: str) -> None:
        """A component starts."""

    def ended(self, run: ComponentRun) -> None:
        """A component has ended."""


class LocalRunner(tfx_runner.IrBasedRunner):
    """TFX's LocalDagRunner, with an observer, and with the component runs at hand afterwards.

    Args:
        observer: hears of every component.
        durations: a file in which it keeps how many seconds each component took when it last did its work.
    """

    def __init__(self, observer: Observer, durations: str):
        self._observer, self._durations = observer, durations
        self.runs: dict[str, ComponentRun] = {}

    def run_with_ir(self, pipeline: pipeline_pb2.Pipeline, run_options: Any = None) -> None:
        """Runs the components in their order, each in this process.

        Raises:
            Exception: whatever a component's executor raised; nothing of that component is published then.
        """
        del run_options
        runtime_parameter_utils.substitute_runtime_parameter(
            pipeline, {constants.PIPELINE_RUN_ID_PARAMETER_NAME: datetime.datetime.now().isoformat()}
        )
        deployment = runner_utils.extract_local_deployment_config(pipeline)
        connection = getattr(
            deployment.metadata_connection_config, deployment.metadata_connection_config.WhichOneof("connection_config")
        )
        for node in pipeline.nodes:
            name = node.pipeline_node.node_info.id
            executor = runner_utils.extract_executor_spec(deployment, name)
            if executor is not None:  # a resolver has none, and nothing to tell
                self._observer.started(name)
            started = time.perf_counter()
            execution = launcher.Launcher(
                pipeline_node=node.pipeline_node,
                mlmd_connection=metadata.Metadata(connection),
                pipeline_info=pipeline.pipeline_info,
                pipeline_runtime_spec=pipeline.runtime_spec,
                executor_spec=executor,
                custom_driver_spec=runner_utils.extract_custom_driver_spec(deployment, name),
            ).launch()
            cached, outputs = _published(connection, execution.execution_id)
            self.runs[name] = ComponentRun(name, time.perf_counter() - started, cached, outputs)
            if executor is not None:
                self._observer.ended(self.runs[name])
                self._keep_duration(self.runs[name])

    def _keep_duration(self, run: ComponentRun) -> None:
        if run.cached:
            return
        seconds = {}
        if os.path.exists(self._durations):
            with open(self._durations, encoding="utf-8") as file:
                seconds = json.load(file)
        seconds[run.component] = round(run.seconds, 3)
        beside = f"{self._durations}.new"
        with open(beside, "w", encoding="utf-8") as file:
            json.dump(seconds, file)
        os.replace(beside, self._durations)


def _published(connection: Any, execution_id: int) -> tuple[bool, dict[str, list[types.Artifact]]]:
    """Whether the cache answered an execution, and what it put out, as ML Metadata has them."""
    with metadata.Metadata(connection) as handle:
        store = handle.store
        (execution,) = store.get_executions_by_id([execution_id])
        events = [
            event
            for event in store.get_events_by_execution_ids([execution_id])
            if event.type == metadata_store_pb2.Event.OUTPUT
        ]
        artifacts = {
            artifact.id: artifact for artifact in store.get_artifacts_by_id([event.artifact_id for event in events])
        }
        kinds = {kind.id: kind for kind in store.get_artifact_types()}
    outputs: dict[str, list[types.Artifact]] = {}
    for event in events:
        artifact = artifacts[event.artifact_id]
        key = next(step.key for step in event.path.steps if step.HasField("key"))
        outputs.setdefault(key, []).append(artifact_utils.deserialize_artifact(kinds[artifact.type_id], artifact))
    return execution.last_known_state == metadata_store_pb2.Execution.CACHED, outputs
