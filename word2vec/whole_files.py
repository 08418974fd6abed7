"""Local files that appear under their names when they are whole, whatever happens while they are written."""

from __future__ import annotations

import contextlib
import os
import pathlib
from collections.abc import Iterator


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[pathlib.Path]:
    """Gives a path beside a file; what is written there takes the file's place when the context is left.

    Where the context is left by an error, the file is as it was, and nothing is beside it.

    Raises:
        OSError: it cannot be renamed.
    """
    beside = pathlib.Path(f"{os.fspath(path)}.new")
    try:
        yield beside
        os.replace(beside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        raise


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Writes a file in UTF-8."""
    with replacing(path) as beside:
        beside.write_text(text, encoding="utf-8")
