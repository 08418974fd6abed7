"""The executors around the schema: one imports it, the other stops the run at an anomaly, in TFDV's own words."""

from __future__ import annotations

import os
from typing import Any

import tensorflow as tf
from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx.components.example_validator import executor
from tfx.components.schema_gen.import_schema_gen import executor as import_executor
from tfx.types import artifact_utils

from components import builtin
from word2vec.errors import UserError


class SchemaExecutor(import_executor.Executor):
    """Imports the schema, which may be a built-in one."""

    def Do(self, input_dict: dict[str, Any], output_dict: dict[str, Any], exec_properties: dict[str, Any]) -> None:
        """See `tfx.components.schema_gen.import_schema_gen.executor.Executor.Do`."""
        path = builtin.resolve(exec_properties["schema_file"])
        if not tf.io.gfile.exists(path):
            raise UserError(f"corpus.schema_file = {path!r}: there is no such file")
        super().Do(input_dict, output_dict, {**exec_properties, "schema_file": path})


class Executor(executor.Executor):
    """Validates the statistics against the schema, and fails if anything is amiss."""

    def Do(self, input_dict: dict[str, Any], output_dict: dict[str, Any], exec_properties: dict[str, Any]) -> Any:
        """See `tfx.components.example_validator.executor.Executor.Do`.

        Raises:
            UserError: there is an anomaly.
        """
        result = super().Do(input_dict, output_dict, exec_properties)
        artifact = artifact_utils.get_single_instance(output_dict["anomalies"])
        anomalies = [
            f"  {split}, {feature}: {info.short_description}: {info.description}"
            for split in artifact_utils.decode_split_names(artifact.split_names)
            for feature, info in sorted(_read(artifact.uri, split).anomaly_info.items())
        ]
        if anomalies:
            raise UserError("the documents do not fit the schema (corpus.schema_file):\n" + "\n".join(anomalies))
        return result


def _read(uri: str, split: str) -> anomalies_pb2.Anomalies:
    path = os.path.join(uri, f"Split-{split}", executor.DEFAULT_FILE_NAME)
    return anomalies_pb2.Anomalies.FromString(tf.io.gfile.GFile(path, "rb").read())
