from __future__ import annotations

import ml_metadata
import pytest
from tfx.orchestration import metadata

from components.errors import UserError
from pipeline import lineage, metadata_file


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    """Of a file as ML Metadata makes it."""
    path = tmp_path_factory.mktemp("metadata") / "good.sqlite"
    ml_metadata.MetadataStore(metadata.sqlite_metadata_connection_config(str(path)))
    return path.read_bytes()


@pytest.mark.parametrize("name", ["tiny", "50%25 of ?#", "näme"])
def test_a_good_one(tmp_path, content, name):
    (tmp_path / name).mkdir()
    assert not metadata_file.has_runs(str(tmp_path / name))
    (tmp_path / name / "metadata.sqlite").write_bytes(content)
    assert metadata_file.has_runs(str(tmp_path / name))


def test_an_empty_one_is_none(tmp_path):
    (tmp_path / "metadata.sqlite").write_bytes(b"")
    assert not metadata_file.has_runs(str(tmp_path))
    with pytest.raises(UserError, match="no run has been made here"):
        lineage.Lineage(str(tmp_path), str(tmp_path))


DAMAGES = {
    "cut": lambda content: content[: len(content) // 2],
    "its head alone": lambda content: content[:100],
    "garbage": lambda _: b"x" * 5000,
    "zeros": lambda _: bytes(5000),
    "overwritten": lambda content: content[:4096] + b"\xff" * 4096 + content[8192:],
    "a few bytes": lambda _: b"SQLite",
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_one_is_one_error(tmp_path, content, damage):
    (tmp_path / "metadata.sqlite").write_bytes(damage(content))
    for look in (metadata_file.has_runs, lambda folder: lineage.Lineage(folder, folder)):
        with pytest.raises(
            UserError, match=r"metadata.sqlite: the metadata of the runs are damaged: .*/lost$"
        ) as error:
            look(str(tmp_path))
        assert "\n" not in str(error.value)


def test_a_folder_in_its_place(tmp_path):
    (tmp_path / "metadata.sqlite").mkdir()
    with pytest.raises(UserError, match="unable to open"):
        metadata_file.has_runs(str(tmp_path))
