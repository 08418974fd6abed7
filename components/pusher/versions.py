"""The versions of a model, below the folder to which they are pushed."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable

import tensorflow as tf

from components.card import names as card_names
from word2vec import progress, saved_vectors, version_folders
from word2vec.warmup import EXTRA

IDENTITY = "fingerprint.pb"  # TensorFlow writes it with each SavedModel; no two have the same

# Whether it is there tells that a version was rolled back.
WITHDRAWN = os.path.join(EXTRA, "rolled_back.json")

# Begins the names of what is being removed: no version, for TF Serving and for us.
REMOVED = ".removing-"

_SHARD = r"variables\.data-[0-9]{5}-of-[0-9]{5}"


def find(folder: str) -> dict[int, str]:
    """The names of the versions, whole or not, by their numbers, the smallest first."""
    return dict(version_folders.listed(folder))


def newest_other(folder: str, model: str) -> str:
    """The newest version that is not the candidate itself, which a run that the cache has answered has had pushed.

    A version that was rolled back does not count; of one that took its place, the first with the same model is meant,
    so that whoever knows it already knows it again.

    Args:
        folder: of the versions.
        model: the candidate's `identity`.

    Returns:
        The version's name; empty if there is none.
    """
    return _newest(folder, lambda pushed: identity(pushed) != model)


def newest_start(folder: str, text: str) -> str:
    """The newest version from which a training can start, as `newest_other` finds it.

    Args:
        folder: of the versions.
        text: the fingerprint of a text, the models of which do not count, or empty.

    Returns:
        The version's name; empty if there is none.
    """
    return _newest(folder, lambda pushed: saved_vectors.has_start(pushed) and not (text and _text(pushed) == text))


def _newest(folder: str, counts: Callable[[str], bool]) -> str:
    there = [name for name in find(folder).values() if _stands(os.path.join(folder, name))]
    for name in reversed(there):
        pushed = os.path.join(folder, name)
        if not counts(pushed):
            continue
        if not has_weights(pushed):
            progress.note(f"{pushed}: the last pushed model has lost its weights; the one before it is taken")
            continue
        copies = (os.path.join(folder, other) for other in there if other != name)
        same = [copy for copy in copies if identity(copy) == identity(pushed) and counts(copy) and has_weights(copy)]
        return os.path.basename(same[0]) if same else name
    return ""


def _stands(version: str) -> bool:
    return is_finished(version) and not is_withdrawn(version)


def _text(version: str) -> str:
    """The fingerprint of the text that a version was trained on; empty if it does not say so."""
    try:
        with tf.io.gfile.GFile(os.path.join(version, EXTRA, card_names.JSON)) as file:
            return json.load(file)["corpus"]["fingerprint"]
    except (tf.errors.OpError, KeyError, TypeError, ValueError):
        return ""


def was_withdrawn(folder: str, model: str) -> bool:
    """Whether the newest version with a model was rolled back; `model` is its `identity`."""
    same = (os.path.join(folder, name) for name in reversed(find(folder).values()))
    return next((is_withdrawn(version) for version in same if model and identity(version) == model), False)


def old(folder: str, keep: int) -> list[str]:
    """The paths of the versions that this pipeline has pushed, as their cards tell, but for the newest.

    One that is not finished takes no place among these: it cannot be served.
    """
    paths = [os.path.join(folder, name) for name in find(folder).values()]
    newest = [path for path in paths if is_finished(path)][-keep:]
    return [path for path in paths if newest and paths.index(path) < paths.index(newest[0]) and _has_card(path)]


def _has_card(version: str) -> bool:
    return tf.io.gfile.exists(os.path.join(version, EXTRA, card_names.JSON))


def remove(folder: str) -> None:
    """Removes a version, which is first out of TF Serving's sight, or another folder."""
    if version_folders.is_local(folder):
        around, name = os.path.split(folder)
        gone = os.path.join(around, f"{REMOVED}{name.removeprefix(REMOVED)}")
        os.rename(folder, gone)
        if os.path.islink(gone):  # somebody has moved it to another disk
            os.remove(gone)
        else:
            shutil.rmtree(gone)
        return
    mark = os.path.join(folder, version_folders.MARK)
    if tf.io.gfile.exists(mark):
        tf.io.gfile.remove(mark)
    tf.io.gfile.rmtree(folder)


def is_finished(version: str) -> bool:
    """Whether a version has the file that is written last."""
    return tf.io.gfile.exists(os.path.join(version, version_folders.MARK))


def is_withdrawn(version: str) -> bool:
    """Whether a version was rolled back."""
    return tf.io.gfile.exists(os.path.join(version, WITHDRAWN))


def withdraw(version: str, why: str) -> None:
    """Marks a version as one that was rolled back; `why` is kept with it."""
    path = os.path.join(version, WITHDRAWN)
    tf.io.gfile.makedirs(os.path.dirname(path))
    with tf.io.gfile.GFile(path, "w") as file:
        file.write(why)


def has_weights(version: str) -> bool:
    """Whether all files of a SavedModel's variables are there."""
    folder = os.path.join(version, "variables")
    names = set(tf.io.gfile.listdir(folder)) if tf.io.gfile.isdir(folder) else set()
    shards = next((int(name.rpartition("-of-")[2]) for name in names if re.fullmatch(_SHARD, name)), 0)
    wanted = {"variables.index", *(f"variables.data-{shard:05d}-of-{shards:05d}" for shard in range(shards))}
    return shards > 0 and wanted <= names


def identity(saved_model: str) -> str:
    """Tells an exported model from every other one, and is the same for its copies; empty if it has none."""
    path = os.path.join(saved_model, IDENTITY)
    if not tf.io.gfile.exists(path):
        return ""
    with tf.io.gfile.GFile(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()[:16]
