"""A rehearsal of a small specification, whose containers write down what they are given."""

from __future__ import annotations

import json

import pytest
import yaml

import kubeflow_runner
from pipeline.kubeflow.rehearsal import container, run
from word2vec.errors import UserError

# Writes what it was given, and an artifact with an empty folder and metadata of all kinds.
MAKE = """
import json, os, sys
given = json.loads(sys.argv[1])
folder = given["outputs"]["artifacts"]["made"]["artifacts"][0]["uri"].replace("minio://", "/minio/")
for logs in given["outputs"]["artifacts"].get("executor-logs", {"artifacts": []})["artifacts"]:
    assert os.path.isfile(logs["uri"].replace("minio://", "/minio/"))  # as KFP's launcher opens it first
os.makedirs(folder + "/empty")
open(folder + "/given.json", "w").write(sys.argv[1])
print("so it goes")
output = given["outputs"]["outputFile"]
os.makedirs(os.path.dirname(output), exist_ok=True)
made = {"uri": folder.replace("/minio/", "minio://"), "metadata": {"good": True, "words": ["a"]}}
json.dump({"artifacts": {"made": {"artifacts": [made]}}}, open(output, "w"))
os.makedirs("/tmp/kfp/outputs", exist_ok=True)
open(given["outputs"]["parameters"]["found"]["outputFile"], "w").write("7")
"""
USE = """
import json, os, sys
given = json.loads(sys.argv[1])
folder = given["inputs"]["artifacts"]["made"]["artifacts"][0]["uri"].replace("minio://", "/minio/")
assert os.listdir(folder) == ["given.json"], os.listdir(folder)
open("/mnt/models/given.json", "w").write(sys.argv[1])
"""


def make_spec():
    kind = {"artifactType": {"instanceSchema": "title: tfx.Model\ntype: object\n"}}
    tasks = {
        "Use": {
            "taskInfo": {"name": "Use"}, "componentRef": {"name": "Use"}, "dependentTasks": ["Make"],
            "cachingOptions": {"enableCache": True},
            "inputs": {
                "artifacts": {"made": {"taskOutputArtifact": {"producerTask": "Make", "outputArtifactKey": "made"}}},
                "parameters": {
                    "found": {"taskOutputParameter": {"producerTask": "Make", "outputParameterKey": "found"}},
                },
            },
        },
        "Make": {
            "taskInfo": {"name": "Make"}, "componentRef": {"name": "Make"}, "cachingOptions": {"enableCache": True},
            "inputs": {"parameters": {"epochs": {"componentInputParameter": "epochs"}}},
        },
    }  # fmt: skip
    executors = {
        f"{name}_executor": {"container": {
            "image": "any", "command": ["python"], "args": ["-c", script, "{{$}}", "--settings", "{}"],
        }}
        for name, script in (("Make", MAKE), ("Use", USE))
    }  # fmt: skip
    return {
        "pipelineInfo": {"name": "small"},
        "defaultPipelineRoot": "minio://bucket/root",
        "root": {
            "dag": {"tasks": tasks},
            "inputDefinitions": {"parameters": {"epochs": {"parameterType": "NUMBER_INTEGER", "defaultValue": 3}}},
        },
        "components": {
            "Make": {
                "executorLabel": "Make_executor",
                "outputDefinitions": {
                    "artifacts": {"made": kind},
                    "parameters": {"found": {"parameterType": "STRING"}},
                },
            },
            "Use": {"executorLabel": "Use_executor", "inputDefinitions": {"artifacts": {"made": kind}}},
        },
        "deploymentSpec": {"executors": executors},
    }


VOLUME = {"pvcMount": [{"mountPath": "/mnt/models", "pvcNameParameter": {"runtimeValue": {"constant": "models"}}}]}
PLATFORM = {"platforms": {"kubernetes": {"deploymentSpec": {"executors": {"Use_executor": VOLUME}}}}}


@pytest.fixture
def rehearse(tmp_path):
    """Runs a specification; returns (the tasks that ran, what the second one was given)."""
    try:
        container.check()
    except UserError as error:
        pytest.skip(str(error))

    def start(spec, version="2.15", **parameters):
        ran = []

        def tell(task, seconds, *, cached):
            if not cached:
                ran.append(task)

        run.Rehearsal(spec, PLATFORM, tmp_path, {}, parameters, tell, run.VERSIONS[version]).run()
        return ran, json.loads((tmp_path / "volumes" / "models" / "given.json").read_text())

    return start


