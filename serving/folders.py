"""The versions in a model's folder, as TF Serving finds them; without TensorFlow for a folder of this machine."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator

from word2vec.errors import UserError

MARK = "saved_model.pb"  # written last

# What TF Serving reads a version's number from: an int64, with leading zeros if need be.
_NUMBER = re.compile(r"[+-]?[0-9]{1,4000}", re.ASCII)
_LARGEST = 2**63 - 1


def find(folder: str) -> dict[int, str]:
    """The versions that are whole: their folders by number.

    Of two folders of the same number (`7` and `007`) the last by name counts. Those of which it cannot be told whether
    they are whole are there too: whoever loads them finds out.

    Raises:
        OSError, tf.errors.OpError: the folder cannot be listed.
    """
    folders_by_number = {}
    for name in sorted(_names(folder)):
        number = parse(name)
        if number is not None and _is_whole(os.path.join(folder, name)):
            folders_by_number[number] = os.path.join(folder, name)
    return folders_by_number


def parse(name: str) -> int | None:
    """The number that a folder's name is; None for all else."""
    number = int(name) if _NUMBER.fullmatch(name) else None
    return number if number is not None and -_LARGEST - 1 <= number <= _LARGEST else None


def check(folder: str) -> None:
    """Says what is wrong with a folder that shall be served.

    Raises:
        UserError: it is none, or has no version, or is a version itself.
    """
    try:
        is_folder = os.path.isdir(folder) if _is_local(folder) else _files().isdir(folder)
        is_version = is_folder and _is_whole(folder)
        has_versions = is_folder and bool(find(folder))
    except Exception as error:  # the file systems of TensorFlow have errors of their own
        raise UserError(f"--model {folder}: cannot be listed: {reason(error)}") from None
    if not is_folder:
        raise UserError(f"--model {folder}: no such folder. Expected a run's, as runs/sample/serving_model")
    if is_version:
        raise UserError(f"--model {folder}: this is one version. Expected the folder of the versions, above it")
    if not has_versions:
        raise UserError(f"--model {folder}: no version in it. Expected a run's, as runs/sample/serving_model")


@contextlib.contextmanager
def without_globs(folder: str) -> Iterator[str]:
    """Another name of a folder whose name TensorFlow would take for a glob, as `[old]`, to read variables from it."""
    if not set(folder) & set("[]*?\\") or not _is_local(folder):
        yield folder
        return
    with tempfile.TemporaryDirectory() as beside:
        link = os.path.join(beside, "model")
        os.symlink(os.path.abspath(folder), link)
        yield link


def reason(error: BaseException) -> str:
    """An error of the system's, of TensorFlow's or of a library's, in one line."""
    message = getattr(error, "strerror", None) or getattr(error, "message", None) or str(error) or type(error).__name__
    return " ".join(str(message).split())


def _names(folder: str) -> list[str]:
    if _is_local(folder):
        return os.listdir(folder) if os.path.isdir(folder) else []
    return [name.rstrip("/") for name in _files().listdir(folder)] if _files().isdir(folder) else []


def _is_whole(version: str) -> bool:
    mark = os.path.join(version, MARK)
    if not _is_local(version):
        return _files().exists(mark)
    try:
        os.stat(mark)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def _is_local(folder: str) -> bool:
    return "://" not in folder


def _files():  # noqa: ANN202  (a module)
    from tensorflow import io

    return io.gfile
