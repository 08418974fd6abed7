"""What the measurements share: parts in processes of their own, tables, made-up text."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2

from benchmarks import hostile_requests, made_up_text, markdown, parts


def test_a_part_is_done_that_is_named_in_json(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["x", '{"part": "double", "number": 2}'])
    assert parts.is_one_of({"double": lambda number: {"twice": 2 * number}})
    assert json.loads(capsys.readouterr().out) == {"twice": 4}


@pytest.mark.parametrize("arguments", [[], ["--model", "x"], ["[]"], ["{"], ["2"]])
def test_other_arguments_name_no_part(monkeypatch, arguments):
    monkeypatch.setattr("sys.argv", ["x", *arguments])
    assert not parts.is_one_of({})


def test_a_table_is_the_same_row_by_row():
    assert markdown.table(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"
    assert markdown.table(["a"], [["1"], ["2"]]).splitlines() == [
        *markdown.head(["a"]).splitlines(), markdown.row(["1"]), markdown.row(["2"]),
    ]  # fmt: skip


def test_made_up_words_are_drawn_as_subsampling_leaves_them():
    counts = made_up_text.zipf_counts(1000)
    drawn = made_up_text.words(counts, np.random.default_rng(1), (100, 1000))
    assert drawn.shape == (100, 1000)
    shares = counts / counts.sum()
    kept = shares * np.minimum(np.sqrt(1e-3 / shares) + 1e-3 / shares, 1)
    found = np.bincount(drawn.reshape(-1), minlength=1000) / drawn.size
    np.testing.assert_allclose(found, kept / kept.sum(), atol=2e-3)


def test_hostile_requests_know_every_input():
    assert list(hostile_requests.SIGNATURES["analogy"]) == ["a", "b", "c", "k"]


def test_hostile_words_come_with_numbers_where_these_are_asked_for():
    draw = random.Random(1)
    for _ in range(100):
        request = predict_pb2.PredictRequest.FromString(hostile_requests._words_odd(draw).data)
        inputs = hostile_requests.SIGNATURES[request.model_spec.signature_name]
        assert {name: tf.as_dtype(tensor.dtype) for name, tensor in request.inputs.items()} == inputs
