"""TFX's Tuner, which is also given the questions by which its trials are judged."""

from __future__ import annotations

from typing import Any

from tfx import types
from tfx.components.tuner import component, executor
from tfx.dsl.components.base import base_component, executor_spec
from tfx.proto import trainer_pb2
from tfx.types import artifact_utils, component_spec, standard_artifacts, standard_component_specs
from tfx.utils import json_utils

_QUESTIONS = "questions"


class Executor(executor.Executor):
    """Tells the tuner_fn where the questions are: TFX's own tells it of examples, transform graph and base model."""

    def Do(self, input_dict: dict[str, Any], output_dict: dict[str, Any], exec_properties: dict[str, Any]) -> None:
        """See `tfx.components.tuner.executor.Executor.Do`."""
        config = json_utils.loads(exec_properties[standard_component_specs.CUSTOM_CONFIG_KEY])
        config[_QUESTIONS] = artifact_utils.get_single_uri(input_dict[_QUESTIONS])
        told = {**exec_properties, standard_component_specs.CUSTOM_CONFIG_KEY: json_utils.dumps(config)}
        super().Do({key: value for key, value in input_dict.items() if key != _QUESTIONS}, output_dict, told)


class TunerSpec(component_spec.ComponentSpec):
    """TFX's TunerSpec, and the questions."""

    PARAMETERS = standard_component_specs.TunerSpec.PARAMETERS
    INPUTS = {
        **standard_component_specs.TunerSpec.INPUTS,
        _QUESTIONS: component_spec.ChannelParameter(type=standard_artifacts.Examples),
    }
    OUTPUTS = standard_component_specs.TunerSpec.OUTPUTS


class Tuner(component.Tuner):
    """Looks for better settings of the training.

    Args:
        examples: the pairs.
        transform_graph: with the vocabulary.
        questions: with the split by which trials are judged.
        base_model: what a training starts from, if it does.
        custom_config: see `tuner_fn.tuner_fn`.
    """

    SPEC_CLASS = TunerSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        transform_graph: types.BaseChannel,
        questions: types.BaseChannel,
        base_model: types.BaseChannel | None,
        custom_config: dict[str, Any],
    ):
        # Not TFX's own, which makes its own specification.
        base_component.BaseComponent.__init__(
            self,
            spec=TunerSpec(
                examples=examples,
                transform_graph=transform_graph,
                questions=questions,
                base_model=base_model,
                tuner_fn="components.tuner.tuner_fn.tuner_fn",
                train_args=trainer_pb2.TrainArgs(splits=["train"]),
                eval_args=trainer_pb2.EvalArgs(splits=["train"]),
                custom_config=json_utils.dumps(custom_config),
                best_hyperparameters=types.Channel(type=standard_artifacts.HyperParameters),
                tuner_results=types.Channel(type=standard_artifacts.TunerResults),
            ),
        )
