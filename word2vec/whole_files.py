"""Local files that appear under their names when they are whole, whatever happens while they are written."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import shutil
from collections.abc import Iterator
from typing import Any, TypeVar

_T = TypeVar("_T", dict[str, Any], list[Any])


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


def link(path: str | os.PathLike[str], target: str | os.PathLike[str]) -> None:
    """Makes a path a link to a target, whatever is there: a file, a link, or a folder, which is removed."""
    with replacing(path) as beside:
        beside.unlink(missing_ok=True)
        beside.symlink_to(target)
        if os.path.isdir(path) and not os.path.islink(path):  # so scp and other programs copy a link
            shutil.rmtree(path)


def read_json(path: str | os.PathLike[str], kind: type[_T]) -> _T:
    """What a file holds in JSON; empty where there is none, or where it is damaged or holds another kind.

    Args:
        path: of a file that one can do without; may be empty.
        kind: `dict` or `list`.
    """
    try:
        with open(path, "rb") as file:
            content = json.load(file)
    except (FileNotFoundError, ValueError):
        return kind()
    return content if isinstance(content, kind) else kind()
