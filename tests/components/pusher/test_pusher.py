"""What is pushed, and when nothing is."""

from __future__ import annotations

import pytest
from google.protobuf import json_format
from tfx import v1 as tfx
from tfx.types import standard_artifacts

from components.card.component import ModelCardArtifact
from components.pusher import component


@pytest.fixture
def push(tmp_path):
    def run(blessed, served):
        artifacts = {
            "model": standard_artifacts.Model(),
            "model_blessing": standard_artifacts.ModelBlessing(),
            "model_card": ModelCardArtifact(),
            "pushed_model": standard_artifacts.PushedModel(),
        }
        if served is not None:
            artifacts["infra_blessing"] = standard_artifacts.InfraBlessing()
            artifacts["infra_blessing"].set_int_custom_property("blessed", int(served))
        for name, artifact in artifacts.items():
            artifact.uri = str(tmp_path / name)
        artifacts["model_blessing"].set_int_custom_property("blessed", int(blessed))
        serving = tmp_path / "model" / "Format-Serving"
        (serving / "assets.extra").mkdir(parents=True)
        (serving / "saved_model.pb").write_bytes(b"model")
        (serving / "assets.extra" / "tf_serving_warmup_requests").write_bytes(b"requests")
        (tmp_path / "model_card").mkdir()
        (tmp_path / "model_card" / "model_card.json").write_text("{}")
        destination = tfx.proto.PushDestination(
            filesystem=tfx.proto.PushDestination.Filesystem(base_directory=str(tmp_path / "pushed"))
        )
        component.Executor().Do(
            {name: [artifact] for name, artifact in artifacts.items() if name != "pushed_model"},
            {"pushed_model": [artifacts["pushed_model"]]},
            {"push_destination": json_format.MessageToJson(destination)},
        )
        return [sorted(str(path.relative_to(version)) for path in version.rglob("*") if path.is_file())
                for version in (tmp_path / "pushed").glob("*")]  # fmt: skip

    return run


@pytest.mark.parametrize("served", [None, True])
def test_pushed_with_its_warm_up_and_its_card(push, served):
    extra = ["assets.extra/model_card.json", "assets.extra/tf_serving_warmup_requests"]
    assert push(blessed=True, served=served) == [[*extra, "saved_model.pb"]]


@pytest.mark.parametrize(("blessed", "served"), [(False, None), (False, True), (True, False)])
def test_not_pushed_unless_all_bless(push, tmp_path, blessed, served):
    (tmp_path / "pushed" / ".pushing-0123").mkdir(parents=True)  # of a run that was killed
    assert push(blessed, served) == []
    assert list((tmp_path / "pushed").iterdir()) == []
