"""The versions of a model: folders whose names are numbers, below one folder; without TensorFlow for a local one.

A name is a version's if it is of ASCII digits alone and at most `LARGEST`; leading zeros are ignored. TF Serving reads
names by TensorFlow's `safe_strto64`, which takes a sign and blanks around the number too. The pusher writes no such
names, and neither it nor the server here reads them: so for both the same version is the newest one.
"""

from __future__ import annotations

import os
import re

MARK = "saved_model.pb"  # a version's last file: without it nobody takes the folder for one that can be loaded
LARGEST = 2**63 - 1  # TF Serving's numbers have 64 bits

_NUMBER = re.compile("0*([0-9]{1,19})")


def parse(name: str) -> int | None:
    """The number that a folder's name is; None if it is no version's."""
    match = _NUMBER.fullmatch(name)
    number = int(match[1]) if match else None
    return number if number is not None and number <= LARGEST else None


def listed(folder: str) -> list[tuple[int, str]]:
    """(number, name) of all versions in a folder, whole or not, in order; none if there is no such folder.

    Of two names of one number (`7` and `007`) the last by name comes last: it counts, as for TF Serving.

    Raises:
        OSError, tf.errors.OpError: the folder cannot be listed.
    """
    numbers = ((parse(name), name) for name in _names(folder))
    return sorted((number, name) for number, name in numbers if number is not None)


def is_local(folder: str) -> bool:
    """Whether a folder is on a file system of this machine, and not one that only TensorFlow knows."""
    return "://" not in folder


def _names(folder: str) -> list[str]:
    if is_local(folder):
        return os.listdir(folder) if os.path.isdir(folder) else []
    from tensorflow import io  # seconds that a local folder does not cost

    return [name.rstrip("/") for name in io.gfile.listdir(folder)] if io.gfile.isdir(folder) else []
