"""The pipeline's ExampleGen, for text, and its ExampleValidator, which stops the run."""

from __future__ import annotations

from tfx import types
from tfx.components import ExampleValidator
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from components.component import Component
from components.corpus import executor, validator


class CorpusExampleGenSpec(component_spec.ComponentSpec):
    """What CorpusExampleGen takes and gives."""

    PARAMETERS = {
        "corpus": component_spec.ExecutionParameter(type=str),
        "fingerprint": component_spec.ExecutionParameter(type=str),
        "span": component_spec.ExecutionParameter(type=str),
    }
    INPUTS: dict[str, component_spec.ChannelParameter] = {}
    OUTPUTS = {"examples": component_spec.ChannelParameter(type=standard_artifacts.Examples)}


class CorpusExampleGen(base_beam_component.BaseBeamComponent):
    """Reads a corpus of text into tf.Examples with the one feature `text`.

    TFX's own FileBasedExampleGen takes one folder and one pattern, and needs a driver that Kubeflow Pipelines does not
    run; this one takes any mix of files, and its cache key is the fingerprint that it is given.

    Args:
        corpus: the corpus's settings (`pipeline.configs.CorpusConfig`) as JSON.
        fingerprint: stands for the files' content (`components.files.fingerprint`); empty where it is not known.
        span: the number of the span to read, in its newest version; empty for a corpus without spans.
    """

    SPEC_CLASS = CorpusExampleGenSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(executor.Executor)

    def __init__(self, corpus: str, fingerprint: str, span: str = ""):
        examples = types.Channel(type=standard_artifacts.Examples)
        super().__init__(
            spec=CorpusExampleGenSpec(corpus=corpus, fingerprint=fingerprint, span=span, examples=examples)
        )


class SchemaGenSpec(component_spec.ComponentSpec):
    """What SchemaGen takes and gives."""

    PARAMETERS = {
        "schema_file": component_spec.ExecutionParameter(type=str),
        "fingerprint": component_spec.ExecutionParameter(type=str),
    }
    INPUTS: dict[str, component_spec.ChannelParameter] = {}
    OUTPUTS = {"schema": component_spec.ChannelParameter(type=standard_artifacts.Schema)}


class SchemaGen(Component):
    """Imports a curated schema, as TFX's ImportSchemaGen; but an edited file is a new one to the cache.

    Args:
        schema_file: the schema (.pbtxt), which may be a built-in one: on a cluster, that one is in the image.
        fingerprint: stands for the file's content.
    """

    SPEC_CLASS = SchemaGenSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(validator.SchemaExecutor)


class StrictExampleValidator(ExampleValidator):
    """TFX's ExampleValidator, which fails where the original only takes note."""

    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(validator.Executor)
