"""What is read from ML Metadata about runs; tests/e2e has it on whole runs."""

from __future__ import annotations

import shutil
import types

import ml_metadata
import pytest
from ml_metadata.proto import metadata_store_pb2 as mlmd

from components import artifacts
from components.evaluator import results
from pipeline import layout, lineage, lock, metadata_file


@pytest.fixture
def store(tmp_path, monkeypatch):
    """Metadata of a run whose Trainer is at work, or was killed."""
    monkeypatch.setattr(metadata_file, "has_runs", lambda _: True)
    config = mlmd.ConnectionConfig()
    config.sqlite.filename_uri = str(tmp_path / layout.METADATA)
    config.sqlite.connection_mode = mlmd.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
    store = ml_metadata.MetadataStore(config)
    contexts = [
        mlmd.Context(type_id=store.put_context_type(mlmd.ContextType(name=kind)), name=name)
        for kind, name in (("pipeline", "tiny"), ("pipeline_run", "first"), ("node", "tiny.Trainer"))
    ]
    kind = store.put_execution_type(mlmd.ExecutionType(name="Trainer"))
    store.put_execution(mlmd.Execution(type_id=kind, last_known_state=mlmd.Execution.RUNNING), [], contexts)
    return store


def test_a_run_at_work_is_not_one_that_was_stopped(store, tmp_path):
    folder = str(tmp_path)
    (run,) = lineage.Lineage(folder, folder).history()
    assert (run.ended, run.trained, run.failed) == ("stopped at Trainer", None, True)
    with lock.held(folder):
        (run,) = lineage.Lineage(folder, folder).history()
    assert (run.ended, run.trained, run.failed) == ("working at Trainer", None, False)
    reading = mlmd.Context(type_id=store.get_context_type("pipeline_run").id, name=layout.run_of_span("second", "17"))
    store.put_contexts([reading])
    with lock.held(folder):
        ended = [run.ended for run in lineage.Lineage(folder, folder).history()]
    assert ended == ["stopped at Trainer", "working at the start"]
    assert len(lineage.Lineage(folder, folder).history()) == 1  # what was read


def test_scores_outlive_the_files(store, tmp_path, monkeypatch):
    folder = tmp_path / "evaluation"
    folder.mkdir()
    (folder / "file").write_text("scores")
    found = [
        types.SimpleNamespace(name="pairs", score=0.5),
        types.SimpleNamespace(name="analogies", score=float("nan")),
    ]
    monkeypatch.setattr(results, "read", lambda _: types.SimpleNamespace(benchmarks=found, reasons=["too low"]))
    evaluation = mlmd.Artifact(type="ModelEvaluation", uri=str(folder))
    lineage.keep_outcome(evaluation)
    model = mlmd.Artifact(type="Model", uri=str(folder))
    lineage.keep_outcome(model)
    assert not model.custom_properties
    shutil.rmtree(folder)
    monkeypatch.setattr(results, "read", None)
    lineage.keep_outcome(evaluation)  # of a cleaning that was killed before
    outcome = lineage._outcome(evaluation)
    assert outcome.scores["pairs"] == 0.5
    assert outcome.scores["analogies"] != outcome.scores["analogies"]
    assert outcome.reasons == ["too low"]
    assert artifacts.damage(evaluation)
    assert lineage._outcome(mlmd.Artifact(type="ModelEvaluation", uri=str(folder))) == ({}, [])
