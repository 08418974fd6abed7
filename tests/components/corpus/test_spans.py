from __future__ import annotations

import re

import pytest
from tfx.components.example_gen import utils
from tfx.proto import example_gen_pb2

from components import files
from components.corpus import spans
from word2vec.errors import UserError


@pytest.fixture
def texts(tmp_path):
    """Makes files below the folder."""

    def make(*names):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{name}\n")
        return tmp_path

    return make


def told(folder, *paths):
    """The spans: (label, version, the files' paths below the folder); and the other files."""
    found, others = spans.find([str(folder / path) for path in paths])
    return [
        (span.label, span.version, [file.path.removeprefix(f"{folder}/") for file in span.files]) for span in found
    ], [path.removeprefix(f"{folder}/") for path in others]


@pytest.mark.parametrize(
    ("pattern", "names", "expected"),
    [
        (
            "{YYYY}-{MM}-{DD}/*.txt",
            ["2026-01-31/a.txt", "2026-02-01/a.txt", "2026-02-01/b.txt", "2026-02-01/c.csv"],
            [("2026-02-01", 0, ["2026-02-01/a.txt", "2026-02-01/b.txt"]), ("2026-01-31", 0, ["2026-01-31/a.txt"])],
        ),
        ("{YYYY}/{MM}{DD}.txt", ["2026/0131.txt"], [("2026-01-31", 0, ["2026/0131.txt"])]),
        ("day-{SPAN}.txt", ["day-9.txt", "day-10.txt"], [("10", 0, ["day-10.txt"]), ("9", 0, ["day-9.txt"])]),
        ("{SPAN:2}{VERSION:1}.txt", ["101.txt", "102.txt"], [("10", 2, ["102.txt"])]),
        ("{SPAN}", ["3/a.txt", "3/sub/b.txt", "4.txt/c.txt"], [("3", 0, ["3/a.txt", "3/sub/b.txt"])]),
        ("{SPAN}/", ["3/a.txt"], [("3", 0, ["3/a.txt"])]),
        (
            "{SPAN}/v{VERSION}/*.txt",
            ["1/v9/a.txt", "1/v10/b.txt", "2/v1/a.txt"],
            [("2", 1, ["2/v1/a.txt"]), ("1", 10, ["1/v10/b.txt"])],
        ),
        ("*/{SPAN}.txt", ["en/1.txt", "de/1.txt"], [("1", 0, ["de/1.txt", "en/1.txt"])]),
        ("a+b (1)/{SPAN}.txt", ["a+b (1)/7.txt"], [("7", 0, ["a+b (1)/7.txt"])]),
    ],
)
def test_files_of_spans(texts, pattern, names, expected):
    found, _ = told(texts(*names), pattern)
    assert found == expected


def test_the_files_of_a_span_may_come_from_several_paths_each_in_its_newest_version(texts):
    folder = texts("a/1/v2.txt", "a/1/v1.txt", "b/1/v1.txt", "b/2/v1.txt")
    found, _ = told(folder, "a/{SPAN}/v{VERSION}.txt", "b/{SPAN}/v{VERSION}.txt")
    assert found == [("2", 1, ["b/2/v1.txt"]), ("1", 2, ["a/1/v2.txt", "b/1/v1.txt"])]


def test_files_of_no_span_are_told(texts):
    folder = texts("2026-01-31/a.txt", "2026-02-30/a.txt", "2026-1-1/a.txt", "a-b-c/x.txt", "2026-01-31.txt", "_tmp/b")
    found, others = told(folder, "{YYYY}-{MM}-{DD}/*.txt")
    assert [label for label, *_ in found] == ["2026-01-31"]
    assert others == ["2026-02-30/a.txt", "2026-1-1/a.txt", "a-b-c/x.txt"]


def test_where_no_span_is(texts):
    with pytest.raises(UserError, match=r"no file matches\. Expected files whose paths have a number in the place of"):
        told(texts("a.csv"), "{SPAN}.txt")
    with pytest.raises(
        UserError, match=r"of no span, as .*latest-x-y.txt. Expected .* a date in the place of \{YYYY\}"
    ):
        told(texts("latest-x-y.txt", "b-c-latest.txt"), "{YYYY}-{MM}-{DD}.txt")


