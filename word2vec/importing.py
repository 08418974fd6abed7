"""Many modules, imported without being looked through for garbage."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def quickly() -> Iterator[None]:
    """For the imports of TensorFlow, TFX and Beam, which make a million objects.

    While modules are made there is hardly any garbage, yet the collector looks through all of them again and again: a
    fifth of the time. Afterwards it leaves them out, for they stay until the end, and a fork that never touches them
    shares them with its parent.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()
