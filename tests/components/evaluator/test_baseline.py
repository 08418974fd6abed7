"""Which model a new one is compared with or starts from, where files of some are gone."""

from __future__ import annotations

import shutil

import pytest
from ml_metadata.proto import metadata_store_pb2 as mlmd
from tfx.types import standard_artifacts

from components import artifacts
from components.evaluator import baseline

NEEDED = (
    "Format-Serving/saved_model.pb",
    "Format-Serving/assets/vocabulary",
    "Format-Serving/assets.extra/start/start.json",
)


@pytest.fixture
def make(tmp_path):
    def make(number, *, blessed=True, noted=True):
        """A model and its blessing."""
        model, blessing = standard_artifacts.Model(), standard_artifacts.ModelBlessing()
        model.uri, model.id = str(tmp_path / str(number)), number
        for name in NEEDED:
            (tmp_path / str(number) / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / str(number) / name).write_text(name)
        if noted:
            artifacts.take_stock(model.mlmd_artifact)
        blessing.set_int_custom_property("current_model_id", number)
        blessing.set_int_custom_property("blessed", int(blessed))
        return model, blessing

    return make


def resolve(strategy, made, candidate=None):
    given = {"model": [model for model, _ in made], "model_blessing": [blessing for _, blessing in made]}
    given |= {baseline.CANDIDATE: [candidate]} if candidate else {}
    found = strategy().resolve_artifacts(None, given)
    assert set(found) == set(given)  # TFX looks for each, and without it the training starts from nothing
    assert [one.get_int_custom_property("current_model_id") for one in found["model_blessing"]] == [
        model.id for model in found["model"]
    ]
    return [model.id for model in found["model"]]


def test_the_last_blessed_one_but_the_candidate(make, notes):
    made = [make(1), make(3), make(2), make(4, blessed=False), make(5)]
    assert resolve(baseline.LastBlessed, made) == [5]
    assert resolve(baseline.LastBlessedOther, made, candidate=made[-1][0]) == [3]
    assert resolve(baseline.LastBlessedOther, [], candidate=made[-1][0]) == []
    assert notes == []


class Store:
    """In which the execution 7 made the model 3 of the text 9."""

    def get_events_by_artifact_ids(self, ids):
        return [mlmd.Event(type=mlmd.Event.INPUT, execution_id=7, artifact_id=9)] if ids == [9] else []

    def get_events_by_execution_ids(self, ids):
        return [mlmd.Event(type=mlmd.Event.OUTPUT, execution_id=7, artifact_id=3)] if ids == {7} else []

    def get_artifacts_by_id(self, ids):
        return [mlmd.Artifact(id=number, type="Model") for number in ids]


@pytest.mark.parametrize(("text", "expected"), [(9, 2), (8, 3)])
def test_a_model_of_the_same_text_is_none_to_start_from(make, text, expected):
    graph = standard_artifacts.TransformGraph()
    graph.id = text
    made = [make(number) for number in (1, 2, 3)]
    given = {"model": [model for model, _ in made], "model_blessing": [blessing for _, blessing in made]}
    found = baseline.LastBlessed().resolve_artifacts(Store(), {**given, baseline.TEXT: [graph]})
    assert [model.id for model in found["model"]] == [expected]
    assert found[baseline.TEXT] == [graph]


@pytest.mark.parametrize("noted", [True, False])
@pytest.mark.parametrize("name", [".", "Format-Serving", "Format-Serving/assets.extra"])
def test_one_whose_files_are_gone_is_passed_over(make, tmp_path, notes, noted, name):
    made = [make(1, noted=noted), make(2, noted=noted), make(3, noted=noted)]
    candidate, _ = make(4)
    shutil.rmtree(tmp_path / "3" / name)
    for_comparing = 3 if name.endswith("extra") and not noted else 2
    assert resolve(baseline.LastBlessedOther, made, candidate) == [for_comparing]
    assert len(notes) == (for_comparing == 2)
    assert resolve(baseline.LastBlessed, made) == [2]
    assert notes[-1].startswith(f"the last blessed model, to start from, is not whole: {tmp_path}/3 (")
    assert notes[-1].endswith(f"; the blessed one before it, {tmp_path}/2, takes its place")


def test_none_is_left(make, tmp_path, notes):
    made = [make(1), make(2)]
    shutil.rmtree(tmp_path / "1")
    (tmp_path / "2" / NEEDED[0]).write_text("")
    assert resolve(baseline.LastBlessedOther, made, make(3)[0]) == []
    assert notes == [
        f"the last blessed model, to compare with, is not whole: {tmp_path}/2 (Format-Serving/saved_model.pb has 0 "
        f"bytes of 29), {tmp_path}/1 (its folder is gone); there is no other one"
    ]
