"""Makes a run's folder and its metadata agree before a run: folders are moved and copied, and runs are killed."""

from __future__ import annotations

import contextlib
import datetime
import glob
import os
import re
import shutil
from collections.abc import Container, Iterator

import ml_metadata
from absl import logging
from ml_metadata.proto import metadata_store_pb2 as mlmd

from pipeline import layout
from word2vec import progress

# States of an execution that is at work, or was killed.
NOT_ENDED = (mlmd.Execution.NEW, mlmd.Execution.RUNNING)

_PLACE = re.compile(rf"(?P<run_folder>.*)/{layout.ARTIFACTS}/(?P<component>[^/]+)/(?P<key>[^/]+)/(?P<execution>\d+)")


def settle(run_folder: str, name: str, store: ml_metadata.MetadataStore) -> None:
    """Does it; nobody else may work in the folder meanwhile.

    ML Metadata knows artifacts by their absolute paths, and executions by the pipeline's name: those of a folder that
    was moved or copied are put right. What killed runs were at is marked as cancelled, and their files are removed.
    What was made under metadata that were lost is set aside.

    Args:
        run_folder: its absolute path.
        name: of the run, which names the pipeline.
        store: the folder's metadata.
    """
    _relocate(store, run_folder)
    _rename(store, name)
    _cancel_killed(store)
    _set_unknown_aside(store, run_folder)
    for path in (*_unpublished(store, run_folder), *_scratch(run_folder)):
        logging.info("Removing %s, which an earlier run left unfinished.", path)
        _remove(path)


def tidy(run_folder: str) -> None:
    """Removes what TFX kept while the components ran; nobody may be at work any more."""
    for path in _scratch(run_folder):
        _remove(path)


def left_over(store: ml_metadata.MetadataStore, run_folder: str) -> list[str]:
    """The paths of what killed runs have left, which `settle` would remove; nobody may be at work."""
    return [*_unpublished(store, run_folder, NOT_ENDED), *_scratch(run_folder)]


def _remove(path: str) -> None:
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
    running = [execution for execution in store.get_executions() if execution.last_known_state in NOT_ENDED]
    for execution in running:
        execution.last_known_state = mlmd.Execution.CANCELED
    if running:
        store.put_executions(running)


def _by_execution(run_folder: str) -> dict[int, list[str]]:
    """The folders of artifacts."""
    folders_by_execution: dict[int, list[str]] = {}
    for folder in glob.glob(os.path.join(glob.escape(run_folder), layout.ARTIFACTS, "*", "*", "*")):
        if place := _PLACE.fullmatch(folder):
            folders_by_execution.setdefault(int(place["execution"]), []).append(folder)
    return folders_by_execution


def _set_unknown_aside(store: ml_metadata.MetadataStore, run_folder: str) -> None:
    """Keeps what was made under metadata that were lost: new executions get the same numbers, and so folders.

    And checkpoints, which are known by such folders, would be taken for those of another training.
    """
    folders = _by_execution(run_folder)
    known = {execution.id for execution in store.get_executions_by_id(list(folders))}
    unknown = [folder for execution in folders if execution not in known for folder in folders[execution]]
    checkpoints = os.path.join(run_folder, layout.CHECKPOINTS)
    is_new = not store.get_executions(ml_metadata.ListOptions(limit=1))
    has_checkpoints = (unknown or is_new) and os.path.isdir(checkpoints) and bool(os.listdir(checkpoints))
    aside = os.path.join(run_folder, layout.LOST, datetime.datetime.now().strftime("%Y-%m-%d_%H-%M-%S"))
    for folder in unknown:
        _move(folder, os.path.join(aside, os.path.relpath(folder, os.path.join(run_folder, layout.ARTIFACTS))))
    if has_checkpoints:
        _move(checkpoints, os.path.join(aside, layout.CHECKPOINTS))
    if unknown or has_checkpoints:
        what = [f"{len(unknown)} artifacts"] * bool(unknown) + ["the checkpoints"] * bool(has_checkpoints)
        progress.note(
            f"{run_folder}: its metadata do not know {' and '.join(what)}, for they were removed or are older; "
            f"these are kept in {aside}"
        )


def _move(folder: str, to: str) -> None:
    os.makedirs(os.path.dirname(to), exist_ok=True)
    os.rename(folder, to)


def _unpublished(
    store: ml_metadata.MetadataStore, run_folder: str, also: Container[mlmd.Execution.State] = ()
) -> Iterator[str]:
    """The folders of artifacts whose executions ended without them, or are in one of the other states."""
    folders = _by_execution(run_folder)
    for execution in store.get_executions_by_id(list(folders)):
        state = execution.last_known_state
        if state in (mlmd.Execution.CANCELED, mlmd.Execution.FAILED) or state in also:
            yield from folders[execution.id]


def _scratch(run_folder: str) -> Iterator[str]:
    """What TFX keeps while components run, and files that were to be renamed."""
    here = glob.escape(run_folder)
    yield from glob.glob(os.path.join(here, layout.ARTIFACTS, "*", ".system"))
    yield from glob.glob(os.path.join(here, "*.new"))
