"""`--rollback`: an earlier version is served again, and is the baseline and the start of the next training."""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterable

import ml_metadata
from ml_metadata.proto import metadata_store_pb2 as mlmd
from tfx.components.evaluator import constants

from components import artifacts
from components.pusher import rollback
from pipeline import layout
from pipeline import run_folder as folders

COMPONENT = "Rollback"

# Custom properties: of a blessing that was taken back, and of the execution.
WITHDRAWN, TO = "rolled_back", "rolled_back_to"

_EXECUTION_TYPE = "pipeline.Rollback"


def roll_back(run_folder: str, destination: str, name: str, version: str) -> rollback.RolledBack:
    """Does it, and has ML Metadata tell of it; nobody else may work in the folder meanwhile.

    Args:
        run_folder: of the run.
        destination: the folder of the versions.
        name: of the run.
        version: to go back to.

    Raises:
        UserError: see `rollback.to`.
    """
    already: rollback.AlreadyServedError | None = None
    try:
        done = rollback.to(destination, version)
    except rollback.AlreadyServedError as error:  # perhaps by one that was killed before it could tell of it
        done, already = error.done, error
    config = mlmd.ConnectionConfig()
    config.sqlite.filename_uri = os.path.join(run_folder, layout.METADATA)
    config.sqlite.connection_mode = mlmd.SqliteMetadataSourceConfig.READWRITE
    store = ml_metadata.MetadataStore(config)
    folders.settle(run_folder, name, store)
    pushed = {
        artifacts.text(artifact, "pushed_version"): artifact for artifact in store.get_artifacts_by_type("PushedModel")
    }
    _bless(store, [pushed[each].id for each in done.withdrawn if each in pushed], stands=False)
    if already and (done.version in pushed or not done.withdrawn):
        raise already
    if version in pushed:
        _bless(store, [pushed[version].id], stands=True)
        _record(store, name, pushed[version], destination, done.version)
    return done


def _bless(store: ml_metadata.MetadataStore, pushed: list[int], *, stands: bool) -> None:
    """Takes the blessings back with which models were pushed, or lets those stand again; a blocked one stays so."""
    models = _models(store, set(pushed))
    changes = WITHDRAWN if stands else constants.ARTIFACT_PROPERTY_BLESSED_KEY
    blessings = [
        blessing
        for blessing in store.get_artifacts_by_type("ModelBlessing")
        if artifacts.number(blessing, constants.ARTIFACT_PROPERTY_CURRENT_MODEL_ID_KEY) in models
        and artifacts.number(blessing, changes)
    ]
    for blessing in blessings:
        properties = blessing.custom_properties
        blessed = constants.BLESSED_VALUE if stands else constants.NOT_BLESSED_VALUE
        properties[constants.ARTIFACT_PROPERTY_BLESSED_KEY].int_value = blessed
        properties[WITHDRAWN].int_value = int(not stands)
    if blessings:
        store.put_artifacts(blessings)


def _models(store: ml_metadata.MetadataStore, pushed: set[int]) -> set[int]:
    """What versions were pushed of; of a version that took the place of another, what that one was."""
    models, seen = set[int](), set[int]()
    while pushed:
        seen |= pushed
        events = store.get_events_by_artifact_ids(pushed)
        makers = {event.execution_id for event in events if event.type == mlmd.Event.OUTPUT}
        events = store.get_events_by_execution_ids(makers) if makers else []
        taken = store.get_artifacts_by_id([event.artifact_id for event in events if event.type == mlmd.Event.INPUT])
        models |= {artifact.id for artifact in taken}
        pushed = {artifact.id for artifact in taken if artifact.type == "PushedModel"} - seen
    return models


def _record(store: ml_metadata.MetadataStore, name: str, source: mlmd.Artifact, destination: str, version: str) -> None:
    """Records an execution that made the new version of the earlier one."""
    made = mlmd.Artifact(type_id=source.type_id, uri=source.uri, state=mlmd.Artifact.LIVE)
    for key, value in source.custom_properties.items():
        made.custom_properties[key].CopyFrom(value)
    made.custom_properties["pushed_version"].string_value = version
    made.custom_properties["pushed_destination"].string_value = os.path.join(destination, version)
    kind = store.put_execution_type(mlmd.ExecutionType(name=_EXECUTION_TYPE))
    execution = mlmd.Execution(type_id=kind, last_known_state=mlmd.Execution.COMPLETE)
    execution.custom_properties[TO].string_value = artifacts.text(source, "pushed_version")
    store.put_execution(
        execution,
        [(source, _event(mlmd.Event.INPUT)), (made, _event(mlmd.Event.OUTPUT))],
        list(_contexts(store, name)),
    )


def _event(kind: mlmd.Event.Type) -> mlmd.Event:
    return mlmd.Event(type=kind, path=mlmd.Event.Path(steps=[{"key": "pushed_model"}, {"index": 0}]))


def _contexts(store: ml_metadata.MetadataStore, name: str) -> Iterable[mlmd.Context]:
    """Those that TFX gives an execution: of the pipeline, of a run, and of the component."""
    names = {
        "pipeline": name,
        "pipeline_run": datetime.datetime.now().isoformat(),
        "node": f"{name}.{COMPONENT}",
    }
    for kind, context_name in names.items():
        there = store.get_context_by_type_and_name(kind, context_name)
        yield there or mlmd.Context(type_id=store.get_context_type(kind).id, name=context_name)
