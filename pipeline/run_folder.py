"""Makes a run's folder and its metadata agree before a run: folders are moved and copied, and runs are killed."""

from __future__ import annotations

import contextlib
import glob
import os
import re
import shutil
from collections.abc import Iterator

import ml_metadata
from absl import logging
from ml_metadata.proto import metadata_store_pb2 as mlmd

ARTIFACTS = "artifacts"

_PLACE = re.compile(rf"(?P<run_folder>.*)/{ARTIFACTS}/(?P<component>[^/]+)/(?P<key>[^/]+)/(?P<execution>\d+)")


def settle(run_folder: str, name: str, store: ml_metadata.MetadataStore) -> None:
    """Does it; nobody else may work in the folder meanwhile.

    ML Metadata knows artifacts by their absolute paths, and executions by the pipeline's name: those of a folder that
    was moved or copied are put right. What killed runs were at is marked as cancelled, and their files are removed.

    Args:
        run_folder: its absolute path.
        name: of the run, which names the pipeline.
        store: the folder's metadata.
    """
    _relocate(store, run_folder)
    _rename(store, name)
    _cancel_killed(store)
    for path in (*_unpublished(store, run_folder), *_scratch(run_folder)):
        logging.info("Removing %s, which an earlier run left unfinished.", path)
        with contextlib.suppress(OSError):  # whoever made it somebody else's has to remove it
            shutil.rmtree(path) if os.path.isdir(path) and not os.path.islink(path) else os.remove(path)


def relocated(path: str, run_folder: str) -> str:
    """Where an artifact is now, by where it was when it was made; other paths as they are."""
    place = _PLACE.fullmatch(path)
    return os.path.join(run_folder, os.path.relpath(path, place["run_folder"])) if place else path


def relocate(artifact: mlmd.Artifact, run_folder: str) -> bool:
    """Puts an artifact's paths right, its own and those in its properties; whether there was something to do."""
    place = _PLACE.fullmatch(artifact.uri)
    if not place or place["run_folder"] == run_folder:
        return False
    artifact.uri = relocated(artifact.uri, run_folder)
    for value in artifact.custom_properties.values():
        if value.string_value.startswith(f"{place['run_folder']}/"):
            value.string_value = run_folder + value.string_value.removeprefix(place["run_folder"])
    return True


def _relocate(store: ml_metadata.MetadataStore, run_folder: str) -> None:
    # All are put right at once, so that the newest one tells whether there is something to do.
    newest = ml_metadata.ListOptions(limit=1, order_by=ml_metadata.OrderByField.ID, is_asc=False)
    if any(relocate(artifact, run_folder) for artifact in store.get_artifacts(newest)):
        store.put_artifacts([artifact for artifact in store.get_artifacts() if relocate(artifact, run_folder)])


def _rename(store: ml_metadata.MetadataStore, name: str) -> None:
    """Lets the executions of a folder that was copied for a run of another name count as that run's."""
    known = store.get_contexts_by_type("pipeline")
    if len(known) != 1 or known[0].name == name:
        return
    (pipeline,) = known
    nodes = [node for node in store.get_contexts_by_type("node") if node.name.startswith(f"{pipeline.name}.")]
    for node in nodes:
        node.name = name + node.name.removeprefix(pipeline.name)
    pipeline.name = name
    store.put_contexts([pipeline, *nodes])


def _cancel_killed(store: ml_metadata.MetadataStore) -> None:
    states = (mlmd.Execution.NEW, mlmd.Execution.RUNNING)
    running = [execution for execution in store.get_executions() if execution.last_known_state in states]
    for execution in running:
        execution.last_known_state = mlmd.Execution.CANCELED
    if running:
        store.put_executions(running)


def _unpublished(store: ml_metadata.MetadataStore, run_folder: str) -> Iterator[str]:
    """The folders of artifacts whose executions ended without them."""
    folders = glob.glob(os.path.join(glob.escape(run_folder), ARTIFACTS, "*", "*", "*"))
    by_execution: dict[int, list[str]] = {}
    for folder in folders:
        place = _PLACE.fullmatch(folder)
        if place:
            by_execution.setdefault(int(place["execution"]), []).append(folder)
    for execution in store.get_executions_by_id(list(by_execution)):
        if execution.last_known_state in (mlmd.Execution.CANCELED, mlmd.Execution.FAILED):
            yield from by_execution[execution.id]


def _scratch(run_folder: str) -> Iterator[str]:
    """What TFX keeps while components run, and files that were to be renamed."""
    here = glob.escape(run_folder)
    yield from glob.glob(os.path.join(here, ARTIFACTS, "*", ".system"))
    yield from glob.glob(os.path.join(here, "*.new"))
