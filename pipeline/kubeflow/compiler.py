"""Compiles the pipeline to KFP's specification (schema 2.1), with settings as parameters of a run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2
from tfx.orchestration.kubeflow.v2 import kubeflow_v2_dag_runner

from components.corpus.spans import Slot
from pipeline import engines, nodes
from pipeline.configs import Config
from pipeline.inputs import Fingerprints
from pipeline.kubeflow import checks, needs, platform, spec
from pipeline.kubeflow.spec import Json
from pipeline.pipeline import Pushed, create_pipeline
from word2vec.errors import UserError

_LAUNCHER, _PROBES = "pipeline.kubeflow.launcher", "pipeline.kubeflow.probes"


def compile_pipeline(config: Config) -> tuple[Json, Json]:
    """The specification, and what Kubernetes needs to know beside it.

    Args:
        config: all settings; `kubeflow.parameters` become parameters of a run, with these values as defaults.

    Returns:
        (a `PipelineSpec`, a `PlatformSpec`), both as JSON.

    Raises:
        UserError: settings that a cluster cannot use.
    """
    checks.check(config)
    made, platforms = tfx_spec(config), {}
    made["defaultPipelineRoot"] = config.kubeflow.root
    parameters = {needs.parameter_name(key): _parameter(config, key) for key in config.kubeflow.parameters}
    made["root"]["inputDefinitions"] = {"parameters": parameters}
    _join_spans(made, config.corpus.window or 0)
    for name in needs.PROBES:
        _add_probe(made, name)
    for name, task in spec.tasks(made).items():
        component = spec.component(made, name)
        _connect(config, name, task, component, parameters)
        label = component["executorLabel"]
        made["deploymentSpec"]["executors"][label] = {"container": _container(config, name)}
        if on_kubernetes := platform.executor_config(config, nodes.component_of(name)):
            platforms[label] = on_kubernetes
    for source in needs.sources(config):
        outputs = spec.component(made, source.task).setdefault("outputDefinitions", {})
        outputs.setdefault("parameters", {})[source.output] = {"parameterType": spec.kind_of("")}
    json_format.ParseDict(made, pipeline_spec_pb2.PipelineSpec())
    checks.check_sizes(made, {})
    return made, {"platforms": {"kubernetes": {"deploymentSpec": {"executors": platforms}}}} if platforms else {}


def tfx_spec(
    config: Config,
    *,
    fingerprints: Fingerprints = Fingerprints(),  # noqa: B008  (a tuple)
    pushed: Pushed = Pushed(),  # noqa: B008
    checkpoints: str = "",
    slot: Slot = Slot(),  # noqa: B008
) -> Json:
    """What TFX makes of the pipeline: a `PipelineSpec` of its components alone, as JSON.

    Args:
        config: all settings.
        fingerprints: see `create_pipeline`.
        pushed: likewise.
        checkpoints: likewise.
        slot: what is in each place of the window.
    """
    dag = create_pipeline(
        config,
        fingerprints=fingerprints,
        root=config.kubeflow.root,
        checkpoints=checkpoints,
        beam=engines.arguments(config.beam, text_bytes=None),
        slots=[slot] * (config.corpus.window or 0),
        pushed=pushed,
    )
    runner_config = kubeflow_v2_dag_runner.KubeflowV2DagRunnerConfig(
        default_image=config.kubeflow.image, use_pipeline_spec_2_1=True
    )
    job = kubeflow_v2_dag_runner.KubeflowV2DagRunner(config=runner_config).run(dag, write_out=False)
    return job["pipelineSpec"]


class TfxComponent(NamedTuple):
    """What TFX's compiler makes of a component, and TFX's entry point wants to know.

    Attributes:
        executor: the path of its class.
        inputs: a `ComponentInputsSpec` as JSON: the types of its artifacts and parameters.
        outputs: the names of its artifacts.
        parameters: the values of its parameters by name.
    """

    executor: str
    inputs: Json
    outputs: frozenset[str]
    parameters: Json

    @classmethod
    def of(cls, made: Json, name: str) -> TfxComponent:
        """Of one of `tfx_spec`'s components."""
        task, component = spec.tasks(made)[name], spec.component(made, name)
        return cls(
            executor=spec.argument(made, name, "--executor_class_path"),
            inputs=component.get("inputDefinitions", {}),
            outputs=frozenset(component.get("outputDefinitions", {}).get("artifacts", {})),
            parameters={
                key: value["runtimeValue"]["constant"]
                for key, value in task.get("inputs", {}).get("parameters", {}).items()
            },
        )


