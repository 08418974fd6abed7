from __future__ import annotations

import gensim.test.utils
import pytest

from components.questions import files
from word2vec.errors import UserError


def read(tmp_path, content):
    path = tmp_path / "mine.txt"
    path.write_text(content)
    return [(question.section, question.words, question.score) for question in files.read(str(path), "mine")]


def test_analogies(tmp_path):
    assert read(tmp_path, ": one\nA b c d\n: two words\ne\tf\tg\th\n") == [
        ("one", ("A", "b", "c", "d"), 1.0),
        ("two words", ("e", "f", "g", "h"), 1.0),
    ]


@pytest.mark.parametrize("separator", ["\t", ",", ", ", ";", "  "])
def test_pairs_with_comments_and_a_header(tmp_path, separator):
    lines = [
        "# comment",
        separator.join(["word1", "word2", "score"]),
        "",
        separator.join(["tea", "coffee", "7.5"]),
        separator.join(["tea", "car", "-1"]),
    ]
    assert read(tmp_path, "\n".join(lines)) == [("all", ("tea", "coffee"), 7.5), ("all", ("tea", "car"), -1.0)]


@pytest.mark.parametrize("separator", ["\t", ";"])
def test_a_decimal_comma(tmp_path, separator):
    content = separator.join(["Wort", "Wort", "Mittel"]) + "\n" + separator.join(["tea", "coffee", "7,5"])
    assert read(tmp_path, content) == [("all", ("tea", "coffee"), 7.5)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("tea coffee 7\ntea coffee\n", r"line 2: 'tea coffee' is no question"),
        ("tea,coffee,8.x\ntea,car,1\n", r"line 1: 'tea,coffee,8.x' is no question"),
        ("tea coffee 7,5\n", r"line 1"),
        ("tea coffee 7\ntea coffee nan\n", r"line 2"),
        ("tea,coffee,7\ntea,,7\n", r"line 2"),
        (": only\n# this\n", r"no question in it"),
    ],
)
def test_a_bad_line_is_named(tmp_path, content, message):
    with pytest.raises(UserError, match=message):
        read(tmp_path, content)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        files.read(str(tmp_path / "nothing.txt"), "nothing")


@pytest.mark.parametrize(
    ("name", "file", "count"),
    [
        ("wordsim353", "wordsim353.tsv", 353),
        ("simlex999", "simlex999.txt", 999),
        ("google_analogies", "questions-words.txt", 19544),
    ],
)
def test_the_built_in_files_are_read_whole(name, file, count):
    read = files.read(f"builtin://{name}", name)
    assert len(read) == count
    assert read == files.read(gensim.test.utils.datapath(file), name)


def test_folders_hold_any_number_of_benchmarks(tmp_path):
    (tmp_path / "own" / "deeper").mkdir(parents=True)
    (tmp_path / "own" / "pairs.csv").write_text("tea,coffee,7\n")
    (tmp_path / "own" / "deeper" / "quads.txt").write_text(": one\na b c d\n")
    read = files.read_all([str(tmp_path / "own"), "builtin://wordsim353"])
    assert {question.benchmark for question in read} == {"pairs", "quads", "wordsim353"}
    (tmp_path / "own" / "deeper" / "pairs.txt").write_text("a b 1\n")
    with pytest.raises(UserError, match=r"evaluator.benchmarks: .*pairs.* and .*pairs.* would both be pairs"):
        files.read_all([str(tmp_path / "own")])
    with pytest.raises(UserError, match=r"benchmark .*nothing: no file matches"):
        files.read_all([str(tmp_path / "nothing")])


def test_thresholds_need_questions(tmp_path):
    (tmp_path / "quads.txt").write_text(": one\na b c d\n")
    read = files.read_all([str(tmp_path / "quads.txt")])
    files.check_thresholds(["quads", "quads/one"], read)
    with pytest.raises(UserError, match=r"evaluator.thresholds.other is for no benchmark. There are quads"):
        files.check_thresholds(["other"], read)
    with pytest.raises(UserError, match=r"evaluator.thresholds.quads/two is for no section. quads has one"):
        files.check_thresholds(["quads/two"], read)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a b 1\nc d 2\n", "2 different pairs, too few"),
        ("a b 1\nc d 2\n" * 60, "2 different pairs, too few"),
        ("a b 5\nc d 5\ne f 5\n", "all scores are the same"),
        ("a b 1\nc d 5\ne f 5\n", None),
        ("a b c d\n", None),
    ],
)
def test_what_no_model_can_be_judged_by(tmp_path, content, message):
    (tmp_path / "mine.txt").write_text(": s\n" + content)
    doubts = files.doubts(files.read_all([str(tmp_path / "mine.txt")]))
    assert len(doubts) == (message is not None)
    assert all(doubt.startswith(f"benchmark mine: {message}") for doubt in doubts)
