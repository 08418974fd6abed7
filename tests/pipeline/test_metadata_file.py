from __future__ import annotations

import contextlib
import sqlite3

import ml_metadata
import pytest
from tfx.orchestration import metadata

from pipeline import lineage, metadata_file
from word2vec.errors import UserError


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


@pytest.mark.parametrize("lock", ["exclusive", "immediate"])
def test_one_that_another_program_has_locked(tmp_path, content, monkeypatch, lock):
    path = tmp_path / "metadata.sqlite"
    path.write_bytes(content)
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *arguments, **how: connect(*arguments, **how, timeout=0.1))
    with contextlib.closing(connect(path)) as other:
        other.execute(f"begin {lock}")
        with pytest.raises(UserError, match=r"are in use by another program: database is locked\. Close it"):
            metadata_file.has_runs(str(tmp_path), writes=True)
        if lock == "immediate":  # one may read meanwhile
            assert metadata_file.has_runs(str(tmp_path))
    assert metadata_file.has_runs(str(tmp_path), writes=True)


def test_one_that_cannot_be_written(tmp_path, content, monkeypatch):
    (tmp_path / "metadata.sqlite").write_bytes(content)
    connect = sqlite3.connect  # what SQLite does with a file that this user must not write; root may write all
    monkeypatch.setattr(sqlite3, "connect", lambda path, **how: connect(path.replace("mode=rw", "mode=ro"), **how))
    assert metadata_file.has_runs(str(tmp_path))
    with pytest.raises(UserError, match="can't be read and written: attempt to write a readonly database"):
        metadata_file.has_runs(str(tmp_path), writes=True)


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        ("database is locked", "are in use by another program: "),
        ("database table is locked", "are in use by another program: "),
        ("database schema is locked: main", "are in use by another program: "),
        ("attempt to write a readonly database", "can't be read and written: "),
        ("access permission denied", "can't be read and written: "),
        ("unable to open database file", "can't be read and written: "),
        ("database disk image is malformed", "are damaged: "),
        ("file is not a database", "are damaged: "),
    ],
)
def test_errors_without_a_code(tmp_path, content, monkeypatch, reason, message):
    """As Python 3.10 raises them."""
    (tmp_path / "metadata.sqlite").write_bytes(content)

    def connect(*_, **__):
        raise sqlite3.OperationalError(reason)

    monkeypatch.setattr(sqlite3, "connect", connect)
    with pytest.raises(UserError, match=f"metadata.sqlite: the metadata of the runs {message}{reason}. "):
        metadata_file.has_runs(str(tmp_path), writes=True)


@pytest.mark.parametrize("table", ["bookmarks", "Execution", "MLMDEnv"])
def test_one_of_another_program(tmp_path, table):
    with contextlib.closing(sqlite3.connect(tmp_path / "metadata.sqlite")) as database:
        database.execute(f"create table {table} (id integer)")
        database.commit()
    with pytest.raises(UserError, match=f"metadata.sqlite: is a database of another program, with the table '{table}'"):
        metadata_file.has_runs(str(tmp_path))
