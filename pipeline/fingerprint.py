"""Fingerprints of code, for TFX's cache: it knows an executor's settings and inputs, and nothing of its code."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import pathlib
from typing import Any

_COMPONENTS = pathlib.Path(__file__).parent.parent / "components"
_LOCK = pathlib.Path(__file__).parent.parent / "constraints.txt"
_LIBRARIES = (
    "apache-beam",
    "gensim",
    "plotly",
    "scikit-learn",
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
            if path.suffix in (".py", ".pbtxt", ".j2", ".css", ".js"):
                digest.update(f"{path.relative_to(_COMPONENTS)}\n".encode() + path.read_bytes())
    for library, version in _versions().items():
        digest.update(f"{library}=={version}\n".encode())
    return digest.hexdigest()[:16]


def facts() -> dict[str, Any]:
    """What a model card says of the code: `version`, components' `fingerprint`, `lock`'s SHA-256, `libraries`."""
    folders = sorted(folder.name for folder in _COMPONENTS.iterdir() if (folder / "__init__.py").is_file())
    lock = hashlib.sha256(_LOCK.read_bytes()).hexdigest() if _LOCK.is_file() else None
    return {"version": _own_version(), "fingerprint": of_code(*folders), "lock": lock, "libraries": _versions()}


def _versions() -> dict[str, str]:
    return {library: importlib.metadata.version(library) for library in _LIBRARIES}


def _own_version() -> str:
    """Of the installed package; `unknown` if the code runs without having been installed."""
    try:
        return importlib.metadata.version("tfx-word2vec")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
