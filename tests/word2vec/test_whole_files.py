from __future__ import annotations

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
