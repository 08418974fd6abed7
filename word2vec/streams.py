"""Standard output and error as a program's user may have set them: closed, full, read by nobody, of few letters."""

from __future__ import annotations

import atexit
import codecs
import contextlib
import errno
import io
import os
import sys
import threading
import unicodedata
from collections.abc import Callable
from types import FrameType
from typing import NoReturn, TextIO

from word2vec.errors import UserError, reason

# The encoding error handler for what is printed: marks in ASCII, and for all else its code.
ERRORS = "word2vec.screen"

_ASCII = {"✔": "+", "✘": "x", "…": "...", "≥": ">=", "–": "-", "—": "-", "•": "*", "━": "-", "╸": "-", "╺": "-"}

# They turn the order of the letters behind them, to the end of the line.
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

# The exit code of a command that was interrupted, as shells have it.
INTERRUPTED = 130


def visible(text: str, keep: str = "") -> str:
    """A text with the codes of those characters that steer a terminal, in place of them.

    Args:
        text: somebody's.
        keep: characters that stay all the same.
    """
    return "".join(letter if letter in keep or not _steers(letter) else _code(letter) for letter in text)


class Output(io.TextIOBase):
    """A stream that never fails: what cannot be written is left out, and why is kept in `failure`.

    So a training outlives whoever read what it printed (`| head`), and a disk that is full.
    """

    encoding = "utf-8"  # in the place of io's own, which cannot be set

    def __init__(self, stream: TextIO):
        self._stream = stream
        self.encoding = stream.encoding or "utf-8"
        self.failure: OSError | None = None

    def write(self, text: str) -> int:
        """Writes, if that has never failed."""
        self._try(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Likewise."""
        self._try(self._stream.flush)

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """That of the stream below."""
        return self._stream.fileno()

    def check(self) -> None:
        """Says what has failed; that nobody reads any more is no fault.

        Raises:
            UserError: something could not be written.
        """
        if self.failure and self.failure.errno != errno.EPIPE:
            raise UserError(f"standard output cannot be written: {self.failure.strerror}")

    def _try(self, action: Callable[[], object]) -> None:
        if self.failure is None:
            try:
                action()
            except OSError as error:
                self.failure = error
                to_nowhere(self._stream)


def allow_all_letters() -> None:
    """Lets a screen that lacks letters show their codes."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=ERRORS)


def to_nowhere(stream: TextIO) -> None:
    """Lets what is still to be written go nowhere: else Python complains when it ends."""
    with contextlib.suppress(OSError, ValueError, AttributeError):  # a stream without a descriptor needs none
        own = stream.fileno()
        descriptor = os.open(os.devnull, os.O_WRONLY)
        os.dup2(descriptor, own)
        os.close(descriptor)


def run(body: Callable[[], int], fail: Callable[[str], None]) -> int:
    """Runs a command; if a user or the system ends it, one line says so.

    Args:
        body: the command; it returns the exit code.
        fail: tells a line.

    Returns:
        The exit code.
    """
    is_closed = _open_descriptors()
    allow_all_letters()
    if is_closed:
        fail("standard output is closed. Send it to /dev/null if nobody shall read it")
        return 1
    try:
        try:
            code = body()
        except SystemExit as ended:  # argparse's, after its help
            if not isinstance(ended.code, int):
                raise
            code = ended.code
        sys.stdout.flush()
    except UserError as error:
        fail(str(error))
        code = 1
    except BrokenPipeError:
        to_nowhere(sys.stdout)
        code = 0
    except KeyboardInterrupt:
        fail("interrupted")
        code = INTERRUPTED
    except OSError as error:
        to_nowhere(sys.stdout)
        fail(reason(error))
        code = 1
    return code


def leave(code: int) -> NoReturn:
    """Ends this process, which would otherwise take apart for seconds what TensorFlow, TFX and Beam have made.

    Threads that must end, and what was to be done at the end, come first, as in `sys.exit`. To be called by the program
    itself, where its name is `__main__`.

    Args:
        code: the exit code.

    Raises:
        SystemExit: in place of it where another program runs this one within its own process, as TFX's command line
            does, and goes on.
    """
    if not _is_of(sys._getframe(1)):
        sys.exit(code)
    try:
        threading._shutdown()  # type: ignore[attr-defined]  # as multiprocessing ends its processes
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):  # closed, or nobody reads it
                stream.flush()
    finally:
        os._exit(code)


def _is_of(program: FrameType) -> bool:
    """Whether this process was started for this program: as a file, or by -m."""
    frame: FrameType | None = program
    outermost = program
    while frame is not None:
        if frame.f_globals.get("__name__") != "runpy":  # which -m begins with
            outermost = frame
        frame = frame.f_back
    return outermost is program


def _steers(letter: str) -> bool:
    return letter in _TURNING or unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp")


def _code(letter: str) -> str:
    return letter.encode("unicode_escape").decode()


def _open_descriptors() -> bool:
    """Opens those of 0, 1 and 2 that are closed, lest the next file gets them; returns whether 1 was."""
    closed = []
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            closed.append(descriptor)
            os.open(os.devnull, os.O_RDWR)  # the lowest that is free, which is this one
    return 1 in closed


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end]
    return "".join(
        _ASCII.get(letter) or ("*" if "⠀" <= letter <= "⣿" else _code(letter)) for letter in letters
    ), error.end


codecs.register_error(ERRORS, _replace)
