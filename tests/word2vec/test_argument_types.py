"""Numbers as arguments of command lines."""

from __future__ import annotations

import argparse

import pytest

from word2vec import argument_types

# What Python's own int() and float() take, and nobody means.
ODD = [
    "",
    " ",
    "1_0",
    "1０",
    "٣",
    "²",
    "0x1",
    "1e",
    "e1",
    "--1",
    "1 0",
    "1,5",
    "nan",
    "-nan",
    "inf",
    "many",
    "9" * 5000,
]


@pytest.mark.parametrize(("text", "value"), [("0", 0), ("-5", -5), ("007", 7), (" 7 ", 7), ("10", 10), ("-0", 0)])
def test_whole_numbers(text, value):
    assert argument_types.whole(-5, 10)(text) == value


@pytest.mark.parametrize("text", [*ODD, "-6", "11", "1.0", "1e0", "+1"])
def test_other_whole_numbers_are_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match=r"^expected a whole number from -5 to 10, got '") as caught:
        argument_types.whole(-5, 10)(text)
    assert len(str(caught.value)) < 100


def test_the_largest_is_told_whole():
    assert argument_types.whole(0, 2**63 - 1)("9223372036854775807") == 2**63 - 1
    with pytest.raises(argparse.ArgumentTypeError, match="from 0 to 9223372036854775807, got '9223372036854775808'"):
        argument_types.whole(0, 2**63 - 1)("9223372036854775808")


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", 1), ("0.5", 0.5), (".5", 0.5), ("5.", 5), ("1e1", 10), ("1E-1", 0.1), ("+2", 2), (" 3 ", 3)],
)
def test_numbers(text, value):
    assert argument_types.number(0.1, 10)(text) == value


@pytest.mark.parametrize("text", [*ODD, "0.09", "10.1", "-1", "1e999", "1.2.3", "."])
def test_other_numbers_are_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match=r"^expected seconds from 0.1 to 10, got '"):
        argument_types.number(0.1, 10, "seconds")(text)


def test_what_was_given_is_shown_in_one_line():
    with pytest.raises(argparse.ArgumentTypeError, match=r"got '\\x1b\[2J\\n'"):
        argument_types.whole(0, 1)("\x1b[2J\n")