def test_what_a_task_is_given(rehearse, tmp_path):
    """Inputs: named by ids, without types, with metadata of KFP's own; outputs: KFP's logs beside the declared ones."""
    ran, given = rehearse(make_spec())
    assert ran == ["Make", "Use"]
    (made,) = given["inputs"]["artifacts"]["made"]["artifacts"]
    assert made["name"].isdecimal()
    assert made["type"] == {"instanceSchema": ""}
    assert (made["metadata"]["good"], made["metadata"]["words"]) == (1, {"list": ["a"]})
    assert {"display_name", "store_session_info"} <= set(made["metadata"])
    assert given["inputs"]["parameterValues"] == {"found": "7"}
    (logs,) = given["outputs"]["artifacts"]["executor-logs"]["artifacts"]
    assert logs["type"] == {"schemaTitle": "system.Artifact"}
    *_, pipeline, run_id, task, unique, name = made["uri"].split("/")
    assert (pipeline, task, name) == ("small", "Make", "made")
    assert logs["uri"].split("/")[4:7] == ["small", run_id, "Use"]
    assert len(unique) == 36
    (stored,) = (tmp_path / "store" / "minio" / "bucket" / "root" / "small" / run_id / "Make").glob("*/executor-logs")
    assert stored.read_text() == "so it goes\n"


@pytest.mark.parametrize(
    ("version", "has_logs", "file"),
    [
        ("2.4", False, "/tmp/kfp_outputs/output_metadata.json"),
        ("2.5", True, "/tmp/kfp_outputs/output_metadata.json"),
        ("2.15", True, "/minio/bucket/root/small/"),
    ],
)
def test_versions(rehearse, version, has_logs, file):
    _, given = rehearse(make_spec(), version)
    assert ("executor-logs" in given["outputs"]["artifacts"]) == has_logs
    assert given["outputs"]["outputFile"].startswith(file)


def test_the_cache(rehearse):
    spec = make_spec()
    assert rehearse(spec)[0] == ["Make", "Use"]
    assert rehearse(spec)[0] == []
    assert rehearse(spec, epochs=4)[0] == ["Make", "Use"]  # another artifact, if of the same content
    assert rehearse(spec, epochs=3)[0] == []
    spec["root"]["dag"]["tasks"]["Make"]["cachingOptions"] = {}
    assert rehearse(spec)[0] == ["Make", "Use"]


def test_an_artifact_that_is_two_inputs_of_a_task(rehearse):
    """ML Metadata's store refuses the second event."""
    spec = make_spec()
    inputs = spec["root"]["dag"]["tasks"]["Use"]["inputs"]["artifacts"]
    inputs["made_2"] = inputs["made"]
    with pytest.raises(UserError, match="Use: the inputs made and made_2 are one artifact"):
        rehearse(spec)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [({"epochs": "3"}, "expected a whole number"), ({"nothing": 1}, "nothing: there is none")],
)
def test_parameters_that_the_api_server_refuses(rehearse, parameters, message):
    with pytest.raises(UserError, match=message):
        rehearse(make_spec(), **parameters)


def test_arguments_that_no_process_can_be_given(rehearse):
    spec = make_spec()
    spec["deploymentSpec"]["executors"]["Use_executor"]["container"]["args"].append("x" * 131_072)
    with pytest.raises(UserError, match=r"^Use: argument --container of KFP's driver has 131,\d+ bytes"):
        rehearse(spec)


def test_a_task_that_fails_shows_the_end_of_its_log(rehearse):
    spec = make_spec()
    spec["deploymentSpec"]["executors"]["Use_executor"]["container"]["args"][1] = "import sys; sys.exit('no such luck')"
    with pytest.raises(UserError, match=r"^Use failed with exit code 1; .*log.txt ends so:\nno such luck"):
        rehearse(spec)
    assert rehearse(make_spec())[0] == ["Use"]


def test_what_is_no_pipeline_is_said(tmp_path, capsys):
    (tmp_path / "broken.yaml").write_text("root: [")
    (tmp_path / "other.yaml").write_text("a: 1")
    (tmp_path / "empty.yaml").write_text("")
    for name in ("broken.yaml", "other.yaml", "empty.yaml", "missing.yaml"):
        arguments = ["rehearse", "--folder", str(tmp_path / "r"), "--pipeline", str(tmp_path / name)]
        assert kubeflow_runner.main(arguments) == 1
        assert "not a compiled pipeline" in capsys.readouterr().err


def test_the_command_line(tmp_path, capsys):
    arguments = ["rehearse", "--folder", str(tmp_path / "r")]
    assert kubeflow_runner.main([*arguments, "--volume", "models"]) == 1
    assert "--volume models: expected CLAIM=FOLDER" in capsys.readouterr().err
    assert kubeflow_runner.main([*arguments, "--set", "serving.infra_validation=kubernetes"]) == 1
    assert "rehearse: there is no Kubernetes here" in capsys.readouterr().err
    assert kubeflow_runner.main([*arguments, "--parameter", "nothing=1"]) == 1
    assert "parameter nothing: there is none. There are corpus_paths" in " ".join(capsys.readouterr().err.split())
    spec = next(iter(yaml.safe_load_all((tmp_path / "r" / "pipeline.yaml").read_text())))
    assert spec["pipelineInfo"]["name"] == "tfx-word2vec"
