"""What nothing live needs any more is removed: files first are given up in ML Metadata, then on the disk."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import glob
import os
from collections.abc import Sequence
from typing import TypeVar

import ml_metadata
import tensorflow as tf
from ml_metadata.proto import metadata_store_pb2 as mlmd
from tfx.components.evaluator import constants
from tfx.components.example_gen import utils

from components import artifacts
from components.corpus import spans, window
from components.pusher import push, versions
from pipeline import layout, lineage, run_folder
from pipeline.configs import Config, KeepConfig
from word2vec import version_folders
from word2vec.errors import UserError

_Item = TypeVar("_Item")

_LOG_BYTES = 10_000_000  # of a log's end stay when it is twice as long


@dataclasses.dataclass(frozen=True)
class Removal:
    """A folder that goes, for people: what it is, and its size in bytes."""

    path: str
    bytes: int


@dataclasses.dataclass(frozen=True)
class Plan:
    """What goes.

    Attributes:
        artifacts: which ML Metadata are to call deleted.
        folders: of artifacts, of checkpoints, and of versions.
    """

    artifacts: list[mlmd.Artifact]
    folders: list[Removal]

    @property
    def bytes(self) -> int:
        """Of all folders."""
        return sum(each.bytes for each in self.folders)


class Cleaner:
    """Finds what is not needed, and removes it; nobody else may work in the folder meanwhile.

    Needed is what belongs to the newest runs, to the newest spans, or to the origin of the newest versions, as
    `--explain` tells it; and the last blessed model. What a setting does not limit is needed for ever.

    Args:
        folder: of the run.
        destination: the folder of the versions.
        keep: how many runs, spans and versions are the newest.
        size: the window's, whose spans are always needed; 0 where there is none.
        last: the number of the newest span whose files are there, with which the window ends; None if there is none.
    """

    def __init__(self, folder: str, destination: str, keep: KeepConfig, size: int, last: int | None = None):
        self._folder, self._destination, self._keep, self._window = folder, destination, keep, size
        self._last = last
        config = mlmd.ConnectionConfig()
        config.sqlite.filename_uri = os.path.join(folder, layout.METADATA)
        config.sqlite.connection_mode = mlmd.SqliteMetadataSourceConfig.READWRITE
        self._store = ml_metadata.MetadataStore(config)
        self._artifacts = {artifact.id: artifact for artifact in self._store.get_artifacts()}
        for artifact in self._artifacts.values():
            run_folder.relocate(artifact, folder)
        executions = [execution.id for execution in self._store.get_executions()]
        self._events = self._store.get_events_by_execution_ids(executions) if executions else []

    def plan(self) -> Plan:
        """What would be removed."""
        needed = {*self._of_runs(), *self._of_spans(), *self._of_versions(), *self._last_blessed()}
        gone = [artifact for artifact in self._artifacts.values() if artifact.id not in needed]
        here = os.path.join(self._folder, layout.ARTIFACTS, "")
        folders = [artifact.uri for artifact in gone if artifact.uri.startswith(here) and os.path.isdir(artifact.uri)]
        folders += glob.glob(os.path.join(glob.escape(self._folder), layout.CHECKPOINTS, "*"))
        folders += self._old_versions()
        made, pushed = glob.escape(here), glob.escape(self._destination)
        checkpoints = os.path.join(glob.escape(self._folder), layout.CHECKPOINTS)
        for around in (os.path.join(made, "*", "*"), os.path.join(made, "*", "*", "*"), checkpoints, pushed):
            folders += glob.glob(os.path.join(around, f"{versions.REMOVED}*"))  # of a cleaning that was killed
        folders += filter(os.path.isdir, run_folder.left_over(self._store, self._folder))
        return Plan(
            [artifact for artifact in gone if artifact.state != mlmd.Artifact.DELETED],
            [Removal(path, _size(path)) for path in sorted(set(folders))],
        )

    def remove(self, plan: Plan) -> None:
        """Does it. Killed meanwhile, it leaves what the next one removes.

        Raises:
            OSError, tf.errors.OpError: something could not be removed; all else was.
        """
        for artifact in plan.artifacts:
            lineage.keep_outcome(artifact)
            artifact.state = mlmd.Artifact.DELETED
        if plan.artifacts:
            self._store.put_artifacts(plan.artifacts)
        push.tidy(self._destination)
        failures: list[Exception] = []
        for each in plan.folders:
            try:
                _remove(each.path)
            except (OSError, tf.errors.OpError) as error:  # which keeps nothing else from going
                failures.append(error)
        if failures:
            raise failures[0]

    def _of_runs(self) -> set[int]:
        """All that the newest runs took or made, and those that came after them but not to their end."""
        contexts = self._store.get_contexts_by_type("pipeline_run")
        runs = sorted((run for run in contexts if not layout.is_of_span(run.name)), key=lambda run: run.id)
        taken_or_made = collections.defaultdict[int, set[int]](set)
        for event in self._events:
            taken_or_made[event.execution_id].add(event.artifact_id)
        needed, complete = set[int](), 0
        for run in reversed(runs):
            if complete == self._keep.runs:
                break
            executions = self._store.get_executions_by_context(run.id)
            of_run = set[int]().union(*(taken_or_made[execution.id] for execution in executions))
            needed |= of_run
            complete += any(self._artifacts[artifact].type == "PushedModel" for artifact in of_run)
        return needed

    def _of_spans(self) -> set[int]:
        """The Examples of the newest spans, and what was made of them alone."""
        span_of = {
            artifact.id: artifacts.number(artifact, utils.SPAN_PROPERTY_NAME)
            for artifact in self._artifacts.values()
            if window.READING in artifact.custom_properties and artifact.state != mlmd.Artifact.DELETED
        }
        size = None if self._keep.spans is None else max(self._keep.spans, self._window)
        numbers = set(_newest(sorted(set(span_of.values())), size))
        if self._last is not None:  # also where a span of a wrong number, read once, is taken for newer
            numbers |= {number for number in span_of.values() if self._last - self._window < number <= self._last}
        if self._keep.spans is None:
            needed = set(span_of)
        else:  # of a span that was delivered several times, the last reading, for each way in which it was read
            last = {
                (number, artifacts.text(self._artifacts[artifact], window.READING)): artifact
                for artifact, number in sorted(span_of.items())
            }
            needed = {artifact for (number, _), artifact in last.items() if number in numbers}
        for _ in ("ExampleStatistics", "ExampleAnomalies"):
            needed |= self._made_of(needed, {"ExampleStatistics", "ExampleAnomalies"})
        return needed

    def _of_versions(self) -> set[int]:
        """What the origins of the newest versions tell of; of the models that those were compared with, no more."""
        there = versions.find(self._destination).values()
        whole = [name for name in there if versions.is_finished(os.path.join(self._destination, name))]
        kept = set(_newest(whole, self._keep.versions))
        needed = {
            artifact.id for artifact in self._artifacts.values() if artifacts.text(artifact, "pushed_version") in kept
        }
        new, earlier = needed, set[int]()
        while new:
            made_by = {event.execution_id for event in self._events if event.artifact_id in new and _is_made(event)}
            of_these = [event for event in self._events if event.execution_id in made_by]
            earlier |= {event.artifact_id for event in of_these if lineage.has_own_origin(event)}
            new = {event.artifact_id for event in of_these if not lineage.has_own_origin(event)} - needed
            needed = needed | new
        return needed | earlier

    def _last_blessed(self) -> set[int]:
        """The newest model with a blessing that stands, and the blessing."""
        blessed = {
            artifacts.number(artifact, constants.ARTIFACT_PROPERTY_CURRENT_MODEL_ID_KEY): artifact.id
            for artifact in self._artifacts.values()
            if artifacts.number(artifact, constants.ARTIFACT_PROPERTY_BLESSED_KEY)
        }
        newest = max(blessed, default=None)
        return set() if newest is None else {newest, blessed[newest]}

    def _old_versions(self) -> list[str]:
        """The folders of versions that are this pipeline's, as their cards say, and not among the newest."""
        return [] if self._keep.versions is None else versions.old(self._destination, self._keep.versions)

    def _made_of(self, sources: set[int], types: set[str]) -> set[int]:
        took = {event.execution_id for event in self._events if event.artifact_id in sources and not _is_made(event)}
        made = {event.artifact_id for event in self._events if event.execution_id in took and _is_made(event)}
        return {
            artifact for artifact in made if artifact in self._artifacts and self._artifacts[artifact].type in types
        }


