from __future__ import annotations

import json
import pathlib

import pytest
from google.protobuf import json_format, struct_pb2
from kfp.pipeline_spec import pipeline_spec_pb2

from pipeline import config_files
from pipeline.kubeflow import launcher


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("minio://bucket/a/b", "/minio/bucket/a/b"),
        ("s3://bucket/a", "/s3/bucket/a"),
        ("gs://bucket/a", "/gcs/bucket/a"),
        ("/mnt/models/1", "/mnt/models/1"),
    ],
)
def test_local_path(uri, path, monkeypatch):
    assert launcher.local_path(uri) == path
    monkeypatch.setenv(launcher.MIRROR, "/rehearsal")
    assert launcher.local_path(uri) == (path if uri == path else f"/rehearsal{path}")


@pytest.mark.parametrize("value", [3, 0.5, "x", True, [1, "a"], {"a": {"b": 0.25}}])
def test_plain(value):
    found = launcher._plain(json_format.ParseDict(value, struct_pb2.Value()))
    assert found == value
    assert type(found) is type(value)


def make_invocation(tmp_path, **parameters):
    return json_format.ParseDict(
        {
            "inputs": {
                "parameterValues": {"custom_config": "old", **parameters},
                "artifacts": {
                    name: {"artifacts": [{"name": "1", "uri": f"minio://bucket/{name}"}]}
                    for name in ("model", "baseline_model")
                },
            },
            "outputs": {
                "outputFile": str(tmp_path / "output.json"),
                "artifacts": {"evaluation": {"artifacts": [{"name": "2", "uri": "minio://bucket/evaluation"}]}},
            },
        },
        pipeline_spec_pb2.ExecutorInput(),
    )


def test_parameters_of_the_run_come_over_the_settings(tmp_path):
    config = config_files.load("kubeflow")
    invocation = make_invocation(tmp_path, trainer_epochs=3, skipgram_window=2)
    launcher._put_parameters(invocation, "Trainer", config.model_dump())
    given = json_format.MessageToDict(invocation.inputs)["parameterValues"]
    assert not {"trainer_epochs", "skipgram_window"} & set(given)
    custom = json.loads(given["custom_config"])
    assert (custom["trainer"]["epochs"], custom["skipgram"]["window"]) == (3, 2)
    assert custom["trainer"]["dimensions"] == config.trainer.dimensions


def test_a_parameter_of_the_wrong_type_is_said(tmp_path):
    invocation = make_invocation(tmp_path, trainer_epochs=-3)
    with pytest.raises(config_files.UserError, match=r"trainer\.epochs"):
        launcher._put_parameters(invocation, "Trainer", config_files.load("kubeflow").model_dump())


@pytest.mark.parametrize("has_baseline", [True, False])
def test_uris_types_and_the_baseline(tmp_path, monkeypatch, has_baseline):
    monkeypatch.setenv(launcher.MIRROR, str(tmp_path))
    invocation = make_invocation(tmp_path)
    uris = launcher._localize(invocation)
    evaluation = f"{tmp_path}/minio/bucket/evaluation"
    assert uris == {evaluation: "minio://bucket/evaluation"}
    assert invocation.outputs.artifacts["evaluation"].artifacts[0].uri == evaluation
    folder = tmp_path / "minio" / "bucket" / "baseline_model" / "Format-Serving"
    folder.mkdir(parents=True)
    if has_baseline:
        (folder / "saved_model.pb").write_bytes(b"model")
    kind = {"artifactType": {"instanceSchema": "title: tfx.Model"}}
    spec = json_format.ParseDict(
        {"artifacts": {"model": kind, "baseline_model": kind}}, pipeline_spec_pb2.ComponentInputsSpec()
    )
    launcher._complete(invocation, spec)
    assert ("baseline_model" in invocation.inputs.artifacts) == has_baseline
    assert invocation.inputs.artifacts["model"].artifacts[0].type.instance_schema == "title: tfx.Model"
    output = pipeline_spec_pb2.ExecutorOutput()
    output.artifacts["evaluation"].artifacts.add(name="2", uri=evaluation)
    (tmp_path / "output.json").write_text(json_format.MessageToJson(output))
    launcher._restore(str(tmp_path / "output.json"), uris)
    written = json.loads((tmp_path / "output.json").read_text())
    assert written["artifacts"]["evaluation"]["artifacts"][0]["uri"] == "minio://bucket/evaluation"


def test_an_engines_workers_see_copies(tmp_path, monkeypatch):
    """What runs on an engine gets copies of its inputs, and its outputs come back; nothing else stays behind."""
    monkeypatch.setenv(launcher.MIRROR, str(tmp_path))
    invocation = make_invocation(tmp_path)
    uris = launcher._localize(invocation)
    (evaluation,) = uris
    model = tmp_path / "minio" / "bucket" / "model" / "Format-Serving"
    model.mkdir(parents=True)
    (model / "weights").write_text("1 2 3")
    exchange = tmp_path / "exchange"
    with launcher._shared(invocation, f"{exchange}/") as shared:
        assert invocation.inputs.artifacts["model"].artifacts[0].uri.startswith(f"{exchange}/")
        copied = pathlib.Path(invocation.inputs.artifacts["model"].artifacts[0].uri, "Format-Serving", "weights")
        assert copied.read_text() == "1 2 3"
        made = pathlib.Path(invocation.outputs.artifacts["evaluation"].artifacts[0].uri, "Split-train")
        assert shared == {str(made.parent): evaluation}
        made.mkdir(parents=True)
        (made / "result").write_text("blessed")
    assert pathlib.Path(evaluation, "Split-train", "result").read_text() == "blessed"
    assert not list(exchange.iterdir())
