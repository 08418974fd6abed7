"""Where numba keeps what it compiled, so that the next run need not wait for it."""

from __future__ import annotations

import hashlib
import os
import pathlib
import tempfile

import numba

# numba looks at a function's own file alone to see whether it changed; the kernel is made of these.
_SOURCES = ("chunks.py", "kernel*.py", "tiles.py")


def prepare() -> bool:
    """Tells numba a folder of this user's, or NUMBA_CACHE_DIR; numba itself tells processors apart in it.

    Returns:
        Whether one can be written to; else everything is compiled in memory, in each process.
    """
    here = pathlib.Path(__file__).parent
    paths = [path for name in _SOURCES for path in sorted(here.glob(name))]
    sources = hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()[:16]
    base = os.environ.get("NUMBA_CACHE_DIR") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "tfx-word2vec"
    )
    if base.startswith("~"):
        return False  # a container's user without a home
    folder = os.path.join(base, f"kernel-{sources}")
    try:
        os.makedirs(folder, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError:
        return False
    numba.config.CACHE_DIR = folder
    return True
