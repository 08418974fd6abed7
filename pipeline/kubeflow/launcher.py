"""What runs in a component's container on Kubeflow Pipelines: TFX's executor, on the paths of KFP's launcher.

The pipeline is made anew from the settings that the task is told (`needs.py`), and TFX's entry point is given what its
compiler says of this component, and nothing that KFP adds of its own (`invocation.py`).
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Mapping, Sequence

from word2vec import importing, streams

with importing.quickly():
    from google.protobuf import json_format
    from kfp.pipeline_spec import pipeline_spec_pb2
    from tfx.orchestration.kubeflow.v2.container import kubeflow_v2_run_executor
    from tfx.utils import path_utils

    from components.corpus.spans import Slot
    from components.pusher import versions
    from pipeline import beam_workers, engines, layout, nodes
    from pipeline.configs import Config
    from pipeline.kubeflow import checks, compiler, invocation, needs, task, volume, workplace
    from pipeline.kubeflow.spec import Json
    from pipeline.kubeflow.training_job import job


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one component; returns the exit code."""
    return task.run(__doc__, nodes.OF, _run, arguments)


def _run(name: str, settings: Json, executor_input: str) -> None:
    asked = json_format.Parse(executor_input, pipeline_spec_pb2.ExecutorInput(), ignore_unknown_fields=True)
    inputs = json_format.MessageToDict(asked.inputs).get("parameterValues", {})
    config, facts = needs.config_in_container(settings, inputs)
    checkpoints = _checkpoints(config)
    for folder in _written(name, config, checkpoints):
        volume.check_writable(folder, config.kubeflow.volume)
    component = compiler.in_container(name, config, facts, checkpoints)
    wanted = invocation.facts_wanted(name, asked)
    invocation.localize(asked)
    if _is_of_no_span(name, config, facts, asked):
        invocation.keep_declared(asked, component)  # or a folder would stand where KFP has its logs, which is a file
        for outputs in asked.outputs.artifacts.values():
            os.makedirs(outputs.artifacts[0].uri, exist_ok=True)
        return
    invocation.join_spans(asked)
    invocation.keep_declared(asked, component)
    invocation.complete(asked, component.inputs)
    model = next((one.artifacts[0].uri for key, one in asked.outputs.artifacts.items() if key == "model"), "")
    if needs.has_job(name, config):
        copies = job.train(component, asked, config, checkpoints)
    else:
        with workplace.on_volume(name, config, asked), workplace.on_engine(name, config, asked) as copies:
            _execute(name, component, asked, config)
    invocation.restore(asked.outputs.output_file, copies)
    for path in wanted:
        task.write_parameter(path, versions.identity(path_utils.serving_model_path(model)))


def _is_of_no_span(name: str, config: Config, facts: Mapping[str, str], asked: pipeline_spec_pb2.ExecutorInput) -> bool:
    """Whether a task is of a place in a window for which there is no span: then there is nothing to do."""
    if name == "ExampleGen":
        return config.corpus.has_spans and not Slot.parse(facts[needs.SPAN]).number
    given = {"StatisticsGen": "examples", "ExampleValidator": "statistics"}.get(name)
    return given is not None and not invocation.has_files(asked.inputs.artifacts[given].artifacts[0].uri)


def _checkpoints(config: Config) -> str:
    """Where the Trainer's and the Tuner's are: on the volume, if there is one, on which they survive the container."""
    on = config.kubeflow.volume
    return os.path.join(on.path if on else tempfile.gettempdir(), layout.CHECKPOINTS, config.name)


def _written(name: str, config: Config, checkpoints: str) -> list[str]:
    """The folders outside the object store into which a task writes."""
    exchange = [checks.exchange(config)] if workplace.has_engine(name, config) else []
    return {
        "Trainer": [checkpoints],
        "Tuner": [checkpoints],
        "Pusher": [config.destination],
        "InfraValidator": [config.kubeflow.volume.path] if config.kubeflow.volume else [],
    }.get(name, exchange)


def _execute(
    name: str, component: compiler.TfxComponent, asked: pipeline_spec_pb2.ExecutorInput, config: Config
) -> None:
    options = argparse.Namespace(
        executor_class_path=component.executor,
        json_serialized_invocation_args=json_format.MessageToJson(asked),
        json_serialized_inputs_spec_args=json.dumps(component.inputs),
    )
    beam_workers.register()
    kubeflow_v2_run_executor.main((options, engines.arguments(config.beam, text_bytes=None).of(name)))


if __name__ == "__main__":
    streams.leave(main())
