from __future__ import annotations

import json

import pytest

from components.corpus import spans
from pipeline import config_files
from pipeline.kubeflow import compiler, invocation, launcher, needs


def test_parameters_of_the_run_come_over_the_settings(config):
    settings = needs.settings_of("Trainer", config, config.kubeflow.parameters)
    own, _ = needs.config_in_container(settings, {"trainer_epochs": 3, "skipgram_window": 2})
    custom = json.loads(compiler.in_container("Trainer", own, {}, "/there").parameters["custom_config"])
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


@pytest.mark.parametrize("task", ["Trainer", "Tuner", "Pusher", "InfraValidator"])
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


@pytest.mark.parametrize(
    ("task", "given", "outputs"),
    [
        ("ExampleGen", "", ["examples"]),
        ("StatisticsGen", "examples", ["statistics"]),
        ("ExampleValidator", "statistics", ["anomalies"]),
    ],
)
def test_a_place_of_the_window_without_a_span_leaves_kfps_logs_as_they_are(tmp_path, monkeypatch, task, given, outputs):
    """KFP has opened the file before it calls the launcher; a folder made in its place would fail every first day."""
    config = config_files.load("kubeflow", values={"corpus.paths": ["/texts/{SPAN}.txt"], "corpus.window": 3})
    monkeypatch.setenv(needs.PLACE, needs.place(config))
    monkeypatch.setitem(invocation.MIRRORS, "minio://", f"{tmp_path}/")
    (tmp_path / "executor-logs").write_text("so far\n")

    def artifact(name):
        return {name: {"artifacts": [{"name": name, "uri": f"minio://{name}"}]}}

    asked = {
        "inputs": {
            "parameterValues": {needs.SPAN: str(spans.slots([], 3)[2])},
            "artifacts": artifact(given) if given else {},
        },
        "outputs": {
            "artifacts": {name: one for key in (*outputs, "executor-logs") for name, one in artifact(key).items()}
        },
    }
    settings = json.dumps(needs.settings_of(task, config, []))
    assert launcher.main(["--task", task, "--settings", settings, "--executor-input", json.dumps(asked)]) == 0
    assert (tmp_path / "executor-logs").read_text() == "so far\n"
    assert [*tmp_path.joinpath(outputs[0]).iterdir()] == []
