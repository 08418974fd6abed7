"""Which names are versions, for whoever reads them."""

from __future__ import annotations

import pytest

from components.pusher import versions
from serving import folders
from word2vec import version_folders

NUMBERS = {
    "7": 7,
    "0": 0,
    "000": 0,
    "0012": 12,
    "0" * 30 + "8": 8,
    "1790000000": 1790000000,
    "9223372036854775807": version_folders.LARGEST,
    "0009223372036854775806": version_folders.LARGEST - 1,
}
NO_NUMBERS = [
    "", " ", "+9", "-9", "+99999999999", "-0", "++1", "+", "-", " 9", "9 ", "9\n", "\t9", "1 0", "1_0", "1,000",
    "9.0", "9.new", "9e9", "0x9", "9223372036854775808", "10000000000000000000", "9" * 20, "9" * 200, "٩", "９", "²",
    "notes", ".pushing-9",
]  # fmt: skip


@pytest.mark.parametrize(("name", "number"), NUMBERS.items())
def test_digits_are_a_number(name, number):
    assert version_folders.parse(name) == number


@pytest.mark.parametrize("name", [*NO_NUMBERS, "9" * 5000, "0" * 5000 + "9" * 20])
def test_all_else_is_none(name):
    assert version_folders.parse(name) is None


def test_thousands_of_zeros_are_ignored():
    assert version_folders.parse("0" * 5000 + "7") == 7


def make(folder, *names):
    for name in names:
        (folder / name).mkdir(parents=True)
        (folder / name / version_folders.MARK).touch()


def test_pusher_and_server_read_the_same(tmp_path):
    make(tmp_path, *NUMBERS.keys() - {"000"}, *(name for name in NO_NUMBERS if name.strip()))
    pushed = {number: str(tmp_path / name) for number, name in versions.find(str(tmp_path)).items()}
    assert pushed == folders.find(str(tmp_path)) == {
        number: str(tmp_path / name) for name, number in NUMBERS.items() if name != "000"
    }  # fmt: skip


@pytest.mark.parametrize("names", [("7", "007"), ("007", "7"), ("0007", "007")])
def test_of_two_names_of_a_number_both_take_the_last(tmp_path, names):
    make(tmp_path, *names)
    assert versions.find(str(tmp_path)) == {7: max(names)}
    assert folders.find(str(tmp_path)) == {7: str(tmp_path / max(names))}


def test_other_file_systems_have_the_same_versions(tmp_path):
    make(tmp_path, "0012", "7", "+9", "9" * 20)
    assert version_folders.listed(f"file://{tmp_path}") == version_folders.listed(str(tmp_path)) == [
        (7, "7"), (12, "0012")
    ]  # fmt: skip


def test_no_folder_has_no_versions(tmp_path):
    assert version_folders.listed(str(tmp_path / "none")) == []
