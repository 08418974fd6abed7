"""Run folders that were moved, and files that are gone from them."""

from __future__ import annotations

import json
import os
import re
import shutil

import pytest

from components.card.card import ModelCard
from pipeline import lock
from tests.e2e.conftest import make_project
from tests.e2e.test_pipeline import COMPONENTS

BETTER = ("--set", "trainer.epochs=7")


def cached(out):
    return set(re.findall(r"✔ (\w+) +cached", out))


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """With two blessed and pushed models, the second compared with the first."""
    project = make_project(tmp_path_factory.mktemp("gone"))
    project.run()
    project.run(*BETTER)
    assert len(project.pushed()) == 2
    return project


@pytest.fixture
def copy(project, tmp_path):
    """The folder as it was, in another place; the original is out of reach for the time."""
    shutil.copytree(project.folder / "runs", tmp_path / "moved", symlinks=True)
    os.rename(project.folder / "runs", project.folder / "away")
    yield tmp_path / "moved" / "tiny", ("--set", f"root={tmp_path}/moved")
    os.rename(project.folder / "away", project.folder / "runs")


def test_a_moved_folder_goes_on_as_if_nothing_had_happened(project, copy):
    folder, root = copy
    first, second = sorted(path.name for path in (folder / "serving_model").iterdir())
    history = project.run(*root, "--history").stdout
    assert re.findall(r"blessed +(\d+) +trained +(?!-)", history) == [first, second]
    origin = project.run(*root, "--explain", second).stdout
    assert f"The model that it was compared with is version {first}." in origin
    assert f"{folder}/artifacts/Trainer/model/" in origin
    assert f"{project.folder}/runs" not in origin.partition("was made")[2]

    done = project.run(*root, *BETTER)
    assert cached(done.stdout) == set(COMPONENTS)
    assert f"{folder}/serving_model/{second}" in done.stdout
    assert (folder / "vectors" / "vectors.txt").exists()
    assert not (project.folder / "runs").exists()


def test_the_baseline_is_found_where_it_was_moved_to(project, copy):
    folder, root = copy
    newest = max((folder / "artifacts" / "Trainer" / "model").iterdir(), key=lambda path: int(path.name))
    out = project.run(*root, "--set", "trainer.epochs=8", "--set", "trainer.warm_start=true").stdout
    assert "not whole" not in out
    (path,) = (folder / "serving_model").glob("*/assets.extra/model_card.json") if "not pushed" in out else [
        max((folder / "serving_model").iterdir()) / "assets.extra" / "model_card.json"
    ]  # fmt: skip
    assert ModelCard.model_validate_json(path.read_text()).baseline == str(newest)


def test_models_whose_files_are_gone(project, copy):
    """The newest gives way to the one before it, or to none."""
    folder, root = copy
    old, new = sorted((folder / "artifacts" / "Trainer" / "model").iterdir(), key=lambda path: int(path.name))
    shutil.rmtree(new / "Format-Serving")
    out = project.run(*root, "--set", "trainer.epochs=8", "--set", "trainer.warm_start=true").stdout
    for purpose, part in (
        ("to start from", "Format-Serving/assets.extra/start"),
        ("to compare with", "Format-Serving"),
    ):
        told = f"the last blessed model, {purpose}, is not whole: {new} (its {part} is gone)"
        assert told in out
        assert f"; the blessed one before it, {old}, takes its place" in out
    assert "the last blessed model, to compare with, is not whole" in (folder / "report.html").read_text()
    shutil.rmtree(folder / "artifacts" / "Trainer")
    shutil.rmtree(folder / "artifacts" / "ModelCard")
    out = project.run(*root).stdout
    assert "there is no other one" in out
    assert re.search(r"what Trainer made before is not whole: .*/7 \(its folder is gone\); it is made again", out)
    assert not cached(out) & {"Trainer", "Evaluator", "ModelCard", "Pusher", "Report"}
    newest = max((folder / "serving_model").iterdir(), key=lambda path: int(path.name))
    assert json.loads((newest / "assets.extra" / "model_card.json").read_text())["baseline"] is None
    for version in (folder / "serving_model").iterdir():  # the cards that were pushed are still there
        assert "Word vectors: tiny" in project.run(*root, "--explain", version.name).stdout
    assert project.run(*root, "--history").stdout.count("blessed") == 4


def test_pushed_models_that_are_gone_are_pushed_again(project, copy):
    folder, root = copy
    shutil.rmtree(folder / "serving_model")
    out = project.run(*root, *BETTER).stdout
    assert cached(out) == set(COMPONENTS) - {"Pusher"}
    (version,) = (folder / "serving_model").iterdir()
    assert f"Model       {version}\n" in out
    (version / "variables" / "variables.index").unlink()
    out = project.run(*root, *BETTER).stdout
    again = max((folder / "serving_model").iterdir())
    assert again != version
    assert f"Model       {again}\n" in out
    assert cached(project.run(*root, *BETTER).stdout) == set(COMPONENTS)


def test_a_version_whose_pusher_was_killed_is_known_and_not_pushed_twice(project, copy):
    """As if it had been killed between the renaming and ML Metadata."""
    import sqlite3

    folder, root = copy
    _, second = sorted(path.name for path in (folder / "serving_model").iterdir())
    with sqlite3.connect(folder / "metadata.sqlite") as metadata:
        (execution,) = metadata.execute(
            "select max(Execution.id) from Execution join Type on Type.id = type_id where Type.name like '%Pusher%'"
        ).fetchone()
        metadata.execute("update Execution set last_known_state = 2 where id = ?", [execution])
        (pushed,) = metadata.execute("select artifact_id from Event where execution_id = ? and type = 4", [execution])
        metadata.execute("delete from Event where execution_id = ? and type = 4", [execution])
        for table, column in (("ArtifactProperty", "artifact_id"), ("Attribution", "artifact_id"), ("Artifact", "id")):
            metadata.execute(f"delete from {table} where {column} = ?", pushed)
    origin = project.run(*root, "--explain", second).stdout
    assert "Trainer   " in origin.partition(f"How version {second} was made")[2]
    out = project.run(*root, *BETTER).stdout
    assert cached(out) == set(COMPONENTS) - {"Pusher"}
    assert f"the newest version, {second}, is this model already; not pushed again" in out
    assert len(list((folder / "serving_model").iterdir())) == 2
    assert re.search(rf"blessed +{second} +cached", project.run(*root, "--history").stdout)


def test_a_link_that_was_copied_as_a_folder(project, copy):
    """As scp does."""
    folder, root = copy
    shutil.copytree((folder / "vectors").resolve(), folder / "copied")
    (folder / "vectors").unlink()
    (folder / "copied").rename(folder / "vectors")
    assert "Vectors " in project.run(*root, *BETTER).stdout
    assert (folder / "vectors").is_symlink()


def test_a_second_run_of_a_name_changes_nothing_of_the_first(project, copy):
    folder, root = copy
    unfinished = folder / "artifacts" / "Report" / ".system" / "executor_execution" / "1" / ".temp"
    unfinished.mkdir(parents=True)
    with lock.held(str(folder)):
        done = project.run(*root, check=False)
    assert done.returncode == 1
    assert f"error: {folder}: another run is at work in this folder: process {os.getpid()} on " in done.stderr
    assert done.stdout == ""
    assert unfinished.exists()
