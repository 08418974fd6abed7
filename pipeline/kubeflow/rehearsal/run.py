"""A run of a specification: what KFP's driver and launcher do with each task, in the order of the graph."""

from __future__ import annotations

import dataclasses
import graphlib
import json
import os
import pathlib
import shutil
import time
import uuid
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from pipeline.kubeflow import checks, invocation, spec
from pipeline.kubeflow.rehearsal import container
from pipeline.kubeflow.rehearsal.store import Execution, Store, cache_key
from pipeline.kubeflow.spec import Json
from word2vec.errors import UserError

_LINES = 15  # of a failed task's log that are shown
_LOGS = "executor-logs"
_ROOT = "minio://mlpipeline/v2/artifacts"  # KFP's own


class Version(NamedTuple):
    """In what versions of KFP differ.

    Attributes:
        publishes_logs: a task's logs are among its outputs (by default, that is by PUBLISH_LOGS).
        has_task_root: the file for the executor's output is beside its artifacts, and not in a place of all tasks.
    """

    publishes_logs: bool
    has_task_root: bool


VERSIONS = {"2.4": Version(False, False), "2.5": Version(True, False), "2.15": Version(True, True)}


class Tell(Protocol):
    """Hears of every task."""

    def __call__(self, task: str, seconds: float, *, cached: bool) -> None:
        """A task has ended."""


@dataclasses.dataclass(frozen=True)
class Rehearsal:
    """A run of a specification.

    Args:
        spec: a `PipelineSpec` of one DAG of containers, as JSON.
        platform: a `PlatformSpec`, as JSON; empty for none.
        folder: where everything goes: `store` and `metadata.json`, which later runs in it find again, and logs by task.
        volumes: folders of this machine by volume claim; others are made in `folder`.
        parameters: of the run, by name.
        tell: hears of every task.
        version: whose ways.
    """

    spec: Json
    platform: Json
    folder: pathlib.Path
    volumes: Mapping[str, pathlib.Path]
    parameters: Mapping[str, Any]
    tell: Tell
    version: Version = VERSIONS["2.15"]

    def run(self) -> dict[str, Execution]:
        """Runs all tasks; returns what they put out, by task.

        Raises:
            UserError: parameters that KFP refuses, a machine that has no namespaces, or a task that failed.
        """
        container.check()
        checks.check_parameters(self.spec, self.parameters)
        store = Store(self.folder)
        _check_arguments("the run", self.spec["pipelineInfo"]["name"], {"--runtime_config": dict(self.parameters)})
        values = spec.values(self.spec, self.parameters)
        tasks, done = spec.tasks(self.spec), dict[str, Execution]()
        run = uuid.uuid4().hex
        order = graphlib.TopologicalSorter({name: task.get("dependentTasks", ()) for name, task in tasks.items()})
        for name in order.static_order():
            start = time.perf_counter()
            cached, done[name] = _Task(self, store, run, name).run(values, done)
            self.tell(name, time.perf_counter() - start, cached=cached)
            store.save()
        return done

    def pushed(self, done: Mapping[str, Execution]) -> str | None:
        """The folder of this machine into which the model was pushed; None if it was not."""
        metadata = Store(self.folder).artifact(done["Pusher"].artifacts["pushed_model"])["metadata"]
        if not metadata.get("pushed"):
            return None
        destination = metadata["pushed_destination"]
        for path, folder in self.mounts("Pusher").items():
            if f"{destination}/".startswith(f"{path.rstrip('/')}/"):
                return str(folder) + destination[len(path.rstrip("/")) :]
        return destination

    def mounts(self, task: str) -> dict[str, pathlib.Path]:
        """The folders of this machine that are a task's volumes, by their paths in its container."""
        folders_by_path = {}
        for path, claim in self.claims(task).items():
            folder = self.volumes.get(claim) or self.folder / "volumes" / claim
            if not folder.is_dir():
                folder.mkdir(parents=True)
                folder.chmod(0o777)
            folders_by_path[path] = folder.absolute()
        return folders_by_path

    def claims(self, task: str) -> dict[str, str]:
        """The claims of a task's volumes, by their paths in its container."""
        mounts = self.on_kubernetes(task).get("pvcMount", ())
        return {mount["mountPath"]: mount["pvcNameParameter"]["runtimeValue"]["constant"] for mount in mounts}

    def on_kubernetes(self, task: str) -> Json:
        """What the platform specification says of a task."""
        executors = self.platform.get("platforms", {}).get("kubernetes", {}).get("deploymentSpec", {})
        return executors.get("executors", {}).get(spec.component(self.spec, task)["executorLabel"], {})


