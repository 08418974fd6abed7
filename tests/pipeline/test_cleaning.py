"""What goes from the disk; tests/e2e/test_spans.py has it on whole runs."""

from __future__ import annotations

import os

import ml_metadata
import pytest
from ml_metadata.proto import metadata_store_pb2 as mlmd

from pipeline import cleaning, layout
from pipeline.configs import KeepConfig


def test_of_a_long_log_the_end_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(cleaning, "_LOG_BYTES", 100)
    log = tmp_path / "run.log"
    cleaning.trim_log(str(log))  # there is none
    lines = "".join(f"line {number}\n" for number in range(30))
    log.write_text(lines[:200])
    cleaning.trim_log(str(log))
    assert log.read_text() == lines[:200]
    writer = os.open(log, os.O_WRONLY | os.O_APPEND)
    os.write(writer, lines[200:].encode())
    cleaning.trim_log(str(log))
    os.write(writer, b"the next\n")
    os.close(writer)
    kept = log.read_text()
    assert f"{lines}the next\n".endswith(kept)
    assert kept.startswith("line ")
    assert 90 < len(kept) - len("the next\n") <= 100


class Metadata:
    """The metadata of days that each start from the day before, as the components and resolvers leave them."""

    def __init__(self, folder):
        config = mlmd.ConnectionConfig()
        config.sqlite.filename_uri = str(folder / layout.METADATA)
        config.sqlite.connection_mode = mlmd.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
        self.store, self._folder = ml_metadata.MetadataStore(config), folder
        self._types = {
            name: self.store.put_artifact_type(
                mlmd.ArtifactType(name=name, properties={"span": mlmd.INT} if name == "Examples" else {})
            )
            for name in ("Examples", "Model", "ModelBlessing", "PushedModel")
        }
        self._execution = self.store.put_execution_type(mlmd.ExecutionType(name="Component"))
        self._run = self.store.put_context_type(mlmd.ContextType(name="pipeline_run"))

    def artifact(self, kind, name, **properties):
        folder = self._folder / layout.ARTIFACTS / kind / "made" / name
        folder.mkdir(parents=True)
        (folder / "file").write_text(name)
        made = mlmd.Artifact(type_id=self._types[kind], uri=str(folder), state=mlmd.Artifact.LIVE)
        for key, value in properties.items():
            field = "int_value" if isinstance(value, int) else "string_value"
            setattr(made.custom_properties[key], field, value)
        (made.id,) = self.store.put_artifacts([made])
        return made

    def run(self, name):
        context = mlmd.Context(type_id=self._run, name=name)
        (context.id,) = self.store.put_contexts([context])
        return context

    def execute(self, run, inputs, outputs, made=mlmd.Event.OUTPUT, state=mlmd.Execution.COMPLETE):
        execution = mlmd.Execution(type_id=self._execution, last_known_state=state)
        pairs = []
        for kind, artifacts in ((mlmd.Event.INPUT, inputs), (made, outputs)):
            for key, artifact in artifacts.items():
                path = mlmd.Event.Path(steps=[mlmd.Event.Path.Step(key=key)])
                pairs.append((artifact, mlmd.Event(type=kind, path=path)))
        number, _, _ = self.store.put_execution(execution, pairs, [run])
        return number


def test_a_model_does_not_keep_all_that_it_was_started_from(tmp_path):
    """The resolver of the baseline hands on the candidate beside it, and has made neither."""
    metadata, pushed, before, models = Metadata(tmp_path), tmp_path / "pushed", None, []
    for day in range(6):
        run = metadata.run(f"run {day}")
        examples, model = metadata.artifact("Examples", f"{day}"), metadata.artifact("Model", f"{day}")
        earlier = {} if before is None else {"base_model": before}
        metadata.execute(run, {"examples": examples, **earlier}, {"model": model})
        if before is not None:
            metadata.execute(run, {}, {"candidate": model, "model": before}, mlmd.Event.INTERNAL_OUTPUT)
        blessing = metadata.artifact("ModelBlessing", f"{day}", blessed=1, current_model_id=model.id)
        compared = {} if before is None else {"baseline_model": before}
        metadata.execute(run, {"model": model, **compared}, {"blessing": blessing})
        metadata.execute(
            run, {"model": model}, {"pushed": metadata.artifact("PushedModel", f"{day}", pushed_version=f"{day + 1}")}
        )
        (pushed / f"{day + 1}").mkdir(parents=True)
        (pushed / f"{day + 1}" / "saved_model.pb").touch()
        models.append(model)
        before = model
    cleaner = cleaning.Cleaner(str(tmp_path), str(pushed), KeepConfig(runs=1, spans=1, versions=2), 0)
    gone = {artifact.id for artifact in cleaner.plan().artifacts}
    # One more than there are versions: the oldest of them was compared with it.
    assert [model.id in gone for model in models] == [True] * 3 + [False] * 3
    cleaner.remove(cleaner.plan())
    assert sorted(path.name for path in (tmp_path / layout.ARTIFACTS / "Model" / "made").iterdir()) == ["3", "4", "5"]


