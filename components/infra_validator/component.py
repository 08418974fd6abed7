"""TFX's InfraValidator: a real TF Serving must load the model and answer before it is pushed."""

from __future__ import annotations

from tfx.dsl.components.base import executor_spec
from tfx.types import standard_component_specs

from components.component import Component
from components.infra_validator import executor


class InfraValidator(Component):
    """As `tfx.components.InfraValidator`, which TFX's compiler for Kubeflow Pipelines refuses by its class.

    Args:
        model: what is tried.
        examples: what it is asked.
        serving_spec: which TF Serving, and where it runs.
        validation_spec: how long it may take.
        request_spec: how it is asked.
    """

    SPEC_CLASS = standard_component_specs.InfraValidatorSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)
