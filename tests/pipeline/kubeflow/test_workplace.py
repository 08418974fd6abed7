from __future__ import annotations

import pathlib

from pipeline import config_files
from pipeline.kubeflow import invocation, workplace
from tests.pipeline.kubeflow.conftest import make_invocation


def test_an_engines_workers_see_copies(mirror, tmp_path):
    """What runs on an engine gets copies of its inputs, and its outputs come back; nothing else stays behind."""
    exchange = tmp_path / "exchange"
    beam = {"runner": "flink", "master": "flink:8081", "exchange": f"{exchange}/"}
    config = config_files.load("kubeflow", values={"beam": beam})
    asked = make_invocation(tmp_path / "output.json")
    invocation.localize(asked)
    evaluation = asked.outputs.artifacts["evaluation"].artifacts[0].uri
    model = mirror / "minio" / "bucket" / "model" / "Format-Serving"
    model.mkdir(parents=True)
    (model / "weights").write_text("1 2 3")
    with workplace.on_engine("Transform", config, asked) as copies:
        assert asked.inputs.artifacts["model"].artifacts[0].uri.startswith(f"{exchange}/")
        copied = pathlib.Path(asked.inputs.artifacts["model"].artifacts[0].uri, "Format-Serving", "weights")
        assert copied.read_text() == "1 2 3"
        made = pathlib.Path(asked.outputs.artifacts["evaluation"].artifacts[0].uri, "Split-train")
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
    asked = make_invocation(kept)
    with workplace.on_volume("InfraValidator", config, asked):
        written = pathlib.Path(asked.outputs.output_file)
        assert written.is_relative_to(tmp_path / "volume")
        written.write_text("{}")
    assert kept.read_text() == "{}"
    assert asked.outputs.output_file == str(kept)
    assert not [path for path in (tmp_path / "volume").rglob("*") if path.is_file()]
