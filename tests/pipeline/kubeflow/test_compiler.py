from __future__ import annotations

import pytest
import yaml
from google.protobuf import json_format
from kfp.kubernetes import kubernetes_executor_config_pb2 as kubernetes
from kfp.pipeline_spec import pipeline_spec_pb2

from components.errors import UserError
from kubeflow_runner import compile_pipeline
from pipeline import config_files
from pipeline.kubeflow import compiler

# Another value for each setting that is a parameter of a run by default.
OTHERS = {
    "name": "other",
    "corpus.paths": ["gs://texts/*.gz"],
    "skipgram.window": 9,
    "skipgram.min_count": 3,
    "trainer.epochs": 2,
    "trainer.dimensions": 64,
    "trainer.seed": 5,
    "evaluator.benchmarks": ["builtin://simlex999"],
    "evaluator.thresholds": {"simlex999": 0.2},
    "pusher.destination": "/mnt/other",
}


def load(**values):
    return config_files.load("kubeflow", values=values)


@pytest.fixture(scope="module")
def constants():
    def of(config):
        tasks = compiler.tfx_spec(config)["root"]["dag"]["tasks"]
        return {name: task.get("inputs", {}).get("parameters", {}) for name, task in tasks.items()}

    return of, of(load())


def test_every_default_parameter_is_tried():
    assert set(OTHERS) == set(load().kubeflow.parameters)


@pytest.mark.parametrize("key", OTHERS)
def test_who_depends_on_a_setting_is_given_it(constants, key):
    """And nobody else is: what KFP's cache knows of a component stays the same."""
    of, before = constants
    after = of(load(**{key: OTHERS[key]}))
    changed = {name for name in before if before[name] != after[name]}
    given = {name for name in before if compiler.depends_on(name, key)}
    assert changed
    assert changed <= given


def test_parameters_of_a_run():
    spec, _ = compiler.compile_pipeline(load(**{"evaluator.thresholds": {"wordsim353": 0.1}}))
    parameters = spec["root"]["inputDefinitions"]["parameters"]
    assert parameters["trainer_epochs"] == {"parameterType": "NUMBER_INTEGER", "defaultValue": 20, "isOptional": True}
    assert parameters["corpus_paths"]["parameterType"] == "LIST"
    assert parameters["evaluator_thresholds"]["defaultValue"] == {"wordsim353": {"lower_bound": 0.1}}
    tasks = spec["root"]["dag"]["tasks"]
    assert tasks["Trainer"]["inputs"]["parameters"]["trainer_epochs"] == {"componentInputParameter": "trainer_epochs"}
    assert "trainer_epochs" not in tasks["ExampleGen"]["inputs"]["parameters"]
    for name, task in tasks.items():
        defined = spec["components"][name].get("inputDefinitions", {}).get("parameters", {})
        for parameter, source in task.get("inputs", {}).get("parameters", {}).items():
            if "componentInputParameter" in source:
                assert defined[parameter] == parameters[source["componentInputParameter"]]


@pytest.mark.parametrize("key", ["trainer.epoch", "trainer.blocks_per_step"])
def test_a_parameter_that_can_be_none(key):
    with pytest.raises(UserError, match=f"kubeflow.parameters: {key}"):
        compiler.compile_pipeline(load(**{"kubeflow.parameters": [key]}))


def test_resources_and_kubernetes():
    config = load(
        **{
            "kubeflow.resources": {
                "default": {"cpu": "1", "memory": "2Gi", "retries": 2},
                "Trainer": {
                    "cpu": "8", "gpus": 1, "timeout_seconds": 600, "node_selector": {"pool": "gpu"},
                    "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}],
                },
            },
            "kubeflow.volume": {"claim": "models", "path": "/mnt/models"},
            "kubeflow.secrets": [{"name": "s3", "environment": {"key": "AWS_SECRET_ACCESS_KEY"}}],
        }
    )  # fmt: skip
    spec, platform = compiler.compile_pipeline(config)
    executors = spec["deploymentSpec"]["executors"]
    assert executors["Trainer_executor"]["container"]["resources"] == {
        "resourceCpuRequest": "8", "resourceCpuLimit": "8", "resourceMemoryRequest": "2Gi",
        "resourceMemoryLimit": "2Gi", "accelerator": {"resourceType": "nvidia.com/gpu", "resourceCount": "1"},
    }  # fmt: skip
    assert executors["Pusher_executor"]["container"]["resources"]["resourceCpuLimit"] == "1"
    tasks = spec["root"]["dag"]["tasks"]
    assert tasks["Trainer"]["retryPolicy"]["maxRetryCount"] == 2
    json_format.ParseDict(platform, pipeline_spec_pb2.PlatformSpec())
    of_executors = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert set(of_executors) == set(executors)
    trainer = json_format.ParseDict(of_executors["Trainer_executor"], kubernetes.KubernetesExecutorConfig())
    assert dict(trainer.node_selector.labels) == {"pool": "gpu"}
    assert (trainer.tolerations[0].key, trainer.tolerations[0].effect) == ("gpu", "NoSchedule")
    assert trainer.active_deadline_seconds == 600
    assert (trainer.pvc_mount[0].constant, trainer.pvc_mount[0].mount_path) == ("models", "/mnt/models")
    assert trainer.secret_as_env[0].key_to_env[0].env_var == "AWS_SECRET_ACCESS_KEY"
    pusher = json_format.ParseDict(of_executors["Pusher_executor"], kubernetes.KubernetesExecutorConfig())
    assert not pusher.node_selector.labels


def test_the_cache_is_off_where_inputs_may_change_unseen():
    spec, _ = compiler.compile_pipeline(load(**{"kubeflow.uncached": ["ExampleGen", "Trainer"]}))
    cached = {name for name, task in spec["root"]["dag"]["tasks"].items() if task["cachingOptions"].get("enableCache")}
    assert cached == set(compiler.DEPENDS_ON) - {"ExampleGen", "Trainer", "InfraValidator"}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kubeflow.resources": {"Trainr": {"cpu": "1"}}}, "no component Trainr"),
        ({"kubeflow.uncached": ["Trainr"]}, "no component Trainr"),
        ({"trainer.warm_start": True}, r"trainer\.warm_start"),
        ({"beam.runner": "flink", "beam.master": "flink:8081"}, r"beam\.exchange"),
        ({"kubeflow.parameters": ["beam.workers"]}, r"kubeflow\.parameters: beam\.workers"),
    ],
)
def test_what_a_cluster_can_not_do(values, message):
    with pytest.raises(UserError, match=message):
        compiler.compile_pipeline(load(**values))


def test_the_file_has_both_documents(tmp_path):
    config = load(**{"kubeflow.volume": {"claim": "models", "path": "/mnt/models"}})
    compile_pipeline(config, tmp_path / "pipeline.yaml")
    spec, platform = yaml.safe_load_all((tmp_path / "pipeline.yaml").read_text())
    json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
    json_format.ParseDict(platform, pipeline_spec_pb2.PlatformSpec())
    assert [path.name for path in tmp_path.iterdir()] == ["pipeline.yaml"]
