from __future__ import annotations

import json

import pytest

from components.pusher import push, rollback, versions
from tests.components.pusher.test_push import make
from word2vec.errors import UserError


@pytest.fixture
def folder(tmp_path):
    """Three models, each pushed."""
    for number, name in enumerate((b"good", b"less good", b"bad"), 1):
        make(tmp_path / "pushed" / str(number), fingerprint__pb=name)
    return tmp_path / "pushed"


def test_an_earlier_version_becomes_the_newest_and_the_later_ones_never_come_back(folder):
    done = rollback.to(str(folder), "1")
    assert done.withdrawn == ["2", "3"]
    assert max(versions.find(str(folder)).values(), key=int) == done.version
    assert (folder / done.version / "fingerprint.pb").read_bytes() == b"good"
    assert json.loads((folder / "3" / versions.WITHDRAWN).read_text()) == {"rolled_back_to": "1"}
    good = versions.identity(str(folder / "1"))
    assert versions.newest_other(str(folder), "another") == "1"  # which whoever compared with it knows already
    assert versions.newest_other(str(folder), good) == ""  # neither 2 nor 3


def test_one_may_think_again(folder):
    rollback.to(str(folder), "1")
    again = rollback.to(str(folder), "2")
    assert not versions.is_withdrawn(str(folder / again.version))
    assert versions.newest_other(str(folder), "another") == again.version


def test_what_was_rolled_back_is_not_pushed_again_until_somebody_goes_back_to_it(folder):
    bad = versions.identity(str(folder / "3"))
    assert not versions.was_withdrawn(str(folder), bad)
    rollback.to(str(folder), "1")
    assert versions.was_withdrawn(str(folder), bad)
    assert not versions.was_withdrawn(str(folder), versions.identity(str(folder / "1")))
    assert not versions.was_withdrawn(str(folder), "")
    rollback.to(str(folder), "3")
    assert not versions.was_withdrawn(str(folder), bad)


def test_what_is_served_is_no_earlier_version(folder):
    with pytest.raises(UserError, match=r"rollback 3: this model is what is served, as version 3"):
        rollback.to(str(folder), "3")
    done = rollback.to(str(folder), "1")
    with pytest.raises(UserError, match=rf"rollback 1: this model is what is served, as version {done.version}"):
        rollback.to(str(folder), "1")


def test_a_version_that_there_is_not(folder, tmp_path):
    (folder / "2" / "saved_model.pb").unlink()
    with pytest.raises(UserError, match=r"rollback 2: no such version is in .*/pushed. There are: 1, 3"):
        rollback.to(str(folder), "2")
    with pytest.raises(UserError, match=r"There are: none"):
        rollback.to(str(tmp_path / "nothing"), "2")
    assert push.files_of(str(folder / "3")).keys() == push.files_of(str(folder / "1")).keys()
