"""What ML Metadata knows of a run folder: every run with its verdict, and where a pushed model comes from."""

from __future__ import annotations

import dataclasses
import datetime
import json
import os
from collections.abc import Iterable
from typing import Any, NamedTuple

import ml_metadata
import pydantic
import tensorflow as tf
from ml_metadata.proto import metadata_store_pb2 as mlmd
from tfx.components.example_gen import utils

from components import artifacts
from components.card import card
from components.card import names as card_names
from components.corpus import spans, window
from components.evaluator import results
from components.pusher import versions
from components.tuner import results as results_of_tuning
from pipeline import layout, lock, metadata_file, rolling_back, run_folder
from word2vec.errors import UserError
from word2vec.warmup import EXTRA

DONE = (mlmd.Execution.COMPLETE, mlmd.Execution.CACHED)

# A custom property of an evaluation whose files were removed: what `history` tells of it.
_OUTCOME = "outcome"


@dataclasses.dataclass(frozen=True)
class Run:
    """A run of the pipeline.

    Attributes:
        started: when, in local time.
        ended: `blessed`, `blocked`, `withdrawn` if its version was rolled back later, `stopped at COMPONENT`,
            `working at COMPONENT` if it has not ended, or `rolled back to VERSION`, which is no run of the components.
        version: of the model that it pushed, or found pushed already; None if there is none.
        is_there: whether this version has not been removed since.
        trained: whether it trained, or took the model from the cache; None if it did not come so far.
        scores: by benchmark.
        reasons: why it was blocked.
        failed: whether a component failed, or was killed.
        tuned: the settings that its Tuner found, by the names of trainer's settings; empty without one.
    """

    started: datetime.datetime
    ended: str
    version: str | None
    is_there: bool
    trained: bool | None
    scores: dict[str, float]
    reasons: list[str]
    failed: bool = False
    tuned: dict[str, Any] = dataclasses.field(default_factory=dict)


# Whether a Trainer that ended so has trained.
_TRAINED = {mlmd.Execution.COMPLETE: True, mlmd.Execution.CACHED: False}


class _Outcome(NamedTuple):
    """What a model was worth; see `Run`."""

    scores: dict[str, float]
    reasons: list[str]


@dataclasses.dataclass(frozen=True)
class Step:
    """A component's execution on the way to a model: what it made, and when.

    Attributes:
        component: its name.
        execution: its number in ML Metadata.
        ended: when, in local time.
        artifacts: the folders of what it made.
        span: number and version of the span that it read, where text arrives in spans.
    """

    component: str
    execution: int
    ended: datetime.datetime
    artifacts: list[str]
    span: tuple[int, int] | None = None


@dataclasses.dataclass(frozen=True)
class Origin:
    """Where a pushed model comes from.

    Attributes:
        card: the model's card as it was written when it was pushed.
        baseline: the version of the model that it was compared with; None if there was none, or it was never pushed.
        steps: all executions that it depends on, the first one first; those of the baseline are its own.
    """

    card: card.ModelCard
    baseline: str | None
    steps: list[Step]

    def span_of(self, step: Step) -> str:
        """The span that a step read, as people write it; empty if it read none."""
        if step.span is None:
            return ""
        number, version = step.span
        label = spans.label(number, is_date=any("{YYYY}" in path for path in self.card.settings["corpus"]["paths"]))
        return f"{label}, version {version}" if version else label