class _Task:
    """One task of a run."""

    def __init__(self, rehearsal: Rehearsal, store: Store, run: str, name: str):
        self._rehearsal, self._store, self._name = rehearsal, store, name
        self._task = spec.tasks(rehearsal.spec)[name]
        self._component, self._image = spec.component(rehearsal.spec, name), spec.container(rehearsal.spec, name)
        pipeline, root = rehearsal.spec["pipelineInfo"]["name"], rehearsal.spec.get("defaultPipelineRoot", _ROOT)
        self._root = f"{root.rstrip('/')}/{pipeline}/{run}/{name}/{uuid.uuid4()}"
        self._folder = rehearsal.folder / "tasks" / name

    def run(self, values: Mapping[str, Any], done: Mapping[str, Execution]) -> tuple[bool, Execution]:
        """Returns (whether the cache answered, what it put out)."""
        given = {"--component": self._component, "--task": self._task, "--container": self._image}
        _check_arguments(self._name, "KFP's driver", given)
        asked = {"inputs": self._inputs(values, done), "outputs": self._outputs()}
        outputs = self._component.get("outputDefinitions", {}).get("parameters", {})
        types = {name: one["parameterType"] for name, one in outputs.items()}
        key = cache_key(asked, self._image, types, [*self._rehearsal.claims(self._name).values()])
        is_cached = self._task.get("cachingOptions", {}).get("enableCache", False)
        if is_cached and (cached := self._store.cached(key)):
            return True, cached
        execution = self._launch(asked)
        if is_cached:
            self._store.remember(key, execution)
        return False, execution

    def _inputs(self, values: Mapping[str, Any], done: Mapping[str, Execution]) -> Json:
        """As the driver resolves them."""
        parameters, artifacts = {}, {}
        for name, source in self._task.get("inputs", {}).get("parameters", {}).items():
            if "componentInputParameter" in source:
                parameters[name] = values[source["componentInputParameter"]]
            elif "taskOutputParameter" in source:
                output = source["taskOutputParameter"]
                parameters[name] = done[output["producerTask"]].parameters[output["outputParameterKey"]]
            else:
                parameters[name] = source["runtimeValue"]["constant"]
        for name, source in self._task.get("inputs", {}).get("artifacts", {}).items():
            output = source["taskOutputArtifact"]
            number = done[output["producerTask"]].artifacts[output["outputArtifactKey"]]
            artifacts[name] = {"artifacts": [self._store.artifact(number)]}
        _check_events(self._name, artifacts)
        return {"parameterValues": parameters, "artifacts": artifacts}

    def _outputs(self) -> Json:
        """As the driver provides for them."""
        declared = self._component.get("outputDefinitions", {})
        types = {name: artifact["artifactType"] for name, artifact in declared.get("artifacts", {}).items()}
        if self._rehearsal.version.publishes_logs:
            types[_LOGS] = {"schemaTitle": "system.Artifact"}
        in_root = self._rehearsal.version.has_task_root
        folder = invocation.local_path(self._root) if in_root else "/tmp/kfp_outputs"
        return {
            "artifacts": {
                name: {"artifacts": [{"name": name, "uri": f"{self._root}/{name}", "type": kind}]}
                for name, kind in types.items()
            },
            "parameters": {name: {"outputFile": f"/tmp/kfp/outputs/{name}"} for name in declared.get("parameters", {})},
            "outputFile": f"{folder}/output_metadata.json",
        }

    def _launch(self, asked: Json) -> Execution:
        """What the launcher does: downloads, runs the command, uploads and records."""
        environment = {one["name"]: one["value"] for one in self._image.get("env", ())}
        environment |= {"KFP_POD_NAME": f"{self._name.lower()}-pod", "KFP_POD_UID": str(uuid.uuid4())}
        for field in self._rehearsal.on_kubernetes(self._name).get("fieldPathAsEnv", ()):
            environment[field["name"]] = {"metadata.namespace": "rehearsal"}.get(field["fieldPath"], "")
        own = container.Container(self._folder / "container", self._rehearsal.mounts(self._name), environment)
        own.prepare()
        for artifact in _artifacts(asked["inputs"]):
            self._store.download(artifact["uri"], own.scratch(invocation.local_path(artifact["uri"])))
        for artifact in _artifacts(asked["outputs"]):
            own.scratch(invocation.local_path(artifact["uri"])).parent.mkdir(parents=True, exist_ok=True)
        own.open()
        self._execute(own, asked)
        execution = self._record(own, asked)
        shutil.rmtree(own.folder, ignore_errors=True)
        return execution

    def _execute(self, own: container.Container, asked: Json) -> None:
        said = json.dumps(asked, ensure_ascii=False)
        command = [*self._image["command"], *(part.replace("{{$}}", said) for part in self._image["args"])]
        given = {"--executor_input": asked, **{str(number): part for number, part in enumerate(command)}}
        _check_arguments(self._name, "its container", given)
        log = self._folder / "log.txt"
        kept = asked["outputs"]["artifacts"].get(_LOGS, {"artifacts": []})["artifacts"]
        copies = [own.scratch(invocation.local_path(artifact["uri"])) for artifact in kept]
        for copy in copies:
            copy.touch()  # before the command runs, which shall find it there
        code = own.run(command, log)
        if code:
            last = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LINES:])
            raise UserError(f"{self._name} failed with exit code {code}; {log} ends so:\n{last}")
        for copy in copies:
            shutil.copyfile(log, copy)

    def _record(self, own: container.Container, asked: Json) -> Execution:
        """Uploads what the command wrote, and keeps what it says of it."""
        path = own.scratch(asked["outputs"]["outputFile"])
        written = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        execution = Execution({}, dict(written.get("parameterValues", {})))
        for name, output in asked["outputs"]["artifacts"].items():
            artifact = output["artifacts"][0]
            said = {} if name == _LOGS else written.get("artifacts", {}).get(name, {"artifacts": [{}]})["artifacts"][0]
            uri = said.get("uri") or artifact["uri"]
            self._store.upload(own.scratch(invocation.local_path(uri)), uri)
            execution.artifacts[name] = self._store.record(name, uri, said.get("metadata", {}))
        for name, output in asked["outputs"]["parameters"].items():
            if name not in execution.parameters:
                execution.parameters[name] = own.scratch(output["outputFile"]).read_text(encoding="utf-8")
        return execution


def _artifacts(side: Json) -> list[Json]:
    return [artifact for artifact_list in side["artifacts"].values() for artifact in artifact_list["artifacts"]]


def _check_events(task: str, inputs: Json) -> None:
    """As ML Metadata's store does, in which an artifact is an execution's input once."""
    name_of: dict[str, str] = {}
    for name, given in inputs.items():
        for artifact in given["artifacts"]:
            other = name_of.setdefault(artifact["name"], name)
            if other != name:
                raise UserError(f"{task}: the inputs {other} and {name} are one artifact. ML Metadata takes it once")


def _check_arguments(task: str, of: str, arguments: Mapping[str, Any]) -> None:
    """As Linux does where a process is started, of which each argument may have so many bytes, its end counted."""
    for name, value in arguments.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        if (size := len(os.fsencode(text)) + 1) > checks.LARGEST_ARGUMENT:
            raise UserError(
                f"{task}: argument {name} of {of} has {size:,} bytes, more than {checks.LARGEST_ARGUMENT:,}"
            )
