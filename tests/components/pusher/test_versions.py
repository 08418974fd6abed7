"""Which version a training starts from, and which go."""

from __future__ import annotations

import json

import pytest

from components.pusher import push, versions
from tests.components.pusher.test_push import make, names
from word2vec import saved_vectors

MONDAY, TUESDAY = "5d41", "7d79"


@pytest.fixture
def folder(tmp_path):
    """A model of Monday's text, of an earlier release; another of it; and one of Tuesday's."""
    for number, text in enumerate((MONDAY, MONDAY, TUESDAY), 1):
        card = json.dumps({"corpus": {"fingerprint": text}}).encode()
        version = tmp_path / "pushed" / str(number)
        make(version, fingerprint__pb=b"%d" % number, **{"assets.extra/model_card.json": card})
        if number > 1:
            (version / saved_vectors.START).mkdir(parents=True)
            saved_vectors.write_manifest(str(version), "space", {}, "skipgram")
    return tmp_path / "pushed"


@pytest.mark.parametrize(("text", "expected"), [("", "3"), (TUESDAY, "2"), ("another", "3"), (MONDAY, "3")])
def test_a_training_starts_from_the_newest_of_another_text(folder, text, expected):
    assert versions.newest_start(str(folder), text) == expected


def test_without_what_a_training_starts_from_a_version_does_not_count(folder):
    (folder / "2" / saved_vectors.START / "start.json").unlink()
    assert versions.newest_start(str(folder), TUESDAY) == ""


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"corpus": 1}', None])
def test_a_card_that_tells_no_text(folder, content):
    path = folder / "3" / "assets.extra" / "model_card.json"
    path.unlink() if content is None else path.write_text(content)
    assert versions.newest_start(str(folder), TUESDAY) == "3"


def test_a_version_that_was_withdrawn_is_none_to_start_from(folder):
    versions.withdraw(str(folder / "3"), "{}")
    assert versions.newest_start(str(folder), "another") == "2"


def test_the_newest_stay_and_what_another_program_has_put_there(folder):
    (folder / "1" / "assets.extra" / "model_card.json").unlink()
    push.prune(str(folder), 1)
    assert names(folder) == ["1", "3"]
    push.prune(str(folder), 5)
    assert names(folder) == ["1", "3"]


def test_what_a_killed_removal_has_left_goes_at_the_next_push(folder):
    (folder / "2").rename(folder / f"{versions.REMOVED}2")
    push.tidy(str(folder))
    assert names(folder) == ["1", "3"]


def test_what_is_not_finished_takes_no_versions_place(tmp_path):
    """As a copy that somebody has broken off: to keep it alone would leave nothing to serve."""
    for number in ("1", "2", "3"):
        make(tmp_path / number)
    (tmp_path / "3" / "saved_model.pb").unlink()
    (tmp_path / "1" / "saved_model.pb").unlink()
    assert versions.old(str(tmp_path), 1) == [str(tmp_path / "1")]
    (tmp_path / "2" / "saved_model.pb").unlink()
    assert versions.old(str(tmp_path), 1) == []
