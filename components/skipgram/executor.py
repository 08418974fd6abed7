"""Transform's executor: TFX's own, except for how it counts tokens and writes the examples."""

from __future__ import annotations

import contextlib
import functools
import json
import os
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import tensorflow as tf
import tensorflow_text  # noqa: F401 see _RunGraph
import tensorflow_transform as tft
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_transform.beam import analyzer_impls, impl
from tfx import types
from tfx.components.example_gen import utils
from tfx.components.transform import executor
from tfx.types import artifact_utils

from components import records
from components.skipgram import counting
from word2vec import vocabulary

_PREFIX = "pairs"  # of the shards' names


class _RunGraph(impl._RunMetaGraphDoFn):
    """TFT's, for workers that know nothing but what they unpickle.

    They load the graph, and only then TFT imports TensorFlow Text, whose ops are in it. To unpickle this class is to
    import this module, and so TensorFlow Text before.
    """


class Executor(executor.Executor):
    """Runs Transform, which writes its examples as sorted shards, and looks whether there is a vocabulary."""

    def Do(self, input_dict: dict[str, Any], output_dict: dict[str, Any], exec_properties: dict[str, Any]) -> None:
        """See `tfx.components.transform.executor.Executor.Do`.

        Raises:
            UserError: the vocabulary has fewer than two words, or most of the text are single letters.
        """
        config = json.loads(exec_properties["custom_config"])
        # ML Metadata and KFP give them in any order.
        input_dict = {**input_dict, "examples": sorted(input_dict["examples"], key=_span)}
        with in_our_way(config["shards"]):
            super().Do(input_dict, output_dict, exec_properties)
        for examples in output_dict["transformed_examples"]:  # as many as there were to read
            for split in artifact_utils.decode_split_names(examples.split_names):
                folder = artifact_utils.get_split_uri([examples], split)
                if not tf.io.gfile.exists(folder):  # where no text is, is no shard
                    records.write_empty(folder, prefix=_PREFIX)
        graph = tft.TFTransformOutput(artifact_utils.get_single_uri(output_dict["transform_graph"]))
        words = vocabulary.read(vocabulary.path_in(graph))
        vocabulary.check_letters(words, config["max_single_letter_share"])


def _span(examples: types.Artifact) -> int:
    return examples.get_int_custom_property(utils.SPAN_PROPERTY_NAME)


# What is ours of TFX's Transform, which has no settings for it: (where it is, its name).
REPLACED = (
    (impl, "_RunMetaGraphDoFn"),
    (analyzer_impls._VocabularyAccumulateImpl, "expand"),
    (executor.TransformProcessor, "_EncodeAndWrite"),
)


@contextlib.contextmanager
def in_our_way(shards: int) -> Iterator[None]:
    """Within the context, TFX's Transform runs graphs, counts tokens and writes examples as this module does.

    Args:
        shards: files per split, at most.

    Raises:
        KeyError: TFX or TFT no longer has what is to be replaced.
    """
    write = functools.partial(_EncodeAndWriteShards, shards)
    ours = (_RunGraph, _accumulate, staticmethod(write))
    theirs = [vars(owner)[name] for owner, name in REPLACED]
    try:
        for (owner, name), own in zip(REPLACED, ours, strict=True):
            setattr(owner, name, own)
        yield
    finally:
        for (owner, name), own in zip(REPLACED, theirs, strict=True):
            setattr(owner, name, own)


def _accumulate(_: beam.PTransform, batches: tuple[beam.PCollection]) -> beam.PCollection:
    return batches[0] | "CountTokens" >> counting.CountTokens()


class _EncodeAndWriteShards(beam.PTransform):
    """In the place of TFX's, which would write files in whatever number and order."""

    def __init__(self, shards: int, *, schema: schema_pb2.Schema, file_format: str, output_path: str):
        super().__init__()
        del file_format  # TFRecord
        self._shards, self._schema, self._folder = shards, schema, os.path.dirname(output_path)

    def expand(self, batches: beam.PCollection) -> beam.PCollection:
        return (
            batches
            | "Encode" >> beam.ParDo(executor.TransformProcessor._RecordBatchToExamplesFn(self._schema))
            | "Canonical" >> beam.MapTuple(_canonical)
            | "Write" >> records.WriteShards(self._folder, self._shards, prefix=_PREFIX)
        )


def _canonical(_: None, example: bytes) -> bytes:
    """The same tf.Example with its features in a fixed order; TFX's encoder leaves it open."""
    return tf.train.Example.FromString(example).SerializeToString(deterministic=True)
