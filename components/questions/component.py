"""The second ExampleGen: files of questions in, tf.Examples out."""

from __future__ import annotations

import json
from typing import Any

from tfx.dsl.components.base import base_executor, executor_spec
from tfx.types import artifact_utils, component_spec, standard_artifacts

from components.component import Component
from components.questions import examples, files, halves
from word2vec import progress


class Executor(base_executor.BaseExecutor):
    """Reads all questions, checks every line, and writes them to one shard."""

    def Do(self, input_dict: dict[str, Any], output_dict: dict[str, Any], exec_properties: dict[str, Any]) -> None:
        """See `tfx.dsl.components.base.base_executor.BaseExecutor.Do`.

        Raises:
            UserError: a file or a line that can't be read, or a threshold or a half without questions.
        """
        read = files.read_all(json.loads(exec_properties["benchmarks"]))
        files.check_thresholds(json.loads(exec_properties["thresholds"]), read)
        for doubt in files.doubts(read):
            progress.note(doubt)
        asked, tuning = read, None
        if how := json.loads(exec_properties.get("tuning") or "null"):
            asked, tuning = halves.split(read, how["seed"])
            halves.check(json.loads(exec_properties["thresholds"]), how["weights"], asked, tuning)
        examples.write(asked, artifact_utils.get_single_instance(output_dict["examples"]), tuning)


class QuestionExampleGenSpec(component_spec.ComponentSpec):
    """What QuestionExampleGen takes and gives."""

    PARAMETERS = {
        "benchmarks": component_spec.ExecutionParameter(type=str),
        "thresholds": component_spec.ExecutionParameter(type=str),
        "fingerprint": component_spec.ExecutionParameter(type=str),
        "tuning": component_spec.ExecutionParameter(type=str, optional=True),
    }
    INPUTS: dict[str, component_spec.ChannelParameter] = {}
    OUTPUTS = {"examples": component_spec.ChannelParameter(type=standard_artifacts.Examples)}


class QuestionExampleGen(Component):
    """Reads analogy and similarity questions into tf.Examples (`word2vec.questions`).

    They are in the split `eval`; where there is a Tuner, half of them are in `tune`.

    Args:
        benchmarks: a JSON list of files, folders or globs.
        thresholds: a JSON list of the benchmarks and benchmark/sections that must be among them.
        fingerprint: stands for the files' content.
        tuning: JSON with the `seed` that decides the halves, and a list of the benchmarks in `weights`, which must be
            among them; None without a Tuner.
    """

    SPEC_CLASS = QuestionExampleGenSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)
