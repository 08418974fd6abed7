"""What the local runner does with what earlier runs left: on a pipeline of two components that copy a number."""

from __future__ import annotations

import json
import os
import pathlib
import shutil

import ml_metadata
import pytest
from tfx import v1 as tfx
from tfx.dsl.components.base import base_executor, executor_spec
from tfx.orchestration import metadata
from tfx.types import artifact_utils, component_spec, standard_artifacts

from components.component import Component
from pipeline import local
from word2vec.errors import UserError

DONE = []  # by the executors of a run


class Executor(base_executor.BaseExecutor):
    """Writes two files."""

    def Do(self, input_dict, output_dict, exec_properties):
        out = pathlib.Path(artifact_utils.get_single_uri(output_dict["model"]))
        text = exec_properties["text"]
        if "before" in input_dict:
            text += (pathlib.Path(artifact_utils.get_single_uri(input_dict["before"])) / "below" / "text").read_text()
        (out / "below").mkdir()
        (out / "below" / "text").write_text(text)
        DONE.append(text)
        if exec_properties["text"] == "killed":
            raise KeyboardInterrupt
        (out / "other").write_text("other")


class Spec(component_spec.ComponentSpec):
    PARAMETERS = {
        "text": component_spec.ExecutionParameter(type=str),
        "place": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {"before": component_spec.ChannelParameter(type=standard_artifacts.Model, optional=True)}
    OUTPUTS = {"model": component_spec.ChannelParameter(type=standard_artifacts.Model)}


class Copy(Component):
    SPEC_CLASS = Spec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)


class Observer:
    def started(self, component):
        pass

    def ended(self, run):
        pass


@pytest.fixture
def run(notes):
    """Runs the pipeline in a folder; returns what was done, and by component where its output is."""

    def run(folder, *texts, name="tiny", cache=True):
        folder.mkdir(parents=True, exist_ok=True)
        DONE.clear()
        first = Copy(text=(texts or ("a",))[0], place=f"{folder}/checkpoints").with_id("First")
        second = Copy(before=first.outputs["model"], text=(*texts, "b")[1 if texts else 0], place="").with_id("Second")
        dag = tfx.dsl.Pipeline(
            pipeline_name=name,
            pipeline_root=str(folder / "artifacts"),
            components=[first, second],
            enable_cache=cache,
            metadata_connection_config=connection(folder),
        )
        runner = local.LocalRunner(Observer(), str(folder), str(folder / "durations.json"), str(folder / "notes.json"))
        runs = runner.run(dag)
        return list(DONE), {name: pathlib.Path(one.outputs["model"][0].uri) for name, one in runs.items()}

    return run


def connection(folder):
    return metadata.sqlite_metadata_connection_config(str(folder / "metadata.sqlite"))


def states(folder):
    names = ml_metadata.proto.Execution.State
    return [names.Name(one.last_known_state) for one in ml_metadata.MetadataStore(connection(folder)).get_executions()]


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


ALL = ["a", "ba"]


def test_the_cache_answers_what_has_not_changed(run, tmp_path, notes):
    done, made = run(tmp_path)
    assert done == ALL
    assert not list(tmp_path.glob("artifacts/*/.system"))  # where TFX keeps what components do meanwhile
    assert run(tmp_path) == ([], made)
    assert run(tmp_path, "a", "c")[0] == ["ca"]
    assert run(tmp_path, "A", "b")[0] == ["A", "bA"]
    assert run(tmp_path) == ([], made)
    assert run(tmp_path, cache=False)[0] == ALL
    assert notes == []
    assert states(tmp_path)[2:4] == ["CACHED", "CACHED"]


class Refusing(tfx.dsl.experimental.ResolverStrategy):
    def resolve_artifacts(self, store, input_dict):
        raise UserError("no such model")


def test_a_resolver_that_fails_ends_the_run(tmp_path, notes):
    """TFX logs it, and goes on without what it should have found."""
    models = tfx.dsl.Channel(type=standard_artifacts.Model)
    last = tfx.dsl.Resolver(strategy_class=Refusing, model=models).with_id("Last")
    copy = Copy(before=last.outputs["model"], text="a", place="").with_id("Copy")
    dag = tfx.dsl.Pipeline(
        pipeline_name="tiny",
        pipeline_root=str(tmp_path / "artifacts"),
        components=[last, copy],
        metadata_connection_config=connection(tmp_path),
    )
    DONE.clear()
    with pytest.raises(UserError, match="no such model"):
        local.LocalRunner(Observer(), str(tmp_path), str(tmp_path / "durations"), str(tmp_path / "notes")).run(dag)
    assert DONE == []