def cleaner_of(config: Config) -> Cleaner:
    """What removes what a run of these settings does not need."""
    size = config.corpus.window or 0
    return Cleaner(config.run_folder, config.destination, config.keep, size, _last_span(config))


def trim_log(path: str) -> None:
    """Leaves the end of a log that has grown long; whoever has it open for appending goes on behind it."""
    with contextlib.suppress(FileNotFoundError), open(path, "r+b") as file:
        if file.seek(0, os.SEEK_END) <= 2 * _LOG_BYTES:
            return
        file.seek(-_LOG_BYTES, os.SEEK_END)
        file.readline()  # of which only the end would be left
        end = file.read()
        file.seek(0)
        file.write(end)
        file.truncate()


def _is_made(event: mlmd.Event) -> bool:
    """Whether a component made it; a resolver only hands on what others made, as INTERNAL_OUTPUT, several at once."""
    return event.type == mlmd.Event.OUTPUT


def _last_span(config: Config) -> int | None:
    """The newest span whose files are there; None where they cannot be told."""
    if config.corpus.window is None:
        return None
    try:
        (newest, *_), _ = spans.find(config.corpus.paths, config.corpus.form, config.corpus.compression)
    except UserError:
        return None
    return newest.number


def _newest(items: Sequence[_Item], count: int | None) -> Sequence[_Item]:
    return items if count is None else items[-count:]


def _size(folder: str) -> int:
    if not version_folders.is_local(folder):
        return sum(
            tf.io.gfile.stat(os.path.join(where, name)).length
            for where, _, names in tf.io.gfile.walk(folder)
            for name in names
        )
    paths = (os.path.join(where, name) for where, _, names in os.walk(folder) for name in names)
    return sum(os.lstat(path).st_size for path in paths)


def _remove(folder: str) -> None:
    """Removes a folder, and the one around it if that is empty then."""
    versions.remove(folder)
    if version_folders.is_local(folder):
        with contextlib.suppress(OSError):
            os.rmdir(os.path.dirname(folder))
