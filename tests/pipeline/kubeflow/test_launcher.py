from __future__ import annotations

import json
import pathlib

import pytest
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from pipeline import config_files
from pipeline.kubeflow import launcher, needs


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
    assert launcher.local_path(uri) == path
    assert launcher.remote_uri(path) == uri


@pytest.fixture
def config():
    return config_files.load("kubeflow", values={"beam.exchange": None})


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """KFP's folders, in one of the test's."""
    mirrors = {scheme: f"{tmp_path}{folder}" for scheme, folder in launcher._MIRRORS.items()}
    monkeypatch.setattr(launcher, "_MIRRORS", mirrors)
    return tmp_path


SESSION = json.dumps({"Provider": "minio", "Params": {"fromEnv": "false"}})


def make_invocation(output_file, **parameters):
    """An ExecutorInput as KFP's driver gives it: inputs are without types, and with metadata of KFP's own."""
    metadata = {"display_name": "model", "store_session_info": SESSION, "tfx_version": "1.21.0", "words": {"list": [1]}}
    return json_format.ParseDict(
        {
            "inputs": {
                "parameterValues": parameters,
                "artifacts": {
                    name: {
                        "artifacts": [
                            {
                                "name": "17",
                                "type": {"instanceSchema": ""},
                                "uri": f"minio://bucket/{name}",
                                "metadata": metadata,
                            }
                        ]
                    }
                    for name in ("model", "baseline_model", "examples", "something_new")
                },
            },
            "outputs": {
                "outputFile": str(output_file),
                "artifacts": {
                    name: {"artifacts": [{"name": name, "uri": f"minio://bucket/{name}", "type": {kind: title}}]}
                    for name, kind, title in (
                        ("evaluation", "instanceSchema", "title: tfx.ModelEvaluation\ntype: object\n"),
                        ("blessing", "instanceSchema", "title: tfx.ModelBlessing\ntype: object\n"),
                        ("executor-logs", "schemaTitle", "system.Artifact"),
                    )
                },
                "parameters": {"something_newer": {"outputFile": "/tmp/kfp/outputs/something_newer"}},
            },
        },
        pipeline_spec_pb2.ExecutorInput(),
    )


@pytest.fixture
def prepared(config, mirror):
    """What TFX's entry point would be given for the Evaluator."""

    def run(has_baseline=True):
        folder = mirror / "minio" / "bucket" / "baseline_model" / "Format-Serving"
        folder.mkdir(parents=True)
        if has_baseline:
            (folder / "saved_model.pb").write_bytes(b"model")
        invocation = make_invocation(mirror / "output.json", evaluator_thresholds={"x": 1})
        component = launcher._component("Evaluator", config, {}, "")
        launcher._keep_declared(invocation, component)
        launcher._localize(invocation)
        launcher._complete(invocation, component.inputs)
        return invocation

    return run


def test_what_kfp_adds_is_passed_over(prepared):
    """Its logs among the outputs (PUBLISH_LOGS, from 2.5 on), and whatever comes next."""
    invocation = prepared()
    assert set(invocation.outputs.artifacts) == {"evaluation", "blessing"}
    assert set(invocation.inputs.artifacts) == {"model", "baseline_model", "examples"}
    assert not invocation.outputs.parameters
    assert set(invocation.inputs.parameter_values) == {
        "eval_config", "example_splits", "fairness_indicator_thresholds",
    }  # fmt: skip


def test_facts_go_where_others_look_for_them_and_nowhere_else():
    invocation = make_invocation("output.json")
    invocation.outputs.parameters["identity"].output_file = "/tmp/kfp/outputs/identity"
    assert launcher._facts_wanted("Trainer", invocation) == ["/tmp/kfp/outputs/identity"]
    assert launcher._facts_wanted("Evaluator", invocation) == []


def test_inputs_are_again_what_tfx_put_out(prepared):
    model = prepared().inputs.artifacts["model"].artifacts[0]
    assert model.type.instance_schema.startswith("title: tfx.Model\n")
    assert json_format.MessageToDict(model.metadata) == {"tfx_version": "1.21.0", "words": [1]}


@pytest.mark.parametrize("value", [[1, "a"], {"a": {"b": 0.25}}, "text", 1.5])
def test_lists_and_mappings_are_wrapped_by_kfp_alone(value):
    wrapped = {"list": value} if isinstance(value, list) else {"struct": value} if isinstance(value, dict) else value
    assert launcher._unwrapped({"key": wrapped}) == {"key": value}


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
    launcher._restore(str(path), {"/mnt/exchange/5/out/blessing/0": f"{mirror}/minio/bucket/blessing"})
    (artifact,) = json.loads(path.read_text())["artifacts"]["blessing"]["artifacts"]
    assert artifact["uri"] == "minio://bucket/blessing"
    assert artifact["metadata"] == {
        "blessed": 1,
        "current_model": "minio://bucket/model",
        "all": ["s3://other/model", "/mnt/models/1"],
        "copied": "minio://bucket/blessing/part",
    }


