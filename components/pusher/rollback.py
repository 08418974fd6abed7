"""Goes back to an earlier version, where versions are pushed to."""

from __future__ import annotations

import json
import os
from typing import NamedTuple

import tensorflow as tf

from components.pusher import push, versions
from word2vec.errors import UserError, printable, reason


class RolledBack(NamedTuple):
    """What was done: the version as which the earlier one is served again, and those that must not come back."""

    version: str
    withdrawn: list[str]


class AlreadyServedError(UserError):
    """The model to go back to is what is served.

    Attributes:
        done: as if it had just been done; nothing is withdrawn where nobody went back to it.
    """

    def __init__(self, message: str, done: RolledBack):
        super().__init__(message)
        self.done = done


def to(folder: str, version: str) -> RolledBack:
    """Has an earlier version served again, and marks those after it, which are never a baseline again.

    The largest number is what is served: so the version is copied to a new one. What is marked stays as it is, for
    somebody will want to know what was wrong with it.

    Args:
        folder: of the versions.
        version: the name of the earlier one.

    Raises:
        AlreadyServedError: this model is what is served.
        UserError: there is no such version, or it cannot be served; or the folder cannot be read or written.
    """
    try:
        return _to(folder, version)
    except (OSError, tf.errors.OpError) as error:
        raise UserError(f"{folder}: {reason(error)}") from None


def _to(folder: str, version: str) -> RolledBack:
    paths = {name: os.path.join(folder, name) for name in versions.find(folder).values()}
    whole = [name for name, path in paths.items() if versions.is_finished(path)]
    if version not in whole:
        raise UserError(
            f"rollback {printable(version[:40])}: no such version is in {folder}. "
            f"There are: {', '.join(whole) or 'none'}"
        )
    later = whole[whole.index(version) + 1 :]
    wanted = versions.identity(os.path.join(folder, version))
    withdrawn = [name for name in later if versions.identity(os.path.join(folder, name)) != wanted]
    if not withdrawn or later[-1] not in withdrawn:
        raise AlreadyServedError(
            f"rollback {version}: this model is what is served, as version {whole[-1]}",
            RolledBack(whole[-1], withdrawn),
        )
    if not versions.has_weights(paths[version]):
        raise UserError(f"rollback {version}: {paths[version]} has lost its weights, and cannot be served")
    try:
        for name in withdrawn:
            versions.withdraw(os.path.join(folder, name), json.dumps({"rolled_back_to": version}))
    except (OSError, tf.errors.OpError) as error:
        raise UserError(f"{folder}: a version could not be marked: {reason(error)}") from None
    files = push.files_of(os.path.join(folder, version))
    files.pop(versions.WITHDRAWN, None)  # somebody goes back to what was rolled back
    return RolledBack(push.push(files, folder), withdrawn)
