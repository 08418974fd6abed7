"""The versions in a model's folder that can be served; without TensorFlow for a folder of this machine."""

from __future__ import annotations

import contextlib
import os
import tempfile
import types
from collections.abc import Iterator

from word2vec import version_folders
from word2vec.errors import UserError, reason

_EXPECTED = "Expected a run's, as runs/sample/serving_model"


class NoVersionError(UserError):
    """There is no folder, or no version in it: perhaps none has been pushed yet."""


def find(folder: str) -> dict[int, str]:
    """The versions that are whole: their folders by number.

    Of two folders of the same number the last one counts, as `version_folders.listed` has them. Those of which it
    cannot be told whether they are whole are there too: whoever loads them finds out.

    Raises:
        OSError, tf.errors.OpError: the folder cannot be listed.
    """
    paths = ((number, os.path.join(folder, name)) for number, name in version_folders.listed(folder))
    return {number: path for number, path in paths if _is_whole(path)}


def check(folder: str) -> None:
    """Says what is wrong with a folder that shall be served.

    Raises:
        NoVersionError: there is none, or it has no version.
        UserError: it is a version itself, or cannot be listed.
    """
    try:
        is_folder = os.path.isdir(folder) if version_folders.is_local(folder) else _files().isdir(folder)
        is_version = is_folder and _is_whole(folder)
        has_versions = is_folder and bool(find(folder))
    except Exception as error:  # the file systems of TensorFlow have errors of their own
        raise UserError(f"--model {folder}: cannot be listed: {reason(error, with_file=False)}") from None
    if not is_folder:
        raise NoVersionError(f"--model {folder}: no such folder. {_EXPECTED}")
    if is_version:
        raise UserError(f"--model {folder}: this is one version. Expected the folder of the versions, above it")
    if not has_versions:
        raise NoVersionError(f"--model {folder}: no version in it. {_EXPECTED}")


@contextlib.contextmanager
def without_globs(folder: str) -> Iterator[str]:
    """Another name of a folder whose name TensorFlow would take for a glob, as `[old]`, to read variables from it."""
    if not set(folder) & set("[]*?\\") or not version_folders.is_local(folder):
        yield folder
        return
    with tempfile.TemporaryDirectory() as beside:
        link = os.path.join(beside, "model")
        os.symlink(os.path.abspath(folder), link)
        yield link


def _is_whole(version: str) -> bool:
    mark = os.path.join(version, version_folders.MARK)
    if not version_folders.is_local(version):
        return _files().exists(mark)
    try:
        os.stat(mark)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def _files() -> types.ModuleType:
    from tensorflow import io

    return io.gfile
