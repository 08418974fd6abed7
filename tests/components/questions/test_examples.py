"""The questions as an artifact."""

from __future__ import annotations

from tfx.components.util import examples_utils
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils, standard_artifacts

from components.questions import examples
from word2vec.questions import Question, serialize


def test_what_is_written_is_read(tmp_path):
    asked = [Question("pairs", "", (f"a{number}", "b"), number / 8) for number in range(2000)]
    asked.append(Question("quads", "one", ("a", "b", "c", "d"), 1.0))
    artifact = standard_artifacts.Examples()
    artifact.uri = str(tmp_path)
    examples.write(asked, artifact)
    assert artifact_utils.decode_split_names(artifact.split_names) == ["eval"]
    assert examples_utils.get_payload_format(artifact) == example_gen_pb2.FORMAT_TF_EXAMPLE
    assert examples_utils.get_file_format(artifact) == "tfrecords_gzip"
    read = [
        (name.decode(), (one.decode(), other.decode()), float(score))
        for pairs in examples.pairs(artifact.uri)
        for name, (one, other), score in zip(
            pairs.benchmarks.numpy(), pairs.words.numpy(), pairs.scores.numpy(), strict=True
        )
    ]
    assert read == [(question.benchmark, question.words, question.score) for question in asked[:-1]]


def test_the_gate_does_not_see_what_is_for_tuning(tmp_path):
    one, other = (Question("pairs", "", (word, "b"), 1.0) for word in ("gate", "tune"))
    artifact = standard_artifacts.Examples()
    artifact.uri = str(tmp_path)
    examples.write([one], artifact, [other])
    assert artifact_utils.decode_split_names(artifact.split_names) == ["eval", "tune"]
    assert [pairs.words.numpy().tolist() for pairs in examples.pairs(artifact.uri)] == [[[b"gate", b"b"]]]
    assert examples.read(artifact.uri) == list(serialize([one]))
    assert examples.read(artifact.uri, examples.TUNING) == list(serialize([other]))
