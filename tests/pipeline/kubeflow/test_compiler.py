from __future__ import annotations

import json

import pytest
import yaml
from google.protobuf import json_format
from kfp.kubernetes import kubernetes_executor_config_pb2 as kubernetes
from kfp.pipeline_spec import pipeline_spec_pb2

from kubeflow_runner import compile_pipeline
from pipeline import config_files
from pipeline.kubeflow import compiler, needs
from word2vec.errors import UserError


def load(**values):
    return config_files.load("kubeflow", values=values)


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
        sources = task.get("inputs", {}).get("parameters", {})
        assert set(defined) == set(sources)
        for parameter, source in sources.items():
            if "componentInputParameter" in source:
                kind = parameters[source["componentInputParameter"]]["parameterType"]
                assert defined[parameter] == {"parameterType": kind}


def test_facts_come_from_tasks_that_have_ended():
    spec, _ = compiler.compile_pipeline(load())
    tasks = spec["root"]["dag"]["tasks"]
    found = {}
    for name, task in tasks.items():
        for parameter, source in task["inputs"]["parameters"].items():
            if "taskOutputParameter" in source:
                producer, output = source["taskOutputParameter"].values()
                assert producer in task["dependentTasks"]
                assert spec["components"][producer]["outputDefinitions"]["parameters"][output] == {
                    "parameterType": "STRING"
                }
                found[name, parameter] = producer
    assert found == {
        ("ExampleGen", "corpus_fingerprint"): "Fingerprints",
        ("QuestionExampleGen", "benchmarks_fingerprint"): "Fingerprints",
        ("SchemaGen", "schema_fingerprint"): "Fingerprints",
        ("PushedVersion", "model_identity"): "Trainer",
        ("Baseline", "pushed_version"): "PushedVersion",
    }


def test_the_trainer_takes_what_the_tuner_found():
    config = load(**{"tuner.trials": 3, "tuner.trainer": {"negatives": [5, 10]}, "tuner.seed": 7})
    spec, _ = compiler.compile_pipeline(config)
    tasks = spec["root"]["dag"]["tasks"]
    taken = {
        (name, key): source["taskOutputArtifact"]
        for name, task in tasks.items()
        for key, source in task["inputs"].get("artifacts", {}).items()
        if source["taskOutputArtifact"]["producerTask"] == "Tuner"
    }
    best, results = (
        {"producerTask": "Tuner", "outputArtifactKey": key} for key in ("best_hyperparameters", "tuner_results")
    )
    assert taken == {
        ("Trainer", "hyperparameters"): best,
        ("ModelCard", "best_hyperparameters"): best,
        ("ModelCard", "tuner_results"): results,
    }
    assert tasks["Tuner"]["inputs"]["artifacts"]["questions"]["taskOutputArtifact"] == {
        "producerTask": "QuestionExampleGen", "outputArtifactKey": "examples"
    }  # fmt: skip
    arguments = spec["deploymentSpec"]["executors"]["Tuner_executor"]["container"]["args"]
    told = json.loads(arguments[arguments.index("--settings") + 1])
    assert (told["tuner.trainer"], told["tuner.seed"]) == ({"negatives": [5, 10]}, 7)


def test_without_trials_no_task_is_told_of_a_tuner():
    made = compiler.tfx_spec(load())
    assert "Tuner" not in made["root"]["dag"]["tasks"]
    assert "tuning" not in compiler.TfxComponent.of(made, "QuestionExampleGen").parameters
    assert compiler.TfxComponent.of(made, "Evaluator").parameters["example_splits"] == "null"
    trainer = json.loads(compiler.TfxComponent.of(made, "Trainer").parameters["custom_config"])
    assert trainer["trainer"]["learning_rate"] == 0.03


def test_a_setting_stands_in_the_command_of_those_alone_that_depend_on_it():
    """So that another number of words in the report does not train anew."""
    commands = {}
    for words in (20, 30):
        spec, _ = compiler.compile_pipeline(load(**{"report.map_words": words}))
        for name, executor in spec["deploymentSpec"]["executors"].items():
            commands.setdefault(name, []).append(executor["container"])
    assert [name for name, (one, other) in commands.items() if one != other] == ["Report_executor"]


def test_where_and_how_stands_in_the_environment():
    """At which KFP's cache does not look."""
    beam = {"beam.workers": 4, "beam.options": ["--experiments=x"]}
    specs = [compiler.compile_pipeline(load(**values))[0] for values in ({}, beam)]
    one, other = (spec["deploymentSpec"]["executors"]["Transform_executor"]["container"] for spec in specs)
    assert one["args"] == other["args"]
    assert one["env"] != other["env"]


def test_artifacts_go_where_the_settings_say():
    spec, _ = compiler.compile_pipeline(load(**{"kubeflow.root": "s3://my-bucket/artifacts"}))
    assert spec["defaultPipelineRoot"] == "s3://my-bucket/artifacts"


def test_no_argument_is_near_the_limit():
    spec, _ = compiler.compile_pipeline(load())
    arguments = [
        part for executor in spec["deploymentSpec"]["executors"].values() for part in executor["container"]["args"]
    ]
    assert max(map(len, arguments)) < 4096


@pytest.mark.parametrize("key", ["trainer.epoch", "trainer.blocks_per_step"])
def test_a_parameter_that_can_be_none(key):
    with pytest.raises(UserError, match=f"kubeflow.parameters: {key}"):
        compiler.compile_pipeline(load(**{"kubeflow.parameters": [key]}))


