"""Runs a pipeline on this machine, component by component, and tells an observer how it goes."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import json
import logging
import os
import time
from collections.abc import Mapping
from typing import Any, Protocol

import absl.logging
from google.protobuf import message
from ml_metadata.proto import metadata_store_pb2
from tfx import types
from tfx.dsl.compiler import compiler, constants
from tfx.orchestration import metadata
from tfx.orchestration import pipeline as tfx_pipeline
from tfx.orchestration.local import local_dag_runner, runner_utils
from tfx.orchestration.portable import launcher, runtime_parameter_utils
from tfx.orchestration.portable.mlmd import execution_lib
from tfx.proto.orchestration import pipeline_pb2

from components import artifacts
from pipeline import layout, run_folder
from pipeline.cache import Cache
from word2vec import progress, whole_files


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


class LocalRunner(local_dag_runner.LocalDagRunner):
    """TFX's LocalDagRunner, with an observer, a cache that knows files, and the component runs at hand afterwards.

    It inherits `run` from LocalDagRunner. TFX's command line (`tfx pipeline create`) puts a function of its own in that
    place, which takes the pipeline, runs nothing and returns None.

    Args:
        observer: hears of every component.
        folder: of the run, with all that it makes; nobody else may work in it.
        durations: a file in which it keeps how many seconds each component took when it last did its work.
        notes: a file in which it keeps what was noted in the run.
        first: pipelines of the same name by theirs; they run before, and of what the cache answers nobody hears.
    """

    def __init__(
        self,
        observer: Observer,
        folder: str,
        durations: str,
        notes: str,
        first: Mapping[str, tfx_pipeline.Pipeline] | None = None,
    ):
        self._observer, self._folder, self._durations = observer, folder, durations
        self._notes, self._first = _Notes(notes), first or {}

    def run_with_ir(self, pipeline: pipeline_pb2.Pipeline, run_options: Any = None) -> dict[str, ComponentRun]:
        """Runs the components in their order, each in this process.

        Returns:
            How each component of the pipeline ended, by its name.

        Raises:
            Exception: whatever a component's executor raised; nothing of that component is published then.
        """
        del run_options
        progress.add_handler(self._notes)
        try:
            return self._run(pipeline)
        finally:
            progress.remove_handler(self._notes)

    def _run(self, pipeline: pipeline_pb2.Pipeline) -> dict[str, ComponentRun]:
        run_id = datetime.datetime.now().isoformat()
        connection = _connection(pipeline)
        with metadata.Metadata(connection) as handle:
            run_folder.settle(self._folder, pipeline.pipeline_info.id, handle.store)
        for label, dag in self._first.items():
            # In a run of its own: TFX would take what one span's component made for another's as well.
            self._run_nodes(compiler.Compiler().compile(dag), connection, layout.run_of_span(run_id, label), label)
        runs = self._run_nodes(pipeline, connection, run_id)
        run_folder.tidy(self._folder)
        return runs

    def _run_nodes(
        self, pipeline: pipeline_pb2.Pipeline, connection: Any, run_id: str, label: str = ""
    ) -> dict[str, ComponentRun]:
        runtime_parameter_utils.substitute_runtime_parameter(
            pipeline, {constants.PIPELINE_RUN_ID_PARAMETER_NAME: run_id}
        )
        deployment = runner_utils.extract_local_deployment_config(pipeline)
        runs = {}
        for each in pipeline.nodes:
            node = each.pipeline_node
            name = node.node_info.id
            executor = runner_utils.extract_executor_spec(deployment, name)
            shown = f"{name} {label}".rstrip()
            started = time.perf_counter()
            execution = None
            if executor is not None:  # a resolver has none, and nothing to tell
                with metadata.Metadata(connection) as handle:
                    execution = Cache(handle, self._folder).answer(node, executor)
            is_told = executor is not None and (execution is None or not label)
            if is_told:
                self._observer.started(shown)
            if execution is None:
                execution = _launch(pipeline, node, executor, connection)
            with metadata.Metadata(connection) as handle:
                outputs = _published(handle, execution)
                cached = _is_cached(handle, execution)
            runs[name] = ComponentRun(shown, time.perf_counter() - started, cached, outputs)
            if is_told:
                self._observer.ended(runs[name])
                self._keep_duration(name, runs[name])
        return runs

    def _keep_duration(self, component: str, run: ComponentRun) -> None:
        if run.cached:
            return
        earlier = whole_files.read_json(self._durations, dict)
        _write(self._durations, {**earlier, component: round(run.seconds, 3)})


class _Notes(logging.Handler):
    """Keeps the notes of a run in a file."""

    def __init__(self, path: str):
        super().__init__()
        self._path = path
        self._notes: list[str] = []
        with contextlib.suppress(FileNotFoundError):
            os.remove(path)

    def emit(self, record: logging.LogRecord) -> None:
        if progress.of(record) is None:
            self._notes.append(record.getMessage())
            _write(self._path, self._notes)


def _connection(pipeline: pipeline_pb2.Pipeline) -> Any:
    """Where the metadata are."""
    config = runner_utils.extract_local_deployment_config(pipeline).metadata_connection_config
    return getattr(config, config.WhichOneof("connection_config"))


def _launch(
    pipeline: pipeline_pb2.Pipeline, node: pipeline_pb2.PipelineNode, executor: message.Message | None, connection: Any
) -> int:
    """Lets a component do its work; returns the execution's id."""
    launching = launcher.Launcher(
        pipeline_node=node,
        mlmd_connection=metadata.Metadata(connection),
        pipeline_info=pipeline.pipeline_info,
        pipeline_runtime_spec=pipeline.runtime_spec,
        executor_spec=executor,
    )
    with _LoggedErrors() as errors:
        execution = launching.launch().execution_id
    if executor is None:
        _check_resolved(connection, execution, errors.last)
    return execution


def _check_resolved(connection: Any, execution_id: int, error: BaseException | None) -> None:
    """Makes sure that a resolver has ended well: TFX only logs what it raises, and goes on without its inputs.

    Raises:
        Exception: what the resolver's strategy has raised.
    """
    with metadata.Metadata(connection) as handle:
        (execution,) = handle.store.get_executions_by_id([execution_id])
    if execution.last_known_state == metadata_store_pb2.Execution.FAILED:
        raise (error and error.__cause__) or error or RuntimeError(f"execution {execution_id} failed")


class _LoggedErrors(logging.Handler):
    """Within the context, `last` is the last exception that TFX has logged."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.last: BaseException | None = None

    def __enter__(self) -> _LoggedErrors:
        absl.logging.get_absl_logger().addHandler(self)
        return self

    def __exit__(self, *error: object) -> None:
        absl.logging.get_absl_logger().removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            self.last = record.exc_info[1]


def _write(path: str, value: Any) -> None:
    whole_files.write_text(path, json.dumps(value))


def _is_cached(handle: metadata.Metadata, execution_id: int) -> bool:
    (execution,) = handle.store.get_executions_by_id([execution_id])
    return execution.last_known_state == metadata_store_pb2.Execution.CACHED


def _published(handle: metadata.Metadata, execution_id: int) -> dict[str, list[types.Artifact]]:
    """What an execution put out, of which it takes stock if nobody has."""
    outputs = execution_lib.get_output_artifacts(handle, execution_id)
    protos = [artifact.mlmd_artifact for channel in outputs.values() for artifact in channel]
    if new := [artifact for artifact in protos if artifacts.take_stock(artifact)]:
        handle.store.put_artifacts(new)
    return outputs
