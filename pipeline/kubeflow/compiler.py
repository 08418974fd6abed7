"""Compiles the pipeline to KFP's specification (schema 2.1), with settings as parameters of a run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from google.protobuf import json_format
from kfp.kubernetes import kubernetes_executor_config_pb2 as kubernetes
from kfp.pipeline_spec import pipeline_spec_pb2
from tfx.orchestration.kubeflow.v2 import kubeflow_v2_dag_runner

from components.errors import UserError
from pipeline import engines
from pipeline.configs import Config, ResourcesConfig
from pipeline.pipeline import create_pipeline

LAUNCHER = ("python", "-m", "pipeline.kubeflow.launcher")

# The settings that a component depends on: of these, a run's parameters are given to it.
DEPENDS_ON = {
    "BenchmarkExampleGen": ("evaluator.benchmarks", "evaluator.thresholds"),
    "ExampleGen": ("corpus",),
    "SchemaGen": ("corpus.schema_file",),
    "StatisticsGen": (),
    "ExampleValidator": (),
    "Transform": ("skipgram", "corpus"),
    "Trainer": ("trainer", "skipgram", "corpus"),
    "Baseline": ("pusher",),
    "Evaluator": ("evaluator",),
    "ModelCard": ("name", "corpus", "skipgram", "trainer", "evaluator"),
    "InfraValidator": ("serving",),
    "Pusher": ("pusher",),
    "Report": ("report",),
}

_TYPES = {bool: "BOOLEAN", int: "NUMBER_INTEGER", float: "NUMBER_DOUBLE", str: "STRING", list: "LIST", dict: "STRUCT"}

Json = dict[str, Any]


def compile_pipeline(config: Config) -> tuple[Json, Json]:
    """The specification, and what Kubernetes needs to know beside it.

    Args:
        config: all settings; `kubeflow.parameters` become parameters of a run, with these values as defaults.

    Returns:
        (a `PipelineSpec`, a `PlatformSpec`), both as JSON.

    Raises:
        UserError: settings that a cluster cannot use.
    """
    check(config)
    spec, platform = tfx_spec(config), {}
    parameters = {parameter_name(key): _parameter(config, key) for key in config.kubeflow.parameters}
    if parameters:
        spec["root"].setdefault("inputDefinitions", {})["parameters"] = parameters
    for name, task in spec["root"]["dag"]["tasks"].items():
        component = spec["components"][task["componentRef"]["name"]]
        given = {parameter_name(key): key for key in config.kubeflow.parameters if depends_on(name, key)}
        for parameter in given:
            component.setdefault("inputDefinitions", {}).setdefault("parameters", {})[parameter] = parameters[parameter]
            task.setdefault("inputs", {}).setdefault("parameters", {})[parameter] = {
                "componentInputParameter": parameter
            }
        resources = config.kubeflow.of(name)
        task["cachingOptions"] = {"enableCache": True} if name not in config.kubeflow.uncached else {}
        if resources.retries:
            task["retryPolicy"] = {"maxRetryCount": resources.retries, "backoffDuration": "30s", "backoffFactor": 2.0}
        container = spec["deploymentSpec"]["executors"][component["executorLabel"]]["container"]
        container["command"] = list(LAUNCHER)
        container["args"] += ["--node", name, "--settings", json.dumps(config.model_dump())]
        if limits := _limits(resources):
            container["resources"] = limits
        if on_kubernetes := _on_kubernetes(config, resources):
            platform[component["executorLabel"]] = on_kubernetes
    json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
    platforms = {"platforms": {"kubernetes": {"deploymentSpec": {"executors": platform}}}} if platform else {}
    return spec, platforms


def check(config: Config) -> None:
    """Makes sure that a cluster can use the settings.

    Raises:
        UserError: it can't.
    """
    if not config.pusher.destination:
        raise UserError("pusher.destination: is needed, for on a cluster there is no run folder to put the model into")
    if config.serving.infra_validation == "docker":
        raise UserError("serving.infra_validation = docker: in a cluster, set it to kubernetes")
    if config.trainer.warm_start:
        raise UserError(
            "trainer.warm_start: needs the last model's checkpoint, which a push does not carry. Set it to false"
        )
    if engines.is_remote(config.beam) and not config.beam.exchange:
        raise UserError(
            f"beam.exchange: is needed, for the workers of {config.beam.runner} do not see the files of a component's "
            "container. Give a folder of a volume that both have, or a URI as gs://bucket/exchange"
        )
    for key in config.kubeflow.parameters:
        if not any(depends_on(component, key) for component in DEPENDS_ON):
            raise UserError(
                f"kubeflow.parameters: {key} is nothing that a component looks at while it runs. Set it and compile"
            )
    for name in (*config.kubeflow.resources, *config.kubeflow.uncached):
        if name not in (*DEPENDS_ON, "default"):
            raise UserError(f"kubeflow: there is no component {name}. There are {', '.join(DEPENDS_ON)}")


def tfx_spec(config: Config, *, corpus_fingerprint: str = "", checkpoints: str = "") -> Json:
    """What TFX makes of the pipeline: a `PipelineSpec` without parameters, as JSON."""
    dag = create_pipeline(
        config,
        corpus_fingerprint=corpus_fingerprint,
        benchmarks_fingerprint="",
        root=config.kubeflow.root,
        checkpoints=checkpoints,
        beam=engines.arguments(config.beam, text_bytes=0),
        has_resolvers=False,
    )
    runner_config = kubeflow_v2_dag_runner.KubeflowV2DagRunnerConfig(
        default_image=config.kubeflow.image, use_pipeline_spec_2_1=True
    )
    job = kubeflow_v2_dag_runner.KubeflowV2DagRunner(config=runner_config).run(dag, write_out=False)
    return job["pipelineSpec"]


def parameter_name(key: str) -> str:
    """A setting's name as a parameter of a run: `trainer.epochs` is `trainer_epochs`."""
    return key.replace(".", "_")


