"""Writes the card of a model when it has been evaluated, whether it was blessed or not."""

from __future__ import annotations

import datetime
import json
import os
import pathlib
import subprocess
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft
from tfx.components.evaluator import constants
from tfx.components.util import model_utils
from tfx.dsl.components.base import base_executor, executor_spec
from tfx.types import artifact, artifact_utils, component_spec, standard_artifacts
from tfx.utils import path_utils

from components.card import card
from components.card import names as card_names
from components.component import Component
from components.corpus.report import CorpusReport
from components.evaluator import results
from components.tuner import results as results_of_tuning
from word2vec import saved_vectors, tuning, vocabulary
from word2vec.settings import TrainerSettings

# The inputs that there are where there is a Tuner.
_OF_TUNING = "best_hyperparameters", "tuner_results"


class ModelCardArtifact(artifact.Artifact):
    """A folder with the card as JSON and as Markdown."""

    TYPE_NAME = "components.ModelCard"  # where KFP imports it from


class Executor(base_executor.BaseExecutor):
    """Gathers the card's facts from the artifacts."""

    def Do(self, input_dict: dict[str, Any], output_dict: dict[str, Any], exec_properties: dict[str, Any]) -> None:
        """See `tfx.dsl.components.base.base_executor.BaseExecutor.Do`."""
        uris = {
            key: artifact_utils.get_single_uri(value)
            for key, value in input_dict.items()
            if value and key != "examples"
        }
        blessing = artifact_utils.get_single_instance(input_dict["model_blessing"])
        settings, code = (json.loads(exec_properties[key]) for key in ("settings", "code"))
        tuned = results_of_tuning.read(*(uris[key] for key in _OF_TUNING)) if _OF_TUNING[0] in uris else None
        if tuned:
            settings["trainer"] = tuning.combined(TrainerSettings(**settings["trainer"]), tuned.settings).filled()
        report = CorpusReport.of(examples.uri for examples in input_dict["examples"])
        graph = tft.TFTransformOutput(uris["transform_graph"])
        evaluation = results.read(uris["evaluation"])
        moved = evaluation.stability
        model_card = card.ModelCard(
            name=exec_properties["name"],
            created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            words=len(vocabulary.read(vocabulary.path_in(graph))),
            dimensions=settings["trainer"]["dimensions"],
            blessed=model_utils.is_model_blessed(blessing),
            reasons=evaluation.reasons,
            benchmarks=card.benchmarks_of(evaluation),
            space=saved_vectors.space_of(path_utils.serving_model_path(uris["model"])),
            stability=moved.score if moved and moved.same_space else None,
            baseline=blessing.get_string_custom_property(constants.ARTIFACT_PROPERTY_BASELINE_MODEL_URI_KEY) or None,
            corpus=card.Corpus(
                paths=settings["corpus"]["paths"],
                fingerprint=report.fingerprint,
                spans=report.spans,
                documents=report.documents,
                bytes=report.bytes,
                files=report.files,
                skipped=sum(report.skipped.values()),
            ),
            settings=settings,
            tuning=tuned,
            code=card.Code(**code, commit=_commit()),
        )
        folder = artifact_utils.get_single_uri(output_dict["model_card"])
        tf.io.gfile.makedirs(folder)
        for name, text in (
            (card_names.JSON, model_card.model_dump_json(indent=2)),
            (card_names.MARKDOWN, model_card.markdown()),
        ):
            with tf.io.gfile.GFile(os.path.join(folder, name), "w") as file:
                file.write(text)


def _commit() -> str | None:
    """The commit that this code is of, if it is in a checkout and git is there; `-dirty` if it was changed since."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--match="]
    try:
        done = subprocess.run(
            command, cwd=pathlib.Path(__file__).parent, capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


class ModelCardSpec(component_spec.ComponentSpec):
    """What ModelCard takes and gives."""

    PARAMETERS = {
        "name": component_spec.ExecutionParameter(type=str),
        "settings": component_spec.ExecutionParameter(type=str),
        "code": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "transform_graph": component_spec.ChannelParameter(type=standard_artifacts.TransformGraph),
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "evaluation": component_spec.ChannelParameter(type=standard_artifacts.ModelEvaluation),
        "model_blessing": component_spec.ChannelParameter(type=standard_artifacts.ModelBlessing),
        "best_hyperparameters": component_spec.ChannelParameter(type=standard_artifacts.HyperParameters, optional=True),
        "tuner_results": component_spec.ChannelParameter(type=standard_artifacts.TunerResults, optional=True),
    }
    OUTPUTS = {"model_card": component_spec.ChannelParameter(type=ModelCardArtifact)}


class ModelCard(Component):
    """Writes the card of a model.

    Args:
        examples: the corpus.
        transform_graph: with the vocabulary.
        model: what the card is of.
        evaluation: of the model.
        model_blessing: of the model too.
        best_hyperparameters: the settings that the Tuner found, if there is one.
        tuner_results: its trials.
        name: of the run.
        settings: a JSON object of the settings on which the model depends, but for those that the Tuner found.
        code: a JSON object with the code's `version`, `fingerprint` and `lock`, and the `libraries`' versions.
    """

    SPEC_CLASS = ModelCardSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)