class Lineage:
    """Reads a run folder's metadata; the folder may have been moved since.

    Args:
        folder: the run's, with `metadata.sqlite`.
        destination: the folder of the pushed versions.

    Raises:
        UserError: there is none, or it is damaged.
    """

    def __init__(self, folder: str, destination: str):
        if not metadata_file.has_runs(folder):
            raise UserError(f"{folder}: no run has been made here. Expected a run's name (--name) that exists")
        self._folder, self._destination = folder, destination
        config = mlmd.ConnectionConfig()
        config.sqlite.filename_uri = os.path.join(folder, layout.METADATA)
        config.sqlite.connection_mode = mlmd.SqliteMetadataSourceConfig.READONLY
        self._store = ml_metadata.MetadataStore(config)

    def history(self) -> list[Run]:
        """All runs, the first one first; the reading of a span is one if it failed, or is at work."""
        contexts = sorted(self._store.get_contexts_by_type("pipeline_run"), key=lambda context: context.id)
        working = contexts[-1].id if contexts and lock.is_held(self._folder) else None
        there = set(versions.find(self._destination).values())
        runs = ((self._run(context, there, is_working=context.id == working), context) for context in contexts)
        return [
            run for run, context in runs if run.failed or context.id == working or not layout.is_of_span(context.name)
        ]

    def versions(self) -> list[str]:
        """The versions that were pushed, in order."""
        known = {artifacts.text(artifact, "pushed_version") for artifact in self._pushed()}
        with_card = (name for name in versions.find(self._destination).values() if self._card_of(name))
        return sorted({*known, *with_card}, key=int)

    def explain(self, version: str) -> Origin:
        """Where a version comes from.

        Raises:
            UserError: there is no such version, or it has no card.
        """
        pushed = [
            artifact
            for artifact in self._pushed()
            if artifact.custom_properties["pushed_version"].string_value == version
        ]
        # A Pusher that was killed after its work did not record it; the version's card tells.
        source = pushed[-1] if pushed else self._card_of(version)
        if not source:
            known = ", ".join(self.versions()) or "none"
            raise UserError(f"--explain {version}: no such version was pushed. There were: {known}")
        steps = self._steps(source.id)
        places = [uri for step in steps for uri in step.artifacts if step.component == "ModelCard"]
        if pushed:
            destination = artifacts.text(source, "pushed_destination")
            places += [os.path.join(place, EXTRA) for place in (destination, source.uri)]
        model_card = next(filter(None, map(_read_card, places)), None)
        if not model_card:
            why = "" if version in versions.find(self._destination).values() else "it was removed (keep.versions), and "
            raise UserError(f"--explain {version}: {why}it has no model card: neither in {' nor in '.join(places)}")
        return Origin(model_card, self._version_of(model_card.baseline), steps)

    def _pushed(self) -> list[mlmd.Artifact]:
        """All that were pushed, the first one first."""
        return [artifact for artifact in self._of_type("PushedModel") if artifacts.number(artifact, "pushed")]

    def _card_of(self, version: str) -> mlmd.Artifact | None:
        """This run's card with which a version was pushed."""
        pushed = _read_card(os.path.join(self._destination, version, EXTRA))
        cards = self._of_type("components.ModelCard") if pushed else []
        return next((artifact for artifact in cards if _read_card(artifact.uri) == pushed), None)

    def _of_type(self, name: str) -> list[mlmd.Artifact]:
        """With their places of now."""
        matching = self._store.get_artifacts_by_type(name)
        for artifact in matching:
            run_folder.relocate(artifact, self._folder)
        return sorted(matching, key=lambda artifact: artifact.id)

    def _run(self, context: mlmd.Context, there: set[str], *, is_working: bool) -> Run:
        """A run of a context.

        Args:
            context: its own.
            there: the versions that have not been removed.
            is_working: whether it has not ended, if not all of it is done.
        """
        executions = self._store.get_executions_by_context(context.id)
        by_component = {self._component(execution): execution for execution in executions}
        if rolled_back := by_component.get(rolling_back.COMPONENT):
            (pushed,) = self._artifacts([rolled_back])
            again = artifacts.text(pushed, "pushed_version")
            return Run(
                started=_time(context.create_time_since_epoch),
                ended=f"rolled back to {artifacts.text(rolled_back, rolling_back.TO)}",
                version=again,
                is_there=again in there,
                trained=None,
                scores={},
                reasons=[],
            )
        trainer = by_component.get("Trainer")
        unfinished = [name for name, execution in by_component.items() if execution.last_known_state not in DONE]
        judged = [by_component[name] for name in ("Evaluator", "Pusher") if name in by_component]
        outputs = {artifact.type: artifact for artifact in self._artifacts(judged)}
        evaluation, pushed = outputs.get("ModelEvaluation"), outputs.get("PushedModel")
        outcome = _outcome(evaluation) if evaluation else _Outcome({}, [])
        stopped = unfinished or (["the start"] if not pushed else [])
        end = f"{'working' if is_working else 'stopped'} at {stopped[0]}" if stopped else None
        version = artifacts.text(pushed, "pushed_version") or None if pushed else None
        return Run(
            started=_time(context.create_time_since_epoch),
            ended=end or _verdict(outputs.get("ModelBlessing")),
            version=version,
            is_there=version in there,
            trained=_TRAINED.get(trainer.last_known_state) if trainer else None,
            scores=outcome.scores,
            reasons=outcome.reasons,
            failed=bool(unfinished) and not is_working,
            tuned=self._tuned(by_component.get("Tuner")),
        )

    def _tuned(self, tuner: mlmd.Execution | None) -> dict[str, Any]:
        """What a Tuner found, if it came so far and the files are still there."""
        made = self._artifacts([tuner]) if tuner else []
        best = [artifact for artifact in made if artifact.type == "HyperParameters" and not artifacts.damage(artifact)]
        return results_of_tuning.read_best(best[0].uri) if best else {}

    def _component(self, execution: mlmd.Execution) -> str:
        """The component's name in the pipeline, which is that of a context PIPELINE.NAME."""
        contexts = self._store.get_contexts_by_execution(execution.id)
        kinds = {kind.id: kind.name for kind in self._store.get_context_types()}
        names = {kinds[context.type_id]: context.name for context in contexts}
        return names["node"].removeprefix(f"{names['pipeline']}.")

    def _artifacts(self, executions: Iterable[mlmd.Execution]) -> list[mlmd.Artifact]:
        """What the executions put out, with their places of now."""
        executions = [execution.id for execution in executions]
        events = self._store.get_events_by_execution_ids(executions) if executions else []
        ids = [event.artifact_id for event in events if event.type == mlmd.Event.OUTPUT]
        outputs = list(self._store.get_artifacts_by_id(ids))
        for artifact in outputs:
            run_folder.relocate(artifact, self._folder)
        return outputs

    def _steps(self, artifact: int) -> list[Step]:
        """All executions on which an artifact depends."""
        wanted = [artifact]
        executions_by_id: dict[int, mlmd.Execution] = {}
        while wanted:
            events = self._store.get_events_by_artifact_ids(wanted)
            made_by = [event.execution_id for event in events if event.type == mlmd.Event.OUTPUT]
            executions = [
                execution
                for execution in self._store.get_executions_by_id(made_by)
                if execution.id not in executions_by_id and execution.last_known_state == mlmd.Execution.COMPLETE
            ]
            executions_by_id |= {execution.id: execution for execution in executions}
            events = self._store.get_events_by_execution_ids([execution.id for execution in executions])
            wanted = [
                event.artifact_id for event in events if event.type == mlmd.Event.INPUT and not has_own_origin(event)
            ]
        return [
            Step(
                self._component(execution),
                execution.id,
                _time(execution.last_update_time_since_epoch),
                [artifact.uri for artifact in outputs],
                next((_span(artifact) for artifact in outputs if window.READING in artifact.custom_properties), None),
            )
            for execution in sorted(executions_by_id.values(), key=lambda execution: execution.id)
            for outputs in [self._artifacts([execution])]
        ]

    def _version_of(self, model: str | None) -> str | None:
        """The version that a model, an artifact's folder, was pushed as."""
        if model is None:
            return None
        model = run_folder.relocated(model, self._folder)
        for artifact in self._pushed():
            for event in self._store.get_events_by_artifact_ids([artifact.id]):
                inputs = self._store.get_events_by_execution_ids([event.execution_id])
                ids = [event.artifact_id for event in inputs if event.type == mlmd.Event.INPUT]
                uris = (
                    run_folder.relocated(input_artifact.uri, self._folder)
                    for input_artifact in self._store.get_artifacts_by_id(ids)
                )
                if model in uris:
                    return artifacts.text(artifact, "pushed_version")
        return None


