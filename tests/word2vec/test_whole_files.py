from __future__ import annotations

import os

import pytest

from word2vec import whole_files


def test_a_file_takes_the_place_of_the_one_before(tmp_path):
    path = tmp_path / "file"
    whole_files.write_text(path, "one")
    whole_files.write_text(str(path), "zwei ✔")
    assert path.read_text(encoding="utf-8") == "zwei ✔"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def _interrupted(path, half):
    with whole_files.replacing(path) as beside:
        if half is not None:
            beside.write_text(half)
        raise KeyboardInterrupt


@pytest.mark.parametrize("half", [None, "ha"])
def test_an_error_leaves_all_as_it_was(tmp_path, half):
    path = tmp_path / "file"
    path.write_text("before")
    with pytest.raises(KeyboardInterrupt):
        _interrupted(path, half)
    assert path.read_text() == "before"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_folder_in_its_place_is_an_error(tmp_path):
    (tmp_path / "folder" / "inner").mkdir(parents=True)
    with pytest.raises(OSError, match="folder"):
        whole_files.write_text(tmp_path / "folder", "text")
    assert [each.name for each in tmp_path.iterdir()] == ["folder"]


def _nothing(path):
    pass


@pytest.mark.parametrize(
    "before",
    [
        _nothing,
        lambda path: path.write_text("a file"),
        lambda path: path.symlink_to("elsewhere"),
        lambda path: path.with_name("place.new").symlink_to("what a killed run left"),
        lambda path: (path / "below").mkdir(parents=True),
    ],
)
def test_a_link_takes_the_place_of_what_is_there(tmp_path, before):
    before(tmp_path / "place")
    whole_files.link(tmp_path / "place", "there")
    assert os.readlink(tmp_path / "place") == "there"
    assert [each.name for each in tmp_path.iterdir()] == ["place"]


def test_a_link_to_a_folder_is_replaced_and_the_folder_stays(tmp_path):
    (tmp_path / "old").mkdir()
    (tmp_path / "place").symlink_to("old")
    whole_files.link(str(tmp_path / "place"), tmp_path / "new")
    assert os.readlink(tmp_path / "place") == str(tmp_path / "new")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["old", "place"]


def test_json_is_read_as_it_was_written(tmp_path):
    (tmp_path / "file").write_text('{"a": 1}')
    assert whole_files.read_json(tmp_path / "file", dict) == {"a": 1}
    (tmp_path / "file").write_text('["ä"]', encoding="utf-8")
    assert whole_files.read_json(str(tmp_path / "file"), list) == ["ä"]


@pytest.mark.parametrize("content", [None, b"", b"{", b"[1", b"\xff", b"null", b"7", b'"text"'])
@pytest.mark.parametrize("kind", [dict, list])
def test_json_that_is_missing_damaged_or_of_another_kind_is_empty(tmp_path, content, kind):
    if content is not None:
        (tmp_path / "file").write_bytes(content)
    assert whole_files.read_json(tmp_path / "file", kind) == kind()
    assert whole_files.read_json("", kind) == kind()
