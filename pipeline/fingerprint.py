"""Fingerprints of code, for TFX's cache: it knows an executor's settings and inputs, and nothing of its code."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import pathlib

_COMPONENTS = pathlib.Path(__file__).parent.parent / "components"
_LIBRARIES = (
    "apache-beam",
    "gensim",
    "tensorflow",
    "tensorflow-text",
    "tensorflow-transform",
    "tensorflow-model-analysis",
    "tfx",
)


@functools.cache
def of_code(*components: str) -> str:
    """Changes when the code of one of the components changes, what all components share, or a library's version."""
    digest = hashlib.sha256()
    for folder in (_COMPONENTS, *(_COMPONENTS / name for name in components)):
        for path in sorted(folder.rglob("*") if folder != _COMPONENTS else folder.glob("*.py")):
            if path.suffix in (".py", ".pbtxt"):
                digest.update(f"{path.relative_to(_COMPONENTS)}\n".encode() + path.read_bytes())
    for library in _LIBRARIES:
        digest.update(f"{library}=={importlib.metadata.version(library)}\n".encode())
    return digest.hexdigest()[:16]