def test_resources_and_kubernetes():
    config = load(
        **{
            "kubeflow.resources": {
                "default": {"cpu": "1", "memory": "2Gi", "retries": 2, "timeout_seconds": 300},
                "Trainer": {
                    "cpu": "8", "gpus": 1, "timeout_seconds": 600, "node_selector": {"pool": "gpu"},
                    "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}],
                },
            },
            "kubeflow.volume": {"claim": "models", "path": "/mnt/models"},
            "kubeflow.secrets": [{"name": "s3", "environment": {"key": "AWS_SECRET_ACCESS_KEY"}}],
            "kubeflow.image_pull_secrets": ["registry"],
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
    assert {task["retryPolicy"]["maxRetryCount"] for task in tasks.values()} == {2}
    json_format.ParseDict(platform, pipeline_spec_pb2.PlatformSpec())
    of_executors = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert set(of_executors) == set(executors)
    trainer = json_format.ParseDict(of_executors["Trainer_executor"], kubernetes.KubernetesExecutorConfig())
    assert dict(trainer.node_selector.labels) == {"pool": "gpu"}
    assert (trainer.tolerations[0].key, trainer.tolerations[0].effect) == ("gpu", "NoSchedule")
    assert trainer.active_deadline_seconds == 600
    assert (trainer.pvc_mount[0].constant, trainer.pvc_mount[0].mount_path) == ("models", "/mnt/models")
    assert trainer.secret_as_env[0].key_to_env[0].env_var == "AWS_SECRET_ACCESS_KEY"
    assert trainer.image_pull_secret[0].secret_name_parameter.runtime_value.constant.string_value == "registry"
    assert not trainer.field_path_as_env
    pusher = json_format.ParseDict(of_executors["Pusher_executor"], kubernetes.KubernetesExecutorConfig())
    assert not pusher.node_selector.labels


@pytest.mark.parametrize(("timeout", "retries"), [(60, 1), (3600, 5), (None, 2)])
def test_argo_lets_all_tries_be_made(timeout, retries):
    """It counts from the first one's start, takes no limit for 0 seconds, and starts none after it."""
    resources = {"default": {"retries": retries, "timeout_seconds": timeout}}
    spec, _ = compiler.compile_pipeline(load(**{"kubeflow.resources": resources}))
    for task in spec["root"]["dag"]["tasks"].values():
        policy = json_format.ParseDict(task["retryPolicy"], pipeline_spec_pb2.PipelineTaskSpec.RetryPolicy())
        pauses = sum(policy.backoff_duration.seconds * policy.backoff_factor**n for n in range(retries))
        assert policy.backoff_max_duration.seconds > (timeout or 30 * 86400) * (retries + 1) + pauses


def test_what_looks_outside_is_never_cached():
    spec, _ = compiler.compile_pipeline(load(**{"kubeflow.uncached": ["Trainer"]}))
    tasks = spec["root"]["dag"]["tasks"]
    uncached = {name for name, task in tasks.items() if not task["cachingOptions"].get("enableCache")}
    assert uncached == {"Trainer", "Pusher", *needs.PROBES}


def test_tfx_finds_its_own_pod():
    _, platform = compiler.compile_pipeline(load(**{"serving.infra_validation": "kubernetes"}))
    executors = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    told = executors["InfraValidator_executor"]["fieldPathAsEnv"]
    assert told == [{"name": "KFP_NAMESPACE", "fieldPath": "metadata.namespace"}]


def test_the_file_has_both_documents(tmp_path):
    config = load(**{"kubeflow.volume": {"claim": "models", "path": "/mnt/models"}})
    compile_pipeline(config, tmp_path / "pipeline.yaml")
    spec, platform = yaml.safe_load_all((tmp_path / "pipeline.yaml").read_text())
    json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
    json_format.ParseDict(platform, pipeline_spec_pb2.PlatformSpec())
    assert [path.name for path in tmp_path.iterdir()] == ["pipeline.yaml"]


def test_a_task_whose_job_trains_is_a_small_one():
    """The job's pods get what `resources.Trainer` says; the task has its retries, and knows its own pod."""
    resources = {
        "default": {"cpu": "1", "memory": "4Gi", "node_selector": {"pool": "small"}, "gpus": 1},
        "Trainer": {"cpu": "8", "memory": "64Gi", "gpus": 4, "node_selector": {"pool": "large"}, "retries": 3},
    }
    values = {"kubeflow.resources": resources, "trainer.strategy": "multi_worker"}
    spec, platform = compiler.compile_pipeline(load(**values))
    container = spec["deploymentSpec"]["executors"]["Trainer_executor"]["container"]
    assert container["resources"] == {
        **{"resourceCpuRequest": "1", "resourceCpuLimit": "1"},
        **{"resourceMemoryRequest": "4Gi", "resourceMemoryLimit": "4Gi"},
    }
    assert spec["root"]["dag"]["tasks"]["Trainer"]["retryPolicy"]["maxRetryCount"] == 3
    of_executors = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    own = of_executors["Trainer_executor"]
    assert own["nodeSelector"]["labels"] == {"pool": "small"}
    assert {each["name"]: each["fieldPath"] for each in own["fieldPathAsEnv"]} == {
        "TFX_WORD2VEC_NAMESPACE": "metadata.namespace",
        "TFX_WORD2VEC_POD": "metadata.name",
        "TFX_WORD2VEC_POD_UID": "metadata.uid",
    }
    assert "fieldPathAsEnv" not in of_executors["Evaluator_executor"]
    spec, platform = compiler.compile_pipeline(load(**{**values, "trainer.strategy": "auto"}))
    container = spec["deploymentSpec"]["executors"]["Trainer_executor"]["container"]
    assert container["resources"]["accelerator"]["resourceCount"] == "4"
    own = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]["Trainer_executor"]
    assert "fieldPathAsEnv" not in own
