"""Transform's executor: TFX's own, except for how it counts tokens and writes the examples."""

from __future__ import annotations

import contextlib
import functools
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import apache_beam as beam
import tensorflow as tf
import tensorflow_text  # noqa: F401 see _RunGraph
import tensorflow_transform as tft
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_transform.beam import analysis_graph_builder, analyzer_impls, impl
from tfx import types
from tfx.components.example_gen import utils
from tfx.components.transform import executor
from tfx.components.util import tfxio_utils
from tfx.types import artifact_utils
from tfx_bsl.tfxio import tfxio

from components import records
from components.skipgram import counting
from word2vec import vocabulary


class _RunGraph(impl._RunMetaGraphDoFn):
    """TFT's, for workers that know nothing but what they unpickle.

    They load the graph, and only then TFT imports TensorFlow Text, whose ops are in it. To unpickle this class is to
    import this module, and so TensorFlow Text before.
    """


class Executor(executor.Executor):
    """Runs Transform, which writes its examples as sorted shards, and looks whether there is a vocabulary.

    It takes the Examples of several spans as one text; TFX's would make a pipeline and examples of each.
    """

    def Do(self, input_dict: dict[str, Any], output_dict: dict[str, Any], exec_properties: dict[str, Any]) -> None:
        """See `tfx.components.transform.executor.Executor.Do`.

        Raises:
            UserError: the vocabulary has fewer than two words, or most of the text are single letters.
        """
        config = json.loads(exec_properties["custom_config"])
        # ML Metadata and KFP give them in any order.
        spans = sorted(input_dict["examples"], key=_span)
        with in_our_way(config["shards"], [span.uri for span in spans]):
            super().Do({**input_dict, "examples": spans[:1]}, output_dict, exec_properties)
        examples = artifact_utils.get_single_instance(output_dict["transformed_examples"])
        for split in artifact_utils.decode_split_names(examples.split_names):
            tf.io.gfile.makedirs(artifact_utils.get_split_uri([examples], split))  # where no text is, is no shard
        graph = tft.TFTransformOutput(artifact_utils.get_single_uri(output_dict["transform_graph"]))
        words = vocabulary.read(vocabulary.path_in(graph))
        vocabulary.check_letters(words, config["max_single_letter_share"])


def _span(examples: types.Artifact) -> int:
    return examples.get_int_custom_property(utils.SPAN_PROPERTY_NAME)


# What is ours of TFX's Transform, which has no settings for it: (where it is, its name).
REPLACED = (
    (impl, "_RunMetaGraphDoFn"),
    (analyzer_impls._VocabularyAccumulateImpl, "expand"),
    (executor.TransformProcessor, "_CreateTFXIO"),
    (executor.TransformProcessor, "_EncodeAndWrite"),
    (tft, "get_analyze_input_columns"),
    (tft, "get_transform_input_columns"),
    (analysis_graph_builder, "get_analysis_cache_entry_keys"),
)


@contextlib.contextmanager
def in_our_way(shards: int, uris: Sequence[str]) -> Iterator[None]:
    """Within the context, TFX's Transform runs graphs, counts tokens, reads and writes examples as this module does.

    Args:
        shards: files per split, at most.
        uris: of the Examples, of which TFX knows the first.

    Raises:
        KeyError: TFX or TFT no longer has what is to be replaced.
    """
    read, write = functools.partialmethod(_create_tfxio, uris), functools.partial(_EncodeAndWriteShards, shards)
    ours = (_RunGraph, _accumulate, read, staticmethod(write), _all_columns, _all_columns, _no_keys)
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


def _all_columns(_: Any, columns: Mapping[str, tf.TypeSpec], **how: Any) -> list[str]:
    """In the place of TFT's, which traces the whole graph each time to find that it takes the text."""
    return list(columns)


def _no_keys(*_: Any) -> set[bytes]:
    """Of a cache that is not used; TFX traces the graph for them all the same."""
    return set()


def _create_tfxio(
    _: executor.TransformProcessor, uris: Sequence[str], dataset: Any, schema: schema_pb2.Schema
) -> tfxio.TFXIO:
    """In the place of TFX's, which would read the first Examples alone."""
    patterns = [uri + dataset.file_pattern.removeprefix(uris[0]) for uri in uris]
    return tfxio_utils.make_tfxio(
        file_pattern=patterns,
        file_format=[dataset.file_format] * len(patterns),
        telemetry_descriptors=["tfx", "Transform"],
        payload_format=dataset.data_format,
        data_view_uri=dataset.data_view_uri,
        schema=schema,
    )


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
            | "Write" >> records.WriteShards(self._folder, self._shards, prefix="pairs")
        )


def _canonical(_: None, example: bytes) -> bytes:
    """The same tf.Example with its features in a fixed order; TFX's encoder leaves it open."""
    return tf.train.Example.FromString(example).SerializeToString(deterministic=True)
