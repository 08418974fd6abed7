"""Pushes a model: as a whole version or not at all, and once only, wherever the process is killed."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import tensorflow as tf

from components.card import names as card_names
from components.pusher import versions
from word2vec import progress, version_folders
from word2vec.errors import UserError, reason

# What is not pushed whole yet: TF Serving passes over names that are no numbers.
_UNFINISHED = ".pushing-"

# Files up to this size are compared by what is in them, larger ones by their sizes: TensorFlow's fingerprint of a
# model, a small file, stands for its weights.
_COMPARED_BYTES = 1 << 20


def push(files: Mapping[str, str], folder: str) -> str:
    """Makes a new version, or finds that the newest one is this model already.

    On a local file system the version is written beside, flushed to the disk, and renamed: it is there as a whole or
    not at all. Where there is no rename, as in an object store, `saved_model.pb` comes last, without which nobody takes
    it for a version that can be loaded. A version's number is the time in seconds, or one more than the largest that is
    there: for the largest is served.

    Args:
        files: where each file is copied from, by its path within the version.
        folder: of the versions; made if it is not there.

    Returns:
        The version's name.

    Raises:
        UserError: the folder can't be written, or there is no larger number.
    """
    try:
        tf.io.gfile.makedirs(folder)
        with _alone(folder) as is_alone:
            newest = _newest(folder)
            if newest and is_pushed(files, os.path.join(folder, newest)):
                progress.note(f"{folder}: the newest version, {newest}, is this model already; not pushed again")
                return newest
            _remove(folder, _leftovers(folder, is_alone=is_alone) + _begun(files, folder))
            number = _next_number(folder, versions.find(folder))
            (_copy_and_rename if version_folders.is_local(folder) else _copy)(files, os.path.join(folder, str(number)))
            return str(number)
    except (OSError, tf.errors.OpError) as error:
        raise UserError(
            f"{folder}: the model could not be pushed: {reason(error)}. Free some space, or set pusher.destination to "
            "a folder that can be written, and run the same command again"
        ) from None


def prune(folder: str, keep: int) -> None:
    """Removes all versions that this pipeline has pushed, but for the newest `keep`."""
    try:
        with _alone(folder):
            for version in versions.old(folder, keep):
                try:
                    versions.remove(version)
                except (OSError, tf.errors.OpError) as error:
                    progress.note(f"{version}: this old version could not be removed: {reason(error)}")
    except (OSError, tf.errors.OpError) as error:
        progress.note(f"{folder}: old versions could not be removed: {reason(error)}")


def tidy(folder: str) -> None:
    """Removes what killed pushes left in a folder of versions, as far as no other one can be at it."""
    with contextlib.suppress(OSError, tf.errors.OpError):
        if tf.io.gfile.isdir(folder):
            with _alone(folder) as is_alone:
                _remove(folder, _leftovers(folder, is_alone=is_alone))


def files_of(folder: str, below: str = "") -> dict[str, str]:
    """The paths of all files of a folder, by the paths that they have within it, which start with `below`."""
    paths = {}
    for where, _, names in tf.io.gfile.walk(folder):
        inside = where[len(folder) :].strip("/")
        paths.update({os.path.join(below, inside, name): os.path.join(where, name) for name in names})
    return paths


def is_pushed(files: Mapping[str, str], version: str) -> bool:
    """Whether a version is whole, and has been made of these files; not if it can't be read."""
    try:
        there = files_of(version) if tf.io.gfile.isdir(version) else {}
        return set(files) <= set(there) and all(_are_alike(source, there[name]) for name, source in files.items())
    except (OSError, tf.errors.OpError):
        return False


def _newest(folder: str) -> str | None:
    finished = (name for name in versions.find(folder).values() if versions.is_finished(os.path.join(folder, name)))
    return max(finished, key=int, default=None)