def in_container(name: str, config: Config, facts: Mapping[str, str], checkpoints: str) -> TfxComponent:
    """A component in its container.

    Args:
        name: the task's.
        config: what the task knows of the settings.
        facts: by name, those that others found out for it (`needs.FACTS`).
        checkpoints: the folder of the Trainer's.
    """
    made = tfx_spec(
        config,
        fingerprints=Fingerprints(*(facts.get(f"{each}_fingerprint", "") for each in Fingerprints._fields)),
        pushed=Pushed(facts.get("pushed_version", ""), facts.get("start_version", "")),
        checkpoints=checkpoints,
        slot=Slot.parse(facts.get(needs.SPAN, "")),
    )
    return TfxComponent.of(made, name if name in spec.tasks(made) else f"{name}-1")


def _add_probe(made: Json, name: str) -> None:
    label = f"{name}_executor"
    made["components"][name] = {"executorLabel": label}
    spec.tasks(made)[name] = {"taskInfo": {"name": name}, "componentRef": {"name": name}}


def _join_spans(made: Json, places: int) -> None:
    """Lets whatever takes the text of the window's first place take that of all others too, each as an input."""
    for name, task in spec.tasks(made).items():
        inputs = task.get("inputs", {}).get("artifacts", {})
        takes = inputs.get("examples", {}).get("taskOutputArtifact", {}).get("producerTask") == "ExampleGen-1"
        if not takes or nodes.component_of(name) != name:
            continue
        declared = spec.component(made, name)["inputDefinitions"]["artifacts"]
        for place in range(2, places + 1):
            inputs[spec.of_place("examples", place)] = {
                "taskOutputArtifact": {"producerTask": f"ExampleGen-{place}", "outputArtifactKey": "examples"}
            }
            declared[spec.of_place("examples", place)] = declared["examples"]
        producers = {*task.get("dependentTasks", ()), *(f"ExampleGen-{place}" for place in range(2, places + 1))}
        task["dependentTasks"] = sorted(producers)


def _connect(config: Config, name: str, task: Json, component: Json, parameters: Mapping[str, Json]) -> None:
    """Gives a task the parameters of the run and the facts that it needs, in the place of TFX's constants."""
    component_name = nodes.component_of(name)
    sources: dict[str, Json] = {}
    kinds: dict[str, Json] = {}
    for key in config.kubeflow.parameters:
        if needs.depends_on(component_name, key):
            parameter = needs.parameter_name(key)
            sources[parameter] = {"componentInputParameter": parameter}
            kinds[parameter] = {"parameterType": parameters[parameter]["parameterType"]}
    producers = set(task.get("dependentTasks", ()))
    for fact, source in needs.facts_of(name, config).items():
        sources[fact] = {
            "taskOutputParameter": {"producerTask": source.task, "outputParameterKey": source.output},
        }
        kinds[fact] = {"parameterType": spec.kind_of("")}
        producers.add(source.task)
    task.setdefault("inputs", {})["parameters"] = sources
    component.setdefault("inputDefinitions", {})["parameters"] = kinds
    if producers:
        task["dependentTasks"] = sorted(producers)
    is_cached = not {name, component_name} & {*needs.UNCACHED, *config.kubeflow.uncached}
    task["cachingOptions"] = {"enableCache": True} if is_cached else {}
    resources = config.kubeflow.of(component_name)
    if resources.retries:
        task["retryPolicy"] = platform.retry_policy(resources)


def _container(config: Config, task: str) -> Json:
    """What a task runs; tasks of one component run the same, so that KFP's cache answers for a span in any place."""
    name = nodes.component_of(task)
    module = _PROBES if name in needs.PROBES else _LAUNCHER
    settings = needs.settings_of(name, config, config.kubeflow.parameters)
    arguments = {
        "--task": name,
        "--settings": json.dumps(settings, ensure_ascii=False, sort_keys=True),
        "--note": needs.note(name, config),
        "--executor-input": "{{$}}",
    }
    container = {
        "image": config.kubeflow.image,
        "command": ["python", "-m", module],
        "args": [part for argument in arguments.items() for part in argument],
        "env": [{"name": needs.PLACE, "value": needs.place(config, name)}],
    }
    limits = platform.limits(platform.resources_of(config, name))
    return {**container, "resources": limits} if limits else container


def _parameter(config: Config, key: str) -> Json:
    value: Any = config.model_dump(exclude_none=True)
    for part in key.split("."):
        if not isinstance(value, Mapping) or part not in value:
            raise UserError(f"kubeflow.parameters: {key} is no setting, or has no value that would tell its type")
        value = value[part]
    return {"parameterType": spec.kind_of(value), "defaultValue": value, "isOptional": True}
