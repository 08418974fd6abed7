"""Which versions of a folder can be served."""

from __future__ import annotations

import pytest

from serving import folders
from word2vec import version_folders
from word2vec.errors import UserError


def make(folder, *names):
    for name in names:
        (folder / name).mkdir(parents=True)
        (folder / name / version_folders.MARK).touch()


def test_whole_versions_are_found(tmp_path):
    make(tmp_path, "1", "0012", str(2**63), "٣", "notes")
    (tmp_path / "20").mkdir()
    (tmp_path / "30").write_text("a file")
    assert folders.find(str(tmp_path)) == {1: str(tmp_path / "1"), 12: str(tmp_path / "0012")}


def test_of_two_folders_of_a_number_the_last_by_name_counts(tmp_path):
    make(tmp_path, "7", "007")
    assert folders.find(str(tmp_path)) == {7: str(tmp_path / "7")}


@pytest.mark.parametrize(
    ("case", "why"), [("none", "no such"), ("file", "no such"), ("one", "one"), ("empty", "no ver")]
)
def test_what_is_no_folder_of_versions_is_said(tmp_path, case, why):
    folder = tmp_path / "served"
    if case == "file":
        folder.touch()
    if case == "one":
        make(tmp_path, "served")
    if case == "empty":
        folder.mkdir()
    with pytest.raises(UserError, match=f"--model {folder}: .*{why}"):
        folders.check(str(folder))
