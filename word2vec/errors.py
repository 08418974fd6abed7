"""The error that a user can cause, and mend."""

from __future__ import annotations

import os
import re

_LONGEST = 1000  # characters of somebody's text in a message

# Lines before the one that says something, in what TensorFlow says of a graph: headings and stacks.
_EMPTY = re.compile(
    r"\s*|Graph execution error:|\d+ root error\(s\) found\.|Detected at node .*|<stack traces unavailable>|"
    r"  File .*|    .*"
)


class UserError(Exception):
    """What was wrong, where (file, line, key), what was expected, and what to do, in one line.

    Whoever runs the pipeline shows this text alone, without a traceback, and exits with a code other than 0. Half
    surrogates, which stand for bytes in a file's name that are not UTF-8, are escaped: no stream could write them.
    """

    def __init__(self, message: str):
        super().__init__(message.encode("utf-8", "backslashreplace").decode())


def first_line(error: BaseException) -> str:
    """The first line of what an error says; its type, if it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def reason(error: BaseException, *, with_file: bool = True) -> str:
    """Why something failed, in one line: what the system says, a library's message, or the first line of the error.

    Args:
        error: anybody's.
        with_file: whether the file that a system's error is about is named before it; who names it leaves it out.
    """
    if isinstance(error, OSError) and error.strerror:
        file = error.filename
        name = os.fsdecode(file) if isinstance(file, (str, bytes, os.PathLike)) else ""
        return f"{printable(name)}: {error.strerror}" if name and with_file else error.strerror
    message = getattr(error, "message", None)  # TensorFlow's and Google's have one without codes
    if not isinstance(message, str):
        return printable(first_line(error))
    lines = (line.strip() for line in message.splitlines() if not _EMPTY.fullmatch(line))
    return printable(next(lines, type(error).__name__))


def printable(text: str) -> str:
    """A name or a piece of somebody's text for a message of one line.

    What cannot be seen is escaped, as `\\n` is; of what is very long the middle is left out.
    """
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST // 2]}…{text[-_LONGEST // 2 :]}"
    return escaped(text)


def escaped(text: str) -> str:
    """A text with what cannot be seen as codes."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
