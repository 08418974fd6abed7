"""Settings that name one file or folder mean the same one wherever they are read."""

from __future__ import annotations

import json
import os
import shutil

import pytest

import local_runner
from components import builtin
from pipeline import config_files, engines, lineage, metadata_file, preflight
from pipeline.inputs import Fingerprints
from pipeline.kubeflow import checks
from pipeline.pipeline import create_pipeline
from word2vec.errors import UserError


@pytest.fixture
def home(tmp_path, monkeypatch):
    """The user's home; the working folder is another one."""
    (tmp_path / "home").mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "home"


def load(values=None):
    return config_files.load(None, values={"name": "tiny", "corpus.paths": ["builtin://wikipedia"], **(values or {})})


def forms(home):
    """(what is written, what is meant)"""
    return [
        ("~/x", f"{home}/x"),
        ("x", f"{home.parent}/here/x"),
        ("../x", f"{home.parent}/x"),
        (f"{home}/x/", f"{home}/x"),
        (f"file://{home}/a%20b", f"{home}/a b"),
    ]


def made(config):
    """The components' settings, by component."""
    dag = create_pipeline(
        config,
        fingerprints=Fingerprints(),
        root=config.run_folder,
        checkpoints="",
        beam=engines.arguments(config.beam, 0),
    )
    return {node.id: node.exec_properties for node in dag.components}


def test_all_that_read_the_destination_mean_one(home, monkeypatch):
    looked = []
    monkeypatch.setattr(metadata_file, "has_runs", lambda *_: True)
    monkeypatch.setattr(lineage, "Lineage", lambda folder, destination: looked.append(destination) or Nothing())
    for written, meant in [*forms(home), ("s3://bucket/x", "s3://bucket/x")]:
        config = load({"pusher.destination": written})
        pushed = json.loads(made(config)["Pusher"]["push_destination"])["filesystem"]["base_directory"]
        local_runner.main(["--corpus", "builtin://wikipedia", "--set", f"pusher.destination={written}", "--history"])
        assert (config.destination, pushed, looked.pop()) == (meant, meant, meant)
    assert load().destination == f"{home.parent}/here/runs/tiny/serving_model"


class Nothing:
    """A lineage without runs."""

    def history(self):
        return []


def test_preflight_looks_at_the_folder_that_is_written_to(home):
    (home / "x").write_text("a file")
    shutil.copy(home / "x", home / "a b")
    shutil.copy(home / "x", home.parent / "x")
    shutil.copy(home / "x", home.parent / "here" / "x")
    for written, meant in forms(home):
        for setting in ("root", "pusher.destination"):
            with pytest.raises(UserError, match=f"^{setting} = .*{meant} is no folder"):
                preflight.check(load({setting: written}))


def test_the_schema_is_the_one_that_was_looked_at(home):
    for written, meant in forms(home):
        os.makedirs(os.path.dirname(meant), exist_ok=True)
        shutil.copy(builtin.resolve("builtin://document_schema"), meant)
        config = load({"corpus.schema_file": written})
        assert [file.path for file in preflight.check(config).schema] == [meant]
        assert made(config)["SchemaGen"]["schema_file"] == meant
    assert made(load())["SchemaGen"]["schema_file"] == "builtin://document_schema"


@pytest.mark.parametrize("written", ["~", "~/*", "*.pbtxt"])
def test_a_folder_or_glob_is_no_schema(home, written):
    for folder in (home, home.parent / "here"):
        shutil.copy(builtin.resolve("builtin://document_schema"), folder / "one.pbtxt")
    with pytest.raises(UserError, match=r"expected a file, not a folder or a glob, as /.*/one\.pbtxt"):
        preflight.check(load({"corpus.schema_file": written}))


def test_the_root_is_one_folder(home):
    assert [load({"root": written}).run_folder for written, _ in forms(home)] == [
        f"{meant}/tiny" for _, meant in forms(home)
    ]


@pytest.mark.parametrize("written", ["~/models", "models", "/models/../elsewhere", "file:///elsewhere"])
def test_a_destination_that_a_container_has_not_is_refused(home, written, monkeypatch):
    monkeypatch.setenv("HOME", "/models")  # as on the volume of a notebook in the cluster

    def check(destination):
        volume = {"claim": "models", "path": "/models"}
        checks.check_destination(load({"pusher.destination": destination, "kubeflow.volume": volume}))

    with pytest.raises(UserError, match=f"pusher.destination = {written}: what is written there is gone"):
        check(written)
    for good in ("/models/x", "file:///models/x", "s3://bucket/x"):
        check(good)
