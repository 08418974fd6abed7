from __future__ import annotations

import json

import pytest
from google.protobuf import json_format

from pipeline.kubeflow import compiler, invocation
from tests.pipeline.kubeflow.conftest import make_invocation


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("minio://bucket/a/b", "/minio/bucket/a/b"),
        ("s3://bucket/a", "/s3/bucket/a"),
        ("gs://bucket/a", "/gcs/bucket/a"),
        ("/mnt/models/1", "/mnt/models/1"),
    ],
)
def test_local_path_and_back(uri, path):
    assert invocation.local_path(uri) == path
    assert invocation.remote_uri(path) == uri


@pytest.fixture
def prepared(config, mirror):
    """What TFX's entry point would be given for the Evaluator."""

    def run(has_baseline=True):
        folder = mirror / "minio" / "bucket" / "baseline_model" / "Format-Serving"
        folder.mkdir(parents=True)
        if has_baseline:
            (folder / "saved_model.pb").write_bytes(b"model")
        asked = make_invocation(mirror / "output.json", evaluator_thresholds={"x": 1})
        component = compiler.in_container("Evaluator", config, {}, "")
        invocation.keep_declared(asked, component)
        invocation.localize(asked)
        invocation.complete(asked, component.inputs)
        return asked

    return run


def test_what_kfp_adds_is_passed_over(prepared):
    """Its logs among the outputs (PUBLISH_LOGS, from 2.5 on), and whatever comes next."""
    asked = prepared()
    assert set(asked.outputs.artifacts) == {"evaluation", "blessing"}
    assert set(asked.inputs.artifacts) == {"model", "baseline_model", "examples"}
    assert not asked.outputs.parameters
    assert set(asked.inputs.parameter_values) == {
        "eval_config", "example_splits", "fairness_indicator_thresholds",
    }  # fmt: skip


def test_facts_go_where_others_look_for_them_and_nowhere_else():
    asked = make_invocation("output.json")
    asked.outputs.parameters["identity"].output_file = "/tmp/kfp/outputs/identity"
    assert invocation.facts_wanted("Trainer", asked) == ["/tmp/kfp/outputs/identity"]
    assert invocation.facts_wanted("Evaluator", asked) == []


def test_inputs_are_again_what_tfx_put_out(prepared):
    model = prepared().inputs.artifacts["model"].artifacts[0]
    assert model.type.instance_schema.startswith("title: tfx.Model\n")
    assert json_format.MessageToDict(model.metadata) == {"tfx_version": "1.21.0", "words": [1]}


@pytest.mark.parametrize("value", [[1, "a"], {"a": {"b": 0.25}}, "text", 1.5])
def test_lists_and_mappings_are_wrapped_by_kfp_alone(value):
    wrapped = {"list": value} if isinstance(value, list) else {"struct": value} if isinstance(value, dict) else value
    assert invocation.unwrapped({"key": wrapped}) == {"key": value}


@pytest.mark.parametrize("has_baseline", [True, False])
def test_a_baseline_without_files_is_none(prepared, has_baseline):
    """An object store has no empty folders."""
    assert ("baseline_model" in prepared(has_baseline).inputs.artifacts) == has_baseline


def test_uris_are_put_back_wherever_they_stand(mirror):
    written = {
        "artifacts": {
            "blessing": {
                "artifacts": [
                    {
                        "name": "blessing",
                        "uri": f"{mirror}/minio/bucket/blessing",
                        "metadata": {
                            "blessed": 1,
                            "current_model": f"{mirror}/minio/bucket/model",
                            "all": [f"{mirror}/s3/other/model", "/mnt/models/1"],
                            "copied": "/mnt/exchange/5/out/blessing/0/part",
                        },
                    }
                ]
            }
        }
    }
    path = mirror / "output.json"
    path.write_text(json.dumps(written))
    invocation.restore(str(path), {"/mnt/exchange/5/out/blessing/0": f"{mirror}/minio/bucket/blessing"})
    (artifact,) = json.loads(path.read_text())["artifacts"]["blessing"]["artifacts"]
    assert artifact["uri"] == "minio://bucket/blessing"
    assert artifact["metadata"] == {
        "blessed": 1,
        "current_model": "minio://bucket/model",
        "all": ["s3://other/model", "/mnt/models/1"],
        "copied": "minio://bucket/blessing/part",
    }
