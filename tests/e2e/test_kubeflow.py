from __future__ import annotations

import json
import subprocess
import sys

import pytest
import yaml
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from kubeflow_runner import compile_pipeline
from pipeline import config_files
from pipeline.kubeflow import compiler
from tests.e2e.conftest import ROOT
from word2vec.errors import UserError


@pytest.fixture(scope="module")
def spec(tmp_path_factory):
    output = tmp_path_factory.mktemp("kubeflow") / "pipeline.yaml"
    output.write_text("an older one")
    command = [sys.executable, str(ROOT / "kubeflow_runner.py"), "compile", "--output", str(output)]
    done = subprocess.run(
        [*command, "--set", "trainer.epochs=7"],
        cwd=output.parent,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert [path.name for path in output.parent.iterdir()] == ["pipeline.yaml"]
    document, _ = yaml.safe_load_all(output.read_text())
    return json_format.ParseDict(document, pipeline_spec_pb2.PipelineSpec())


def test_it_is_the_local_pipeline(spec):
    assert spec.schema_version == "2.1.0"
    tasks = spec.root.dag.tasks
    assert set(tasks) == {
        *("QuestionExampleGen", "ExampleGen", "SchemaGen", "StatisticsGen", "ExampleValidator"),
        *("Transform", "Trainer", "Baseline", "Evaluator", "ModelCard", "Pusher", "Report"),
        *("Fingerprints", "PushedVersion"),
    }
    assert set(tasks["Pusher"].dependent_tasks) == {"Trainer", "Evaluator", "ModelCard"}
    assert "ExampleValidator" in tasks["Transform"].dependent_tasks
    assert spec.root.input_definitions.parameters["trainer_epochs"].default_value.number_value == 7


def test_tf_serving_can_be_asked_before_the_push(tmp_path):
    settings = ["serving.infra_validation=kubernetes", "serving.tags=[a, b]"]
    config = config_files.load("kubeflow", settings)
    compile_pipeline(config, tmp_path / "pipeline.yaml")
    found, _ = yaml.safe_load_all((tmp_path / "pipeline.yaml").read_text())
    spec = json_format.ParseDict(found, pipeline_spec_pb2.PipelineSpec())
    tasks = spec.root.dag.tasks
    assert set(tasks["Pusher"].dependent_tasks) == {"Trainer", "Evaluator", "ModelCard", "InfraValidator"}
    made = compiler.TfxComponent.of(compiler.tfx_spec(config), "InfraValidator")
    serving = json.loads(made.parameters["serving_spec"])
    assert serving["tensorflow_serving"] == {"image_name": "tensorflow/serving", "tags": ["a", "b"]}
    assert "kubernetes" in serving


def test_every_executor_is_a_container_that_kfp_can_run(spec):
    """Its backend knows no resolvers, and does not run TFX's drivers."""
    for executor in json_format.MessageToDict(spec.deployment_spec)["executors"].values():
        assert set(executor) == {"container"}
        assert set(executor["container"]) <= {"image", "command", "args", "env"}
        assert executor["container"]["image"] == "tfx-word2vec:latest"


def test_nothing_of_this_machine_is_in_it(spec):
    assert str(ROOT) not in str(spec)


@pytest.mark.parametrize(
    ("settings", "output", "message"),
    [
        (["name=Capitals"], "p.yaml", "name = 'Capitals'"),
        ([], "p.json", r"ends in \.yaml"),
    ],
)
def test_settings_that_a_cluster_can_not_use(tmp_path, settings, output, message):
    with pytest.raises(UserError, match=message):
        compile_pipeline(config_files.load("kubeflow", settings), tmp_path / output)
    assert not list(tmp_path.iterdir())


def test_our_own_artifact_type_is_found_by_its_name():
    from tfx.utils import import_utils

    from components.card.component import ModelCardArtifact

    assert import_utils.import_class_by_path(ModelCardArtifact.TYPE_NAME) is ModelCardArtifact
