from __future__ import annotations

import json

import pytest

from word2vec.errors import UserError
from word2vec.training import tf_config

TWO = ["a:1", "b:2"]


def config(cluster: object, kind: object = "worker", index: object = 0) -> str:
    return json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})


@pytest.mark.parametrize(
    ("text", "is_chief"),
    [
        (config({"worker": TWO}), True),
        (config({"worker": TWO}, index=1), False),
        (config({"worker": TWO}, index="1"), False),
        (config({"chief": ["c:1"], "worker": TWO}), False),
        (config({"chief": ["c:1"], "worker": TWO}, kind="chief"), True),
        (config({"worker": ["[::1]:2222"], "evaluator": ["e:1"]}), True),
    ],
)
def test_who_runs_the_pipeline(monkeypatch, text, is_chief):
    monkeypatch.setenv("TF_CONFIG", text)
    assert tf_config.is_chief() == is_chief


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not set"),
        ("{", "TF_CONFIG = {: expected as in"),
        ("[]", "TF_CONFIG = .*expected as in"),
        ("[" * 100_000, "TF_CONFIG = .*expected as in"),
        ("{}", "cluster: Field required"),
        (config({"worker": TWO}, index=2), "no worker of index 2"),
        (config({"worker": TWO}, index=-1), "task.index: "),
        (config({"worker": TWO}, index="first"), "task.index: "),
        (config({"worker": TWO}, kind="chief"), "no chief of index 0"),
        (config({"worker": TWO}, kind="ps"), "task.type: "),
        (config({"worker": "a:1"}), "cluster.worker: "),
        (config({"worker": ["a"]}), "cluster.worker.0: "),
        (config({"worker": ["a:1", 2]}), "cluster.worker.1: "),
        (config({"worker": ["http://a:1"]}), "cluster.worker.0: "),
        (config({"worker": ["a:99999"]}), "cluster.worker.0: "),
        (config({"worker": ["a:1", "a:1"]}), "an address is given twice"),
        (config({"\x1b[2J\n": 1}), r"cluster\.\\x1b\[2J\\n: "),
    ],
)
def test_what_is_wrong_is_one_line(monkeypatch, text, message):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(UserError, match=message) as raised:
        tf_config.check()
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 2000
