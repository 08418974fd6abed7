"""Writes the report of a run, whether its model was blessed or not."""

from __future__ import annotations

import os
from typing import Any

import tensorflow as tf
from tfx.dsl.components.base import base_executor, executor_spec
from tfx.types import artifact, artifact_utils, component_spec, standard_artifacts

from components.card.component import ModelCardArtifact
from components.component import Component

FILE = "report.html"


class ReportArtifact(artifact.Artifact):
    """A folder with the report's page."""

    TYPE_NAME = "components.Report"  # where KFP imports it from


class Executor(base_executor.BaseExecutor):
    """Gathers the facts and draws the page."""

    def Do(self, input_dict: dict[str, Any], output_dict: dict[str, Any], exec_properties: dict[str, Any]) -> None:
        """See `tfx.dsl.components.base.base_executor.BaseExecutor.Do`."""
        # Here, for Plotly and scikit-learn take a second to import, which every start of the pipeline would pay.
        from components.report import facts, page

        gathered = facts.gather(
            {key: [artifact.uri for artifact in value] for key, value in input_dict.items()},
            map_words=exec_properties["map_words"],
            neighbour_words=exec_properties["neighbour_words"],
            seed=exec_properties["seed"],
            durations=exec_properties["durations"],
            notes=exec_properties["notes"],
        )
        folder = artifact_utils.get_single_uri(output_dict["report"])
        tf.io.gfile.makedirs(folder)
        with tf.io.gfile.GFile(os.path.join(folder, FILE), "w") as file:
            file.write(page.render(gathered))


class ReportSpec(component_spec.ComponentSpec):
    """What Report takes and gives."""

    PARAMETERS = {
        "map_words": component_spec.ExecutionParameter(type=int),
        "neighbour_words": component_spec.ExecutionParameter(type=int),
        "seed": component_spec.ExecutionParameter(type=int),
        "durations": component_spec.ExecutionParameter(type=str),
        "notes": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "transform_graph": component_spec.ChannelParameter(type=standard_artifacts.TransformGraph),
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "baseline_model": component_spec.ChannelParameter(type=standard_artifacts.Model, optional=True),
        "model_run": component_spec.ChannelParameter(type=standard_artifacts.ModelRun),
        "evaluation": component_spec.ChannelParameter(type=standard_artifacts.ModelEvaluation),
        "model_card": component_spec.ChannelParameter(type=ModelCardArtifact),
        "benchmarks": component_spec.ChannelParameter(type=standard_artifacts.Examples),
    }
    OUTPUTS = {"report": component_spec.ChannelParameter(type=ReportArtifact)}


class Report(Component):
    """Writes the report: one HTML page that needs no network.

    Args:
        examples: the corpus.
        transform_graph: with the vocabulary.
        model: the model.
        baseline_model: the last blessed model, if there is one.
        model_run: the training's logs.
        evaluation: of the model.
        model_card: of the model.
        benchmarks: the questions.
        map_words: how many words are on the map.
        neighbour_words: of how many words the neighbours are listed.
        seed: of the map.
        durations: a file in which the runner keeps the components' seconds, if it does.
        notes: a file in which the runner keeps what was noted in this run, if it does.
    """

    SPEC_CLASS = ReportSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)