def test_runs_that_were_stopped_take_nobody_elses_place(tmp_path):
    """What they made stays too, for the next run goes on from there."""
    metadata, made = Metadata(tmp_path), {}
    for name in ("first", "second", "stopped", "stopped_again"):
        run, made[name] = metadata.run(name), metadata.artifact("Examples", name)
        metadata.execute(run, {}, {"examples": made[name]})
        if "stopped" not in name:
            metadata.execute(run, {}, {"pushed": metadata.artifact("PushedModel", name)})
    cleaner = cleaning.Cleaner(str(tmp_path), str(tmp_path / "pushed"), KeepConfig(runs=1), 0)
    gone = {artifact.id for artifact in cleaner.plan().artifacts}
    assert [name for name, examples in made.items() if examples.id in gone] == ["first"]


def test_the_left_overs_of_kills_go(tmp_path):
    """Also of a cleaning, of a component, and of a push: on a full disk no run could begin that removes them."""
    metadata = Metadata(tmp_path)
    killed = metadata.execute(metadata.run("killed"), {}, {}, state=mlmd.Execution.RUNNING)
    left = [
        tmp_path / layout.CHECKPOINTS / ".removing-step-1",
        tmp_path / layout.CHECKPOINTS / "step-2",
        tmp_path / layout.ARTIFACTS / "Transform" / "graph" / str(killed),
        tmp_path / layout.ARTIFACTS / "Transform" / ".system",
        tmp_path / "pushed" / ".pushing-17",
    ]
    for folder in left:
        folder.mkdir(parents=True)
        (folder / "file").write_text("half")
    cleaner = cleaning.Cleaner(str(tmp_path), str(tmp_path / "pushed"), KeepConfig(), 0)
    assert {removal.path for removal in cleaner.plan().folders} == set(map(str, left[:-1]))  # who pushes has a lock
    cleaner.remove(cleaner.plan())
    assert [folder for folder in left if folder.exists()] == []


def test_what_cannot_be_removed_keeps_nothing_else(tmp_path, monkeypatch):
    metadata, elsewhere = Metadata(tmp_path), tmp_path / "elsewhere"
    run = metadata.run("first")
    made = [metadata.artifact("Examples", name) for name in ("1", "2", "3")]
    for examples in made:
        metadata.execute(run, {}, {"examples": examples})
    moved = tmp_path / layout.ARTIFACTS / "Examples" / "made" / "1"
    os.rename(moved, elsewhere)
    moved.symlink_to(elsewhere)  # to another disk
    last = metadata.run("last")
    metadata.execute(last, {}, {"pushed": metadata.artifact("PushedModel", "4")})
    cleaner = cleaning.Cleaner(str(tmp_path), str(tmp_path / "pushed"), KeepConfig(runs=1), 0)
    remove = cleaning._remove

    def failing(folder):
        if folder.endswith("/2"):
            raise PermissionError("not yours")
        remove(folder)

    monkeypatch.setattr(cleaning, "_remove", failing)
    with pytest.raises(PermissionError):
        cleaner.remove(cleaner.plan())
    assert os.listdir(tmp_path / layout.ARTIFACTS / "Examples" / "made") == ["2"]
    assert elsewhere.is_dir()  # a link's end is not ours


def test_of_a_span_that_was_delivered_often_the_last_reading_stays(tmp_path):
    metadata, read = Metadata(tmp_path), []
    for hour in range(4):
        run = metadata.run(f"run_{hour}")
        read.append(metadata.artifact("Examples", f"{hour}", span=20_000 + hour // 2, reading="lines"))
        metadata.execute(run, {}, {"examples": read[-1]})
        metadata.execute(run, {}, {"pushed": metadata.artifact("PushedModel", f"{hour}")})
    cleaner = cleaning.Cleaner(str(tmp_path), str(tmp_path / "pushed"), KeepConfig(runs=1, spans=2), 0)
    gone = {artifact.id for artifact in cleaner.plan().artifacts}
    assert [examples.id in gone for examples in read] == [True, False, True, False]


def test_a_span_of_a_wrong_date_takes_no_place_in_the_window(tmp_path):
    """A file of the year 2062 was there for a while; those of the other days may be gone since they were read."""
    metadata, read = Metadata(tmp_path), {}
    for number in (20_000, 20_001, 20_002, 33_600):
        run = metadata.run(f"run_{number}")
        read[number] = metadata.artifact("Examples", f"{number}", span=number, reading="lines")
        metadata.execute(run, {}, {"examples": read[number]})
        metadata.execute(run, {}, {"pushed": metadata.artifact("PushedModel", f"{number}")})
    for last, expected in ((20_002, []), (None, [20_000]), (20_003, [20_000])):
        cleaner = cleaning.Cleaner(str(tmp_path), str(tmp_path / "pushed"), KeepConfig(runs=1, spans=3), 3, last)
        gone = {artifact.id for artifact in cleaner.plan().artifacts}
        assert [number for number, examples in read.items() if examples.id in gone] == expected
