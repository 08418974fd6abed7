"""Why something failed, in one line."""

from __future__ import annotations

import errno
import os
import pathlib

import pytest
import tensorflow as tf

from word2vec.errors import UserError, reason

GONE = os.strerror(errno.ENOENT)


class ToldError(Exception):
    """As TensorFlow's and Google's errors, which have a message beside what they are printed as."""

    def __init__(self, message):
        super().__init__("code 3", message)
        self.message = message


@pytest.mark.parametrize(
    ("file", "told"),
    [
        ("a/b.txt", f"a/b.txt: {GONE}"),
        (b"a/b.txt", f"a/b.txt: {GONE}"),
        (b"a\xff", f"a\\udcff: {GONE}"),
        (pathlib.Path("a/b.txt"), f"a/b.txt: {GONE}"),
        ("a\nb\x1b[2J", f"a\\nb\\x1b[2J: {GONE}"),
        ("", GONE),
        (b"", GONE),
        (None, GONE),
        (3, GONE),  # a descriptor
    ],
)
def test_the_system_says_what_and_of_which_file(file, told):
    error = FileNotFoundError(errno.ENOENT, GONE, file)
    assert reason(error) == told
    assert reason(error, with_file=False) == GONE


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError("is a link that leads nowhere"), "is a link that leads nowhere"),
        (OSError(), "OSError"),
        (ValueError(""), "ValueError"),
        (MemoryError(), "MemoryError"),
        (RuntimeError(" \n "), "RuntimeError"),
        (ValueError("first\nsecond\nthird"), "first"),
        (ValueError("\n  first\r\nsecond"), "first"),
        (ValueError("a\x1b[2Jb\u202ec\0"), "a\\x1b[2Jb\\u202ec\\x00"),
        (UserError("a: b. Expected c"), "a: b. Expected c"),
        (ToldError("first\nsecond"), "first"),
        (ToldError("a\tb"), "a\\tb"),
        (ToldError(""), "ToldError"),
        (ToldError(" \n "), "ToldError"),
    ],
)
def test_one_line_is_told(error, told):
    assert reason(error) == told
    assert reason(error, with_file=False) == told


def test_a_message_that_is_no_text_is_passed_over():
    error = ValueError("why")
    error.message = 7
    assert reason(error) == "why"


def test_what_is_very_long_loses_its_middle():
    told = reason(ValueError("a" * 5000 + "z" * 5000))
    assert len(told) <= 1001
    assert (told[0], told[-1]) == ("a", "z")


def test_tensorflow_says_it_without_codes_and_operations():
    assert reason(tf.errors.NotFoundError(None, None, "a/b; No such file\nmore")) == "a/b; No such file"
    assert reason(tf.errors.DataLossError(None, None, "")) == "DataLossError"


@pytest.mark.parametrize(
    "before",
    [
        "Graph execution error:\n\nDetected at node A defined at (most recent call last):\n"
        "<stack traces unavailable>\n",
        "Graph execution error:\n\nDetected at node A defined at (most recent call last):\n"
        '  File "a.py", line 1, in <module>\n    call()\nDetected at node B defined at (most recent call last):\n'
        "<stack traces unavailable>\n",
        "2 root error(s) found.\n  ",
    ],
)
def test_what_goes_before_it_in_a_graph_is_passed_over(before):
    error = tf.errors.InvalidArgumentError(None, None, f"{before}(0) the inputs do not match\n\t [[A]]")
    assert reason(error) == "(0) the inputs do not match"


def test_a_real_graph_says_why():
    @tf.function(input_signature=[tf.TensorSpec([None]), tf.TensorSpec([None])])
    def add(one, other):
        return one + other

    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        add(tf.zeros([2]), tf.zeros([3]))
    assert "ncompatible shapes" in reason(caught.value)
