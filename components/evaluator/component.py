"""TFX's Evaluator, which also looks at how far the words have moved."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import tensorflow as tf
from tensorflow.python.saved_model import loader_impl
from tensorflow_model_analysis.proto import config_pb2 as tfma
from tfx import types
from tfx.components.evaluator import constants, executor
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import artifact_utils, component_spec, standard_artifacts, standard_component_specs
from tfx.utils import json_utils, path_utils, proto_utils

from components.evaluator import eval_config as configs
from components.evaluator import stability


class Executor(executor.Executor):
    """Evaluates, and blocks a model whose words have moved too far."""

    def Do(self, input_dict: dict[str, Any], output_dict: dict[str, Any], exec_properties: dict[str, Any]) -> None:
        """See `tfx.components.evaluator.executor.Executor.Do`."""
        super().Do(input_dict, output_dict, {**exec_properties, **_answerable(input_dict, exec_properties)})
        baseline = input_dict.get(standard_component_specs.BASELINE_MODEL_KEY)
        if not baseline:
            return
        model, before = (
            path_utils.serving_model_path(artifact_utils.get_single_uri(artifacts))
            for artifacts in (input_dict[standard_component_specs.MODEL_KEY], baseline)
        )
        measured = stability.measure(model, before, exec_properties.get("min_stability"))
        if measured is None:
            return
        stability.write(measured, artifact_utils.get_single_uri(output_dict[standard_component_specs.EVALUATION_KEY]))
        if measured.reasons:
            _block(artifact_utils.get_single_instance(output_dict[standard_component_specs.BLESSING_KEY]))


def _answerable(input_dict: dict[str, Any], exec_properties: dict[str, Any]) -> dict[str, Any]:
    """The configuration, by which models that cannot compose words are asked for those that they know."""
    config = tfma.EvalConfig()
    proto_utils.json_to_proto(exec_properties[standard_component_specs.EVAL_CONFIG_KEY], config)
    keys = {
        configs.CANDIDATE: standard_component_specs.MODEL_KEY,
        configs.BASELINE: standard_component_specs.BASELINE_MODEL_KEY,
    }
    for spec in config.model_specs:
        models = input_dict.get(keys[spec.name])
        if models and spec.signature_name != configs.KNOWN_WORDS:
            folder = path_utils.serving_model_path(artifact_utils.get_single_uri(models))
            signatures = loader_impl.parse_saved_model(folder).meta_graphs[0].signature_def
            if spec.signature_name not in signatures:
                spec.signature_name = configs.KNOWN_WORDS
    return {standard_component_specs.EVAL_CONFIG_KEY: proto_utils.proto_to_json(config)}


def _block(blessing: types.Artifact) -> None:
    """Takes a blessing back, if there was one."""
    blessed = os.path.join(blessing.uri, constants.BLESSED_FILE_NAME)
    if tf.io.gfile.exists(blessed):
        tf.io.gfile.rename(blessed, os.path.join(blessing.uri, constants.NOT_BLESSED_FILE_NAME), overwrite=True)
        blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_BLESSED_KEY, constants.NOT_BLESSED_VALUE)


class EvaluatorSpec(component_spec.ComponentSpec):
    """TFX's EvaluatorSpec, and the least stability."""

    PARAMETERS = {
        **standard_component_specs.EvaluatorSpec.PARAMETERS,
        "min_stability": component_spec.ExecutionParameter(type=float, optional=True),
    }
    INPUTS = standard_component_specs.EvaluatorSpec.INPUTS
    OUTPUTS = standard_component_specs.EvaluatorSpec.OUTPUTS
    TYPE_ANNOTATION = standard_component_specs.EvaluatorSpec.TYPE_ANNOTATION


class Evaluator(base_beam_component.BaseBeamComponent):
    """Asks a model the questions, and blesses it if it reaches the thresholds.

    Args:
        examples: the questions.
        model: what is asked.
        baseline_model: the last blessed model, if there is one.
        eval_config: TFMA's, with the thresholds.
        min_stability: the least mean cosine of a word's vector with that in the last blessed model; None for any.
        splits: those of the questions that are asked; None for all.
    """

    SPEC_CLASS = EvaluatorSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        model: types.BaseChannel,
        baseline_model: types.BaseChannel,
        eval_config: Any,
        min_stability: float | None,
        splits: Sequence[str] | None = None,
    ):
        super().__init__(
            spec=EvaluatorSpec(
                examples=examples,
                model=model,
                baseline_model=baseline_model,
                eval_config=eval_config,
                example_splits=json_utils.dumps(splits),
                fairness_indicator_thresholds=json_utils.dumps(None),
                min_stability=min_stability,
                evaluation=types.Channel(type=standard_artifacts.ModelEvaluation),
                blessing=types.Channel(type=standard_artifacts.ModelBlessing),
            )
        )