def test_parameters_of_the_run_come_over_the_settings(config):
    settings = needs.settings_of("Trainer", config, config.kubeflow.parameters)
    own, _ = needs.config_in_container(settings, {"trainer_epochs": 3, "skipgram_window": 2})
    custom = json.loads(launcher._component("Trainer", own, {}, "/there").parameters["custom_config"])
    assert (custom["trainer"]["epochs"], custom["skipgram"]["window"]) == (3, 2)
    assert custom["trainer"]["dimensions"] == config.trainer.dimensions
    assert custom["checkpoints"] == "/there"


def test_a_parameter_that_can_not_be_is_one_line(config, capsys):
    """KFP's API server lets 2.5 pass for an integer."""
    settings = json.dumps(needs.settings_of("Trainer", config, ["trainer.epochs"]))
    asked = json.dumps({"inputs": {"parameterValues": {"trainer_epochs": 2.5}}})
    assert launcher.main(["--task", "Trainer", "--settings", settings, "--executor-input", asked]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: trainer.epochs = 2.5: ")
    assert said.count("\n") == 1


@pytest.mark.parametrize("task", ["Trainer", "Pusher", "InfraValidator"])
def test_what_a_task_can_not_write_is_said_before_it_works(task, monkeypatch, capsys):
    values = {
        "kubeflow.volume": {"claim": "models", "path": "/proc/1"},
        "pusher.destination": "/proc/1/word2vec",
        "serving.infra_validation": "kubernetes",
    }
    config = config_files.load("kubeflow", values=values)
    monkeypatch.setenv(needs.PLACE, needs.place(config))
    settings = json.dumps(needs.settings_of(task, config, []))
    assert launcher.main(["--task", task, "--settings", settings, "--executor-input", "{}"]) == 1
    said = capsys.readouterr().err
    assert "cannot be written by user" in said
    assert "the claim models" in said


def test_an_engines_workers_see_copies(mirror, tmp_path):
    """What runs on an engine gets copies of its inputs, and its outputs come back; nothing else stays behind."""
    exchange = tmp_path / "exchange"
    beam = {"runner": "flink", "master": "flink:8081", "exchange": f"{exchange}/"}
    config = config_files.load("kubeflow", values={"beam": beam})
    invocation = make_invocation(tmp_path / "output.json")
    launcher._localize(invocation)
    evaluation = invocation.outputs.artifacts["evaluation"].artifacts[0].uri
    model = mirror / "minio" / "bucket" / "model" / "Format-Serving"
    model.mkdir(parents=True)
    (model / "weights").write_text("1 2 3")
    with launcher._on_engine("Transform", config, invocation) as copies:
        assert invocation.inputs.artifacts["model"].artifacts[0].uri.startswith(f"{exchange}/")
        copied = pathlib.Path(invocation.inputs.artifacts["model"].artifacts[0].uri, "Format-Serving", "weights")
        assert copied.read_text() == "1 2 3"
        made = pathlib.Path(invocation.outputs.artifacts["evaluation"].artifacts[0].uri, "Split-train")
        assert copies[str(made.parent)] == evaluation
        made.mkdir(parents=True)
        (made / "result").write_text("blessed")
    assert pathlib.Path(evaluation, "Split-train", "result").read_text() == "blessed"
    assert not list(exchange.iterdir())


def test_the_infra_validator_works_on_the_volume(tmp_path):
    """TF Serving, in another pod, sees the volume, and nothing of this one's."""
    values = {"kubeflow.volume": {"claim": "models", "path": str(tmp_path / "volume")}, "pusher.destination": "s3://x"}
    config = config_files.load("kubeflow", values=values)
    (tmp_path / "volume").mkdir()
    kept = tmp_path / "root" / "output.json"
    invocation = make_invocation(kept)
    with launcher._on_volume("InfraValidator", config, invocation):
        written = pathlib.Path(invocation.outputs.output_file)
        assert written.is_relative_to(tmp_path / "volume")
        written.write_text("{}")
    assert kept.read_text() == "{}"
    assert invocation.outputs.output_file == str(kept)
    assert not [path for path in (tmp_path / "volume").rglob("*") if path.is_file()]
