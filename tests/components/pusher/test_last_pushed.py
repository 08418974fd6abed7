from __future__ import annotations

import pytest
from tfx.types import standard_artifacts

from components.pusher import last_pushed
from word2vec.errors import UserError


@pytest.fixture
def take(tmp_path):
    def run(version):
        model = standard_artifacts.Model()
        model.uri = str(tmp_path / "artifact")
        last_pushed.Executor().Do({}, {"model": [model]}, {"folder": str(tmp_path / "pushed"), "version": version})
        return model

    return run


def test_a_version_becomes_a_model(take, tmp_path):
    (tmp_path / "pushed" / "7").mkdir(parents=True)
    (tmp_path / "pushed" / "7" / "saved_model.pb").write_bytes(b"model")
    model = take("7")
    assert (tmp_path / "artifact" / "Format-Serving" / "saved_model.pb").read_bytes() == b"model"
    assert model.get_string_custom_property("pushed_version") == "7"


def test_no_version_leaves_no_files(take, tmp_path):
    take("")
    assert not [path for path in (tmp_path / "artifact").rglob("*") if path.is_file()]


def test_a_version_that_is_gone(take):
    with pytest.raises(UserError, match="pushed/7: the version that was to be the baseline is gone"):
        take("7")
