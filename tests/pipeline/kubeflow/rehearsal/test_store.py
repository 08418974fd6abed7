from __future__ import annotations

import copy

import pytest

from pipeline.kubeflow.rehearsal.store import Execution, Store, cache_key
from word2vec.errors import UserError


def test_what_goes_through_ml_metadata(tmp_path):
    """As KFP's launcher writes it, and its driver reads it."""
    store = Store(tmp_path)
    metadata = {"blessed": True, "score": 0.5, "words": ["a"], "by": {"topic": 1}, "split_names": '["eval"]'}
    number = store.record("model", "minio://b/model", metadata)
    found = store.artifact(number)
    assert (found["name"], found["uri"], found["type"]) == ("1", "minio://b/model", {"instanceSchema": ""})
    assert found["metadata"].pop("store_session_info")
    assert found["metadata"] == {
        "blessed": 1,
        "score": 0.5,
        "words": {"list": ["a"]},
        "by": {"struct": {"topic": 1}},
        "split_names": '["eval"]',
        "display_name": "model",
    }


def test_empty_folders_vanish(tmp_path):
    made = tmp_path / "made"
    (made / "empty").mkdir(parents=True)
    (made / "full").mkdir()
    (made / "full" / "file").write_text("1")
    store = Store(tmp_path / "store")
    store.upload(made, "s3://bucket/made")
    store.download("s3://bucket/made", tmp_path / "again")
    assert [path.relative_to(tmp_path / "again").as_posix() for path in sorted((tmp_path / "again").rglob("*"))] == [
        "full", "full/file",
    ]  # fmt: skip


def test_it_is_found_again(tmp_path):
    store = Store(tmp_path)
    number = store.record("model", "minio://b/model", {})
    store.remember("key", Execution({"model": number}, {"version": "7"}))
    store.save()
    again = Store(tmp_path)
    assert again.cached("key") == Execution({"model": 1}, {"version": "7"})
    assert again.cached("other") is None
    assert again.artifact(1) == store.artifact(1)


ASKED = {
    "inputs": {"parameterValues": {"x": 1}, "artifacts": {"model": {"artifacts": [{"name": "7", "uri": "s3://a"}]}}},
    "outputs": {"artifacts": {"out": {"artifacts": [{"name": "out", "uri": "s3://b"}]}}, "parameters": {"p": {}}},
}
CONTAINER = {"image": "i", "command": ["c"], "args": ["{{$}}"], "env": [{"name": "A", "value": "1"}]}


@pytest.mark.parametrize(
    ("where", "value", "is_another"),
    [
        (("inputs", "parameterValues", "x"), 2, True),
        (("inputs", "artifacts", "model", "artifacts", 0, "name"), "8", True),
        (("inputs", "artifacts", "model", "artifacts", 0, "uri"), "s3://other", False),
        (("outputs", "artifacts", "out", "artifacts", 0, "uri"), "s3://other", False),
        (("container", "image"), "j", True),
        (("container", "args"), ["--seed", "{{$}}"], True),
        (("container", "env"), [], False),
        (("container", "resources"), {"cpu": "1"}, False),
    ],
)
def test_what_a_key_holds(where, value, is_another):
    """As KFP's: ids of artifacts and not their content, values of parameters, the command as a whole."""

    def key(tree):
        return cache_key(
            {side: tree[side] for side in ("inputs", "outputs")}, tree["container"], {"p": "STRING"}, ["c"]
        )

    tree = {**copy.deepcopy(ASKED), "container": dict(CONTAINER)}
    before = key(tree)
    node = tree
    for part in where[:-1]:
        node = node[part]
    node[where[-1]] = value
    assert (key(tree) != before) == is_another


@pytest.mark.parametrize("damage", [lambda text: text[:-1], lambda text: "", lambda text: "[]", lambda text: "\0" * 9])
def test_damaged_metadata_are_not_taken_for_none(tmp_path, damage):
    Store(tmp_path).save()
    file = tmp_path / "metadata.json"
    file.write_text(damage(file.read_text()))
    with pytest.raises(UserError, match=r"metadata.json: expected the metadata of an earlier rehearsal.*remove"):
        Store(tmp_path)