def test_a_window_is_of_numbers_not_of_files(texts):
    found, _ = spans.find([str(texts("2026-02-28.txt", "2026-03-01.txt", "2026-03-05.txt") / "{YYYY}-{MM}-{DD}.txt")])
    assert [span.label for span in spans.in_window(found, 5)] == ["2026-03-05", "2026-03-01"]
    assert [span.label for span in spans.in_window(found, 6)] == ["2026-03-05", "2026-03-01", "2026-02-28"]


def test_a_changed_file_is_another_fingerprint(texts):
    folder = texts("1.txt", "2.txt")
    before = {span.number: span.fingerprint for span in spans.find([str(folder / "{SPAN}.txt")])[0]}
    (folder / "2.txt").write_text("more of it")
    after = {span.number: span.fingerprint for span in spans.find([str(folder / "{SPAN}.txt")])[0]}
    assert before[1] == after[1]
    assert before[2] != after[2]


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (["a/{SPAN}/{SPAN}"], "expected {SPAN} once"),
        (["a/{SPAN}/{YYYY}{MM}{DD}"], "has {SPAN} and a date"),
        (["a/{YYYY}/{MM}"], "expected each of {YYYY}, {MM} and {DD} once"),
        (["a/{YYYY}/{MM}/{DD}/{DD}"], "expected each of {YYYY}, {MM} and {DD} once"),
        (["a/{VERSION}"], "expected {SPAN} once"),
        (["a/{SPAN}/{VERSION}/{VERSION}"], "expected {VERSION} at most once"),
        (["a/{SPAN:x}"], "expected a width from 1 to 99"),
        (["a/{SPAN:0}"], "expected a width from 1 to 99"),
        (["a/{YYYY:4}-{MM}-{DD}"], "has no width"),
        (["a/{SPAN}", "b/*.txt"], "some paths have {SPAN} or a date and some do not"),
        (["a/{SPAN}", "b/{YYYY}{MM}{DD}"], "Expected the same in all of them"),
    ],
)
def test_paths_that_tell_no_spans(paths, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        spans.check(paths)


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("{YYYY}-{MM}-{DD}/*.txt", ["2026-01-31/a.txt", "2026-02-01/a.txt"]),
        ("day{SPAN}/v{VERSION}/*.txt", ["day9/v1/a.txt", "day10/v2/a.txt", "day10/v11/a.txt"]),
        ("{SPAN:3}/{VERSION:2}.txt", ["001/01.txt", "002/01.txt", "002/02.txt"]),
        ("{YYYY}{MM}{DD}.txt", ["19700101.txt", "19700102.txt"]),
    ],
)
def test_tfx_finds_the_same_newest_span(texts, pattern, names):
    folder = texts(*names)
    split = example_gen_pb2.Input.Split(name="train", pattern=pattern)
    _, number, version = utils.calculate_splits_fingerprint_span_and_version(str(folder), [split])
    (newest, *_), _ = spans.find([str(folder / pattern)])
    assert (newest.number, newest.version) == (number, version or 0)
    assert [file.path for file in newest.files] == [file.path for file in files.find([str(folder / split.pattern)])]


def test_days_before_the_first_of_tfx_are_of_no_span(texts):
    found, others = told(texts("19691231.txt", "19700101.txt"), "{YYYY}{MM}{DD}.txt")
    assert [label for label, _, _ in found] == ["1970-01-01"]
    assert others == ["19691231.txt"]


@pytest.mark.parametrize(
    ("pattern", "is_deep"),
    [("{YYYY}{MM}{DD}.txt", False), ("{SPAN}*.txt", False), ("*{SPAN}.txt", False), ("**/{SPAN}.txt", True)],
)
def test_places_beside_each_other_look_into_no_folder_below(texts, pattern, is_deep):
    """Their stars would be `**`, which walks the whole tree, and stumbles over what others keep there."""
    folder = texts("20260101.txt", "sub/20260102.txt", "sub/read me.txt")
    if not is_deep:
        (folder / "sub" / "gone.txt").symlink_to("nowhere")
    found, others = told(folder, pattern)
    assert [files for _, _, files in found] == [["sub/20260102.txt"] if is_deep else ["20260101.txt"]]
    assert others == (["sub/read me.txt"] if is_deep else [])


def test_numbers_that_ml_metadata_cannot_keep(texts):
    """int() also refuses digits by the thousand."""
    names = [f"{2**63 - 1}/a.txt", f"{2**63}/a.txt", f"{'9' * 200}/a.txt", "1/a.txt"]
    found, others = told(texts(*names), "{SPAN}/*.txt")
    assert [label for label, _, _ in found] == [str(2**63 - 1), "1"]
    assert others == sorted(names[1:3])
