"""The arguments that the measurements share: what is wrong with them is said in one line, before anything is made."""

from __future__ import annotations

import argparse
import pathlib
from collections.abc import Callable

from components import files
from pipeline import layout
from word2vec import argument_types, version_folders
from word2vec.errors import UserError, printable

_MOST = 1_000_000_000


def count(least: int = 1) -> Callable[[str], int]:
    """A type of arguments: whole numbers."""
    return argument_types.whole(least, _MOST)


def seconds() -> Callable[[str], float]:
    """A type of arguments: times."""
    return argument_types.number(0.1, _MOST)


def share() -> Callable[[str], float]:
    """A type of arguments: what one number is of another."""
    return argument_types.number(1e-6, 1e6)


def corpus(text: str) -> str:
    """A type of arguments: a file, folder or glob that leads to files."""
    try:
        files.find([text])
    except UserError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def versions(text: str) -> str:
    """A type of arguments: a folder of pushed versions."""
    folder = _folder(text)
    if not any((folder / name / version_folders.MARK).exists() for _, name in version_folders.listed(str(folder))):
        raise argparse.ArgumentTypeError(f"{printable(text)}: expected a folder of pushed versions, such as 1700000000")
    return text


def version(text: str) -> pathlib.Path:
    """A type of arguments: a pushed version's folder."""
    folder = _folder(text)
    if not (folder / version_folders.MARK).exists():
        raise argparse.ArgumentTypeError(
            f"{printable(text)}: no {version_folders.MARK} in it. Expected a pushed version"
        )
    return folder


def run(text: str) -> pathlib.Path:
    """A type of arguments: the folder of a run of the pipeline."""
    folder = _folder(text)
    if not (folder / layout.ARTIFACTS).is_dir():
        raise argparse.ArgumentTypeError(f"{printable(text)}: no run of the pipeline. Expected its folder, runs/NAME")
    return folder


def _folder(text: str) -> pathlib.Path:
    try:
        folder = pathlib.Path(text)
        if not folder.is_dir():
            raise NotADirectoryError
        next(folder.iterdir(), None)
    except (OSError, ValueError):
        raise argparse.ArgumentTypeError(f"{printable(text)}: expected a folder that can be read") from None
    return folder
