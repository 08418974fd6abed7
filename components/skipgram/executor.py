"""Transform's executor: TFX's own, and after it the examples put into sorted shards."""

from __future__ import annotations

import json
import os
from typing import Any
from unittest import mock

import apache_beam as beam
import tensorflow as tf
import tensorflow_text  # noqa: F401 see _RunGraph
import tensorflow_transform as tft
from tensorflow_transform.beam import impl
from tfx.components.transform import executor
from tfx.types import artifact_utils

from components import records, vocabulary


class _RunGraph(impl._RunMetaGraphDoFn):
    """TFT's, for workers that know nothing but what they unpickle.

    They load the graph, and only then TFT imports TensorFlow Text, whose ops are in it. To unpickle this class is to
    import this module, and so TensorFlow Text before.
    """


class Executor(executor.Executor):
    """Runs Transform, looks whether there is a vocabulary, and shards the transformed examples."""

    def Do(self, input_dict: dict[str, Any], output_dict: dict[str, Any], exec_properties: dict[str, Any]) -> None:
        """See `tfx.components.transform.executor.Executor.Do`.

        Raises:
            UserError: the vocabulary has fewer than two words, or most of the text are single letters.
        """
        with mock.patch.object(impl, "_RunMetaGraphDoFn", _RunGraph):
            super().Do(input_dict, output_dict, exec_properties)
        graph = tft.TFTransformOutput(artifact_utils.get_single_uri(output_dict["transform_graph"]))
        config = json.loads(exec_properties["custom_config"])
        words = vocabulary.read(graph.vocabulary_file_by_name(vocabulary.ASSET))
        vocabulary.check_letters(words, config["max_single_letter_share"])
        examples = artifact_utils.get_single_instance(output_dict["transformed_examples"])
        for split in artifact_utils.decode_split_names(examples.split_names):
            self._shard(artifact_utils.get_split_uri([examples], split), config["shards"])

    def _shard(self, folder: str, shards: int) -> None:
        """Replaces the files that Beam wrote in whatever number and order by sorted shards."""
        written = tf.io.gfile.glob(os.path.join(folder, "*.gz"))
        with self._make_beam_pipeline() as pipeline:
            (
                pipeline
                | "Files" >> beam.Create(written)
                | "Read" >> beam.io.ReadAllFromTFRecord()
                | "Canonical" >> beam.Map(_canonical)
                | "Write" >> records.WriteShards(folder, shards, prefix="pairs")
            )
        for path in written:
            tf.io.gfile.remove(path)


def _canonical(example: bytes) -> bytes:
    """The same tf.Example with its features in a fixed order; TFT's encoder leaves it open."""
    return tf.train.Example.FromString(example).SerializeToString(deterministic=True)