def _are_alike(one: str, other: str) -> bool:
    if os.path.basename(one) == card_names.MARKDOWN:  # says what the JSON beside it says
        return True
    if os.path.basename(one) == card_names.JSON:
        return _said(one) == _said(other)
    sizes = {tf.io.gfile.stat(path).length for path in (one, other)}
    if len(sizes) > 1:
        return False
    if max(sizes) > _COMPARED_BYTES:
        return True
    contents = []
    for path in (one, other):
        with tf.io.gfile.GFile(path, "rb") as file:
            contents.append(file.read())
    return contents[0] == contents[1]


def _said(path: str) -> Any:
    """A card without its time, because a lost card is written again; a damaged card says nothing."""
    with tf.io.gfile.GFile(path, "rb") as file:
        try:
            return {**json.loads(file.read()), "created": None}
        except (ValueError, TypeError):
            return None


class _Ranked(NamedTuple):
    """In which order files are written: the model's fingerprint first, its mark last."""

    is_mark: bool
    is_not_identity: bool
    name: str

    @classmethod
    def of(cls, name: str) -> _Ranked:
        return cls(name == version_folders.MARK, name != versions.IDENTITY, name)


def _copy(files: Mapping[str, str], version: str) -> None:
    for name in sorted(files, key=_Ranked.of):
        path = os.path.join(version, name)
        tf.io.gfile.makedirs(os.path.dirname(path))
        tf.io.gfile.copy(files[name], path, overwrite=True)


def _copy_and_rename(files: Mapping[str, str], version: str) -> None:
    folder = os.path.dirname(version)
    beside = os.path.join(folder, f"{_UNFINISHED}{uuid.uuid4().hex}")
    try:
        _copy(files, beside)
        for where, _, names in os.walk(beside, topdown=False):
            for path in (*(os.path.join(where, name) for name in names), where):
                _flush(path)
        os.rename(beside, version)
        _flush(folder)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise


def _flush(path: str) -> None:
    """Has a file, or a folder's list of names, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system that can't do it for folders
            raise
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _alone(folder: str) -> Iterator[bool]:
    """Keeps other processes from pushing to a local folder; death releases it. Whether it could."""
    if not version_folders.is_local(folder):
        yield False
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        yield _lock(descriptor, folder)
    finally:
        os.close(descriptor)


def _lock(descriptor: int, folder: str) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        progress.note(f"{folder}: another run is pushing there; waiting for it")
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError:  # a file system without locks, as some network ones
        return False
    return True


def _leftovers(folder: str, *, is_alone: bool) -> list[str]:
    """What is not whole, versions that nobody is writing or removing: where there are no locks, those of yesterday."""
    there = [name.rstrip("/") for name in tf.io.gfile.listdir(folder)]
    unfinished = [name for name in there if name.startswith((_UNFINISHED, versions.REMOVED))]
    yesterday = (time.time() - 86400) * 1e9
    return [
        name for name in unfinished if is_alone or tf.io.gfile.stat(os.path.join(folder, name)).mtime_nsec < yesterday
    ]


def _begun(files: Mapping[str, str], folder: str) -> list[str]:
    """Versions without their last file that were to be this very model, by whatever wrote it in place."""
    own = versions.identity(os.path.dirname(files[versions.IDENTITY])) if versions.IDENTITY in files else ""
    folders_by_name = {name: os.path.join(folder, name) for name in versions.find(folder).values()}
    return [
        name
        for name, version in folders_by_name.items()
        if own and not versions.is_finished(version) and versions.identity(version) == own
    ]


def _remove(folder: str, names: list[str]) -> None:
    for name in names:
        tf.io.gfile.rmtree(os.path.join(folder, name))


def _next_number(folder: str, there: Mapping[int, str]) -> int:
    now, largest = int(time.time()), max(there, default=0)
    if largest >= version_folders.LARGEST:
        raise UserError(
            f"{os.path.join(folder, there[largest])}: the largest number that a version can have is taken, so that "
            "none could be served instead. Rename it, and run the same command again"
        )
    if largest > now:
        progress.note(
            f"{os.path.join(folder, there[largest])}: a version that is later than this machine's clock ({now}); the "
            f"model is pushed as {largest + 1}, for the largest number is served"
        )
    return max(now, largest + 1)
