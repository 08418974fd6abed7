"""Requests with which TF Serving warms a model up before it serves: `assets.extra/tf_serving_warmup_requests`."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from word2vec import questions

# TF Serving leaves this folder of a SavedModel to others, except for one file.
EXTRA = "assets.extra"
FILE = "tf_serving_warmup_requests"

# Words in a request.
WORDS = 32


def write(folder: str, words: Sequence[str], dimensions: int, signatures: Collection[str]) -> None:
    """Writes a request for each signature into a SavedModel's folder.

    Args:
        folder: the SavedModel's.
        words: of its vocabulary; at most WORDS.
        dimensions: of its vectors.
        signatures: that it has.
    """
    tf.io.gfile.makedirs(os.path.join(folder, EXTRA))
    with tf.io.TFRecordWriter(os.path.join(folder, EXTRA, FILE)) as writer:
        for signature, inputs in requests(words, dimensions).items():
            if signature not in signatures:
                continue
            request = predict_pb2.PredictRequest()
            request.model_spec.signature_name = signature
            for name, values in inputs.items():
                request.inputs[name].CopyFrom(tf.make_tensor_proto(values))
            log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
            writer.write(log.SerializeToString())


def requests(words: Sequence[str], dimensions: int) -> Mapping[str, Mapping[str, np.ndarray]]:
    """A request per signature: its inputs by name.

    Args:
        words: of the vocabulary; one at least.
        dimensions: of the vectors.
    """
    column = np.array(words, object)
    k, every = np.full(len(words), 10, np.int32), np.zeros(len(words), np.int32)
    terms = {"positive": column, "negative": np.array(words[::-1], object), "k": k, "restrict_vocab": every}
    vectors = {"vectors": np.ones((len(words), dimensions), np.float32), "without": column}
    pair, analogy = (words[0], words[-1]), (words[0], words[-1], words[0], words[-1])
    examples = list(questions.serialize(questions.Question("", "", asked, 0.0) for asked in (pair, analogy)))
    return {
        "serving_default": {"words": column},
        "most_similar": {"words": column, "k": k},
        "similarity": {"word1": column, "word2": column[::-1]},
        "analogy": {"a": column, "b": column[::-1], "c": column, "k": k},
        "nearest": terms,
        "nearest_cosmul": terms,
        "nearest_to_vector": {**vectors, "k": k, "restrict_vocab": every},
        "doesnt_match": {"words": column},
        "n_similarity": {"words1": column, "words2": column[::-1]},
        "rank": {"word1": column, "word2": column[::-1]},
        "embed_text": {"texts": np.array([" ".join(words)], object)},
        "embed_text_sif": {"texts": np.array([" ".join(words)], object)},
        "evaluate": {"examples": np.array(examples, object)},
        "evaluate_composed": {"examples": np.array(examples, object)},
    }
