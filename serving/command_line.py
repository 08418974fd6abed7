"""What the command lines here share: numbers that are checked, and endings in one line, without a traceback."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from word2vec import argument_types, streams, version_folders
from word2vec.errors import UserError, escaped, reason

# Types of arguments.
PORT = argument_types.whole(0, 65535)  # 0 stands for any that is free
VERSION = argument_types.whole(0, version_folders.LARGEST)


def run(body: Callable[[], None]) -> int:
    """Runs a command; whatever ends it, one line says so.

    Whoever reads what is printed may go before it ends (`| head`): then the rest is not printed, and no more is said.

    Args:
        body: what the command does. Its UserErrors, OSErrors and ValueErrors are reported.

    Returns:
        The exit code.
    """
    streams.allow_all_letters()
    try:
        body()
        if sys.stdout is not None:
            sys.stdout.flush()
    except SystemExit:  # argparse's, after its help or its refusal
        _flush()
        raise
    except BrokenPipeError:
        streams.to_nowhere(sys.stdout)
        return 0
    except KeyboardInterrupt:
        return streams.INTERRUPTED
    except (UserError, OSError, ValueError) as error:
        _fail(error)
        return 1
    return 0


def say(line: str) -> None:
    """Prints a line to whoever still reads, with what would steer a terminal shown as its code."""
    try:
        print(escaped(line), flush=True)
    except OSError:
        streams.to_nowhere(sys.stdout)


def seconds(least: float, most: float) -> Callable[[str], float]:
    """A type of arguments: times in a range."""
    return argument_types.number(least, most, "seconds")


def model_name(text: str) -> str:
    """A model's name, which stands in addresses."""
    if not text or not text.isprintable() or set(text) & set("/:") or text in (".", ".."):
        raise argparse.ArgumentTypeError(f"expected a name without / and :, got {text!r:.80}")
    return text


def _fail(error: Exception) -> None:
    message = reason(error) if isinstance(error, OSError) else str(error)
    _flush()
    try:
        print(f"error: {escaped(message)}", file=sys.stderr, flush=True)
    except OSError:
        streams.to_nowhere(sys.stderr)


def _flush() -> None:
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        streams.to_nowhere(sys.stdout)