DAMAGES = {
    "removed": shutil.rmtree,
    "emptied": lambda folder: [shutil.rmtree(folder), folder.mkdir()],
    "half deleted": lambda folder: (folder / "other").unlink(),
    "its folders alone left": lambda folder: [(folder / name).unlink() for name in ("other", "below/text")],
    "a file emptied": lambda folder: (folder / "below" / "text").write_text(""),
    "a file cut": lambda folder: (folder / "other").write_text("othe"),
    "a file that is a folder": lambda folder: [(folder / "other").unlink(), (folder / "other").mkdir()],
    "a file in its place": lambda folder: [shutil.rmtree(folder), folder.write_text("")],
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize(("component", "again"), [("First", ALL), ("Second", ["ba"])])
def test_what_is_not_whole_is_made_again_and_said(run, tmp_path, notes, damage, component, again):
    _, made = run(tmp_path)
    damage(made[component])
    done, remade = run(tmp_path)
    assert done == again
    assert files(remade[component]) == ["below/text", "other"]
    (note,) = notes
    assert note.startswith(f"what {component} made before is not whole: {made[component]} (")
    assert run(tmp_path) == ([], remade)


def test_files_that_are_put_back_or_added_do_not_matter(run, tmp_path, notes):
    _, made = run(tmp_path)
    (made["First"] / ".DS_Store").write_text("")
    shutil.move(made["Second"], tmp_path / "kept")
    shutil.move(tmp_path / "kept", made["Second"])
    assert run(tmp_path) == ([], made)


@pytest.mark.parametrize("name", ["tiny", "other.name"])
@pytest.mark.parametrize("transfer", [shutil.move, shutil.copytree])
def test_a_folder_that_was_moved_or_copied_goes_on(run, tmp_path, notes, transfer, name):
    old, new = tmp_path / "old" / "tiny", tmp_path / "näw" / name
    _, made = run(old)
    new.parent.mkdir()
    transfer(str(old), str(new))
    done, there = run(new, name=name)
    assert (done, notes) == ([], [])
    assert there == {component: new / path.relative_to(old) for component, path in made.items()}
    assert run(new, "a", "c", name=name)[0] == ["ca"]
    if old.exists():
        shutil.rmtree(there["Second"])
        assert run(new, name=name)[0] == ["ba"]  # not the original's
        assert run(old) == ([], made)


def test_a_folder_by_a_relative_path_or_a_link_is_the_same(run, tmp_path, monkeypatch, notes):
    run(tmp_path / "real" / "tiny")
    os.symlink(tmp_path / "real", tmp_path / "link")
    assert run(tmp_path / "link" / "tiny")[0] == []
    assert run(tmp_path / "real" / "tiny")[0] == []


@pytest.mark.parametrize("content", ["", "{", "[]"])
def test_damaged_durations_are_kept_anew(run, tmp_path, content):
    (tmp_path / "durations.json").write_text(content)
    run(tmp_path)
    assert set(json.loads((tmp_path / "durations.json").read_text())) == {"First", "Second"}


def test_what_a_killed_run_left_is_removed_and_what_is_not_its_own_stays(run, tmp_path, notes):
    _, made = run(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, "a", "killed")
    assert states(tmp_path)[-1] == "RUNNING"
    left = tmp_path / "artifacts" / "Second" / "model" / str(len(states(tmp_path)))
    assert (left / "below" / "text").exists()
    scratch = tmp_path / "artifacts" / "Second" / ".system" / "executor_execution" / "4" / ".temp" / "x"
    scratch.mkdir(parents=True)
    (tmp_path / "report.html.new").write_text("")
    (tmp_path / "vectors.new").symlink_to("nowhere")
    assert run(tmp_path) == ([], made)
    assert states(tmp_path)[:4] == ["COMPLETE", "COMPLETE", "CACHED", "CANCELED"]
    assert not left.exists()
    assert not list(tmp_path.glob("artifacts/*/.system"))
    assert not list(tmp_path.glob("*.new"))
    assert made["Second"].exists()


@pytest.mark.parametrize("loss", ["removed", "emptied", "older"])
def test_what_lost_metadata_knew_is_kept_aside(run, tmp_path, notes, loss):
    metadata_file = tmp_path / "metadata.sqlite"
    _, made = run(tmp_path)
    checkpoint = pathlib.Path("checkpoints") / "0123456789abcdef" / "step-7"
    (tmp_path / checkpoint).mkdir(parents=True)
    assert run(tmp_path) == ([], made)
    assert (tmp_path / checkpoint).exists()
    if loss == "removed":
        metadata_file.unlink()
    elif loss == "emptied":
        metadata_file.write_bytes(b"")
    else:
        before = metadata_file.read_bytes()
        _, made = run(tmp_path, "a", "c")
        metadata_file.write_bytes(before)
    assert run(tmp_path, "a", "c")[0] == (["ca"] if loss == "older" else ["a", "ca"])
    (note,) = notes
    (aside,) = (tmp_path / "lost").iterdir()
    assert note.endswith(f"these are kept in {aside}")
    assert " artifacts and the checkpoints, for they " in note
    assert (aside / checkpoint).exists()
    assert not (tmp_path / checkpoint).exists()
    assert files(aside / "Second" / "model" / made["Second"].name) == ["below/text", "other"]
    assert run(tmp_path, "a", "c")[0] == []
    assert len(notes) == 1


def test_checkpoints_without_any_metadata_are_kept_aside(run, tmp_path, notes):
    (tmp_path / "checkpoints" / "0123456789abcdef").mkdir(parents=True)
    run(tmp_path)
    (note,) = notes
    assert "its metadata do not know the checkpoints, for they were removed" in note
    assert [path.name for path in tmp_path.glob("lost/*/checkpoints/*")] == ["0123456789abcdef"]
    assert not (tmp_path / "checkpoints").exists()
