"""The pushed model by itself: TensorFlow's own tool, fresh processes, and the requests of TFX's InfraValidator."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2
from tfx.components.infra_validator import request_builder
from tfx.proto import infra_validator_pb2
from tfx.types import artifact_utils, standard_artifacts

from serving.client import Embeddings
from tests.serving.conftest import VECTORS, cosine
from word2vec.questions import Question, serialize

# Brings the ops that TF Serving links; TensorFlow alone has not all of them.
CLI = "import tensorflow_text; from tensorflow.python.tools import saved_model_cli; saved_model_cli.main()"


def run(*arguments):
    done = subprocess.run(
        [sys.executable, "-c", *arguments], capture_output=True, text=True, timeout=120, check=False
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("signature", "inputs", "output"),
    [
        ("serving_default", "words=['King']", "embeddings"),
        ("most_similar", "words=['tea'];k=[2]", "neighbours"),
        ("similarity", "word1=['tea'];word2=['coffee']", "cosine"),
        ("analogy", "a=['man'];b=['king'];c=['woman'];k=[1]", "answers"),
        ("embed_text", "texts=['tea']", "known_share"),
    ],
)
def test_saved_model_cli(versions_folder, signature, inputs, output):
    folder = str(versions_folder / "7")
    arguments = ["--dir", folder, "--tag_set", "serve", "--signature_def", signature, "--input_exprs"]
    out = run(CLI, "run", *arguments, inputs)
    shown = out.partition(f"Result for output key {output}:")[2]
    expected = {
        "embeddings": f"{VECTORS[1][0]:.4f}"[:5],
        "neighbours": "b'",
        "cosine": f"{cosine('tea', 'coffee'):.4f}"[:5],
        "answers": "b'queen'",
        "known_share": "[1.]",
    }
    assert expected[output] in shown.partition("Result for")[0]


def test_a_fresh_process_with_tensorflow_alone(versions_folder, tmp_path):
    """Nothing of this project is needed."""
    code = f"""
import sys
import tensorflow as tf, tensorflow_text
model = tf.saved_model.load({str(versions_folder / "7")!r})
answer = model.signatures["analogy"](
    a=tf.constant(["man"]), b=tf.constant(["king"]), c=tf.constant(["woman"]), k=tf.constant([1]))
print(answer["answers"].numpy()[0, 0].decode())
assert not [name for name in sys.modules if name.split(".")[0] in ("components", "serving", "tfx")]
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "queen\n"), done.stderr


def test_infra_validators_requests_are_answered(versions_folder, server, tmp_path):
    """They are what the pipeline sends to TF Serving when serving.infra_validation is set."""
    examples, model = standard_artifacts.Examples(), standard_artifacts.Model()
    examples.uri, examples.split_names = str(tmp_path), artifact_utils.encode_split_names(["eval"])
    (tmp_path / "Split-eval").mkdir()
    with tf.io.TFRecordWriter(str(tmp_path / "Split-eval" / "questions.gz"), "GZIP") as writer:
        for words in (("tea", "coffee"), ("man", "king", "woman", "queen")):
            writer.write(next(serialize([Question("b", "s", words, 1.0)])))
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "Format-Serving").symlink_to(versions_folder / "7")
    model.uri = str(tmp_path / "model")
    spec = infra_validator_pb2.RequestSpec(
        tensorflow_serving=infra_validator_pb2.TensorFlowServingRequestSpec(signature_names=["evaluate"]),
        num_examples=10,
    )
    requests = request_builder.build_requests("word2vec", model, examples, spec)
    assert len(requests) == 10  # each of the two five times
    with Embeddings(server.grpc) as client:
        for request in requests:
            assert isinstance(request, predict_pb2.PredictRequest)
            answers = client._transport._stub.Predict(request, timeout=10).outputs["answers"]
            assert np.isfinite(tf.make_ndarray(answers)).any()