def depends_on(component: str, key: str) -> bool:
    """Whether a component depends on a setting."""
    return any(
        key == part or key.startswith(f"{part}.") or part.startswith(f"{key}.") for part in DEPENDS_ON[component]
    )


def _parameter(config: Config, key: str) -> Json:
    value: Any = config.model_dump(exclude_none=True)
    for part in key.split("."):
        if not isinstance(value, Mapping) or part not in value:
            raise UserError(f"kubeflow.parameters: {key} is no setting, or has no value that would tell its type")
        value = value[part]
    return {"parameterType": _TYPES[type(value)], "defaultValue": value, "isOptional": True}


def _limits(resources: ResourcesConfig) -> Json:
    limits: Json = {}
    if resources.cpu:
        limits |= {"resourceCpuRequest": resources.cpu, "resourceCpuLimit": resources.cpu}
    if resources.memory:
        limits |= {"resourceMemoryRequest": resources.memory, "resourceMemoryLimit": resources.memory}
    if resources.gpus:
        limits["accelerator"] = {"resourceType": resources.gpu_type, "resourceCount": str(resources.gpus)}
    return limits


def _on_kubernetes(config: Config, resources: ResourcesConfig) -> Json:
    made = kubernetes.KubernetesExecutorConfig()
    if resources.node_selector:
        made.node_selector.labels.update(resources.node_selector)
    for toleration in resources.tolerations:
        made.tolerations.add(**toleration.model_dump(exclude_none=True))
    if resources.timeout_seconds:
        made.active_deadline_seconds = resources.timeout_seconds
    for secret in config.kubeflow.secrets:
        of_secret = made.secret_as_env.add(secret_name=secret.name)
        of_secret.secret_name_parameter.runtime_value.constant.string_value = secret.name
        for key, variable in secret.environment.items():
            of_secret.key_to_env.add(secret_key=key, env_var=variable)
    if volume := config.kubeflow.volume:
        mount = made.pvc_mount.add(mount_path=volume.path, constant=volume.claim)
        mount.pvc_name_parameter.runtime_value.constant.string_value = volume.claim
    return json_format.MessageToDict(made)
