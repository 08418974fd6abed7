"""Runs a compiled specification on this machine: each container's own command, as a process.

KFP's own local execution gives the order of the tasks, the ExecutorInput and the placeholders; but it runs containers
with Docker only, and has no object store. So here a task is a process with a folder of its own, into which its inputs
are copied from a store, as KFP's launcher downloads them, and from which its outputs are copied back.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from google.protobuf import json_format
from kfp import dsl
from kfp.local import executor_input_utils, executor_output_utils, graph_utils, placeholder_utils
from kfp.pipeline_spec import pipeline_spec_pb2

from components.errors import UserError
from pipeline.kubeflow import launcher

_ROOT = pathlib.Path(__file__).parent.parent.parent
_URI = "minio://mlpipeline/v2/artifacts"
_LINES = 15  # of a failed task's log that are shown


@dataclasses.dataclass(frozen=True)
class Rehearsal:
    """A run of a specification.

    Args:
        spec: a `PipelineSpec` of one DAG of containers.
        folder: where everything goes: `store`, and by task a log and what its process saw.
        parameters: of the run, by name.
        tell: is called after each task with its name and seconds.

    Raises:
        UserError: from `run`: a parameter that the specification has not, or a task that failed.
    """

    spec: pipeline_spec_pb2.PipelineSpec
    folder: pathlib.Path
    parameters: Mapping[str, Any]
    tell: Callable[[str, float], None]

    def run(self) -> dict[str, dict[str, dsl.Artifact]]:
        """Runs all tasks; returns the outputs by task and name."""
        known = self.spec.root.input_definitions.parameters
        if unknown := set(self.parameters) - set(known):
            raise UserError(f"parameter {sorted(unknown)[0]}: there is none. There are {', '.join(sorted(known))}")
        tasks, outputs = self.spec.root.dag.tasks, {}
        waiting = graph_utils.topological_sort_tasks(tasks)
        while waiting:
            name, start = waiting.pop(), time.perf_counter()
            outputs[name] = self._run_task(name, tasks[name], outputs)
            self.tell(name, time.perf_counter() - start)
        return outputs

    def _run_task(
        self, name: str, task: pipeline_spec_pb2.PipelineTaskSpec, outputs: Mapping[str, Mapping[str, dsl.Artifact]]
    ) -> dict[str, dsl.Artifact]:
        component = self.spec.components[task.component_ref.name]
        own = self.folder / "tasks" / name
        shutil.rmtree(own, ignore_errors=True)
        (own / "temporary").mkdir(parents=True)
        uri = f"{_URI}/{self.spec.pipeline_info.name}/rehearsal/{name}"
        invocation = executor_input_utils.construct_executor_input(
            component, self._arguments(task, outputs), uri, block_input_artifact=False
        )
        invocation.outputs.output_file = str(own / "executor_output.json")
        for artifact in _artifacts(invocation.inputs):
            _copy(self._stored(artifact.uri), self._mirrored(own, artifact.uri))
        for artifact in _artifacts(invocation.outputs):
            self._mirrored(own, artifact.uri).parent.mkdir(parents=True, exist_ok=True)
        self._execute(name, component, invocation, own)
        for artifact in _artifacts(invocation.outputs):
            shutil.rmtree(self._stored(artifact.uri), ignore_errors=True)
            _copy(self._mirrored(own, artifact.uri), self._stored(artifact.uri))
        shutil.rmtree(own / "mirror", ignore_errors=True)
        written = executor_output_utils.load_executor_output(invocation.outputs.output_file)
        return {key: _as_input(artifacts.artifacts[0]) for key, artifacts in written.artifacts.items()}

    def _arguments(
        self, task: pipeline_spec_pb2.PipelineTaskSpec, outputs: Mapping[str, Mapping[str, dsl.Artifact]]
    ) -> dict[str, Any]:
        """A task's inputs by name: constants, parameters of the run, and outputs of other tasks."""
        arguments: dict[str, Any] = {}
        for name, parameter in task.inputs.parameters.items():
            if parameter.HasField("component_input_parameter"):
                source = parameter.component_input_parameter
                default = json_format.MessageToDict(self.spec.root.input_definitions.parameters[source].default_value)
                arguments[name] = self.parameters.get(source, default)
            else:
                arguments[name] = json_format.MessageToDict(parameter.runtime_value.constant)
        for name, artifact in task.inputs.artifacts.items():
            source = artifact.task_output_artifact
            arguments[name] = outputs[source.producer_task][source.output_artifact_key]
        return arguments

    def _execute(
        self,
        name: str,
        component: pipeline_spec_pb2.ComponentSpec,
        invocation: pipeline_spec_pb2.ExecutorInput,
        own: pathlib.Path,
    ) -> None:
        executors = json_format.MessageToDict(self.spec.deployment_spec)["executors"]
        container = executors[component.executor_label]["container"]
        command = placeholder_utils.replace_placeholders(
            full_command=[*container["command"], *container["args"]],
            executor_input_dict=executor_input_utils.executor_input_to_dict(invocation, component),
            pipeline_resource_name=self.spec.pipeline_info.name,
            task_resource_name=name,
            pipeline_root=_URI,
            unique_pipeline_id="rehearsal",
        )
        if command[0] == "python":
            command[0] = sys.executable
        environment = {
            **os.environ,
            launcher.MIRROR: str(own / "mirror"),
            "TMPDIR": str(own / "temporary"),
            "PYTHONPATH": os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
        }
        log = own / "log.txt"
        with log.open("w", encoding="utf-8") as file:
            done = subprocess.run(command, cwd=own, env=environment, stdout=file, stderr=file, check=False)
        if done.returncode:
            last = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LINES:])
            raise UserError(f"{name} failed with exit code {done.returncode}; {log} ends so:\n{last}")

    def _stored(self, uri: str) -> pathlib.Path:
        return self.folder / "store" / uri.replace("://", "/")

    @staticmethod
    def _mirrored(own: pathlib.Path, uri: str) -> pathlib.Path:
        return own / "mirror" / uri.replace("://", "/")


def _artifacts(side: Any) -> list[pipeline_spec_pb2.RuntimeArtifact]:
    return [artifact for artifacts in side.artifacts.values() for artifact in artifacts.artifacts]


def _as_input(artifact: pipeline_spec_pb2.RuntimeArtifact) -> dsl.Artifact:
    """As KFP passes it to the next task: with its metadata, but not with TFX's type."""
    return dsl.Artifact(artifact.name, artifact.uri, json_format.MessageToDict(artifact.metadata))


def _copy(source: pathlib.Path, target: pathlib.Path) -> None:
    """Copies a folder by links, which cost nothing: neither side changes a file in place."""
    if source.is_dir():
        shutil.copytree(source, target, copy_function=os.link, dirs_exist_ok=True)