def keep_outcome(evaluation: mlmd.Artifact) -> None:
    """Writes what `history` tells of an evaluation into its properties, before its files go; others stay as they are.

    Args:
        evaluation: an artifact of any type, with its place of now.
    """
    if evaluation.type == "ModelEvaluation":
        kept = json.dumps(_outcome(evaluation)._asdict())
        evaluation.custom_properties[_OUTCOME].string_value = kept


def _outcome(evaluation: mlmd.Artifact) -> _Outcome:
    """Nothing where the files are gone otherwise."""
    if kept := artifacts.text(evaluation, _OUTCOME):
        return _Outcome(**json.loads(kept))
    if artifacts.damage(evaluation):
        return _Outcome({}, [])
    read = results.read(evaluation.uri)
    return _Outcome({result.name: result.score for result in read.benchmarks}, read.reasons)


def _read_card(folder: str) -> card.ModelCard | None:
    """None where there is none, or it is damaged."""
    path = os.path.join(folder, card_names.JSON)
    if not tf.io.gfile.exists(path):
        return None
    with tf.io.gfile.GFile(path, "rb") as file:
        try:
            return card.ModelCard.model_validate_json(file.read())
        except pydantic.ValidationError:
            return None


def _span(examples: mlmd.Artifact) -> tuple[int, int]:
    """Its number, and its version."""
    return artifacts.number(examples, utils.SPAN_PROPERTY_NAME), artifacts.number(examples, utils.VERSION_PROPERTY_NAME)


def has_own_origin(event: mlmd.Event) -> bool:
    """Whether it took an earlier model, to compare another with or to start it from, which has an origin of its own."""
    return any(step.key in ("baseline_model", "base_model") for step in event.path.steps)


def _verdict(blessing: mlmd.Artifact | None) -> str:
    if blessing is None:
        return "blocked"
    if artifacts.number(blessing, rolling_back.WITHDRAWN):
        return "withdrawn"
    return "blessed" if artifacts.number(blessing, "blessed") else "blocked"


def _time(milliseconds: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(milliseconds / 1000)
