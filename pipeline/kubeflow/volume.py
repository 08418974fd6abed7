"""Whether what a task is going to write can be written, before it works for an hour."""

from __future__ import annotations

import os
import tempfile

from pipeline.configs import VolumeConfig
from pipeline.kubeflow import checks
from word2vec.errors import UserError, reason


def check_writable(folder: str, volume: VolumeConfig | None) -> None:
    """Makes sure that this process may write below a folder, or make it; URIs are not looked at.

    Args:
        folder: where it is going to write.
        volume: the pipeline's.

    Raises:
        UserError: it may not. The volume's claim is named, where the folder is on it.
    """
    if "://" in folder:
        return
    existing = os.path.abspath(folder)
    while not os.path.isdir(existing) and existing != "/":
        existing = os.path.dirname(existing)
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        why = reason(error, with_file=False)
        raise UserError(f"{folder}: cannot be written by user {os.getuid()}: {why}. {_cure(folder, volume)}") from None


def _cure(folder: str, volume: VolumeConfig | None) -> str:
    if not (volume and checks.is_on(volume, folder)):
        return "It is on no volume: set kubeflow.volume"
    if not os.path.ismount(volume.path):
        return f"kubeflow.volume: the claim {volume.claim} is not mounted at {volume.path}"
    return (
        f"The volume of the claim {volume.claim} is not this user's: deploy/volume-owner.yaml gives it to the image's "
        "(docs/kubeflow.md)"
    )
