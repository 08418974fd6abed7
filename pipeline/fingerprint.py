"""Fingerprints of code, for TFX's cache: it knows an executor's settings and inputs, and nothing of its code."""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.metadata
import pathlib
from collections.abc import Iterator
from typing import Any

_ROOT = pathlib.Path(__file__).parent.parent
_LOCK = _ROOT / "constraints.txt"
# Files beside the code that it reads: schemas, templates, styles.
_DATA = (".pbtxt", ".j2", ".css", ".js")
_LIBRARIES = (
    "apache-beam",
    "gensim",
    "keras-tuner",
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
    """Changes when the code of one of the components changes, what it imports, or a library's version.

    Args:
        *components: names of folders in `components/`.
    """
    digest = hashlib.sha256()
    for path in sorted(_files(*components)):
        digest.update(f"{path.relative_to(_ROOT)}\n".encode() + path.read_bytes())
    for library, version in _versions().items():
        digest.update(f"{library}=={version}\n".encode())
    return digest.hexdigest()[:16]


def facts() -> dict[str, Any]:
    """What a model card says of the code: `version`, components' `fingerprint`, `lock`'s SHA-256, `libraries`."""
    folders = sorted(path.parent.name for path in (_ROOT / "components").glob("*/__init__.py"))
    lock = hashlib.sha256(_LOCK.read_bytes()).hexdigest() if _LOCK.is_file() else None
    return {"version": _own_version(), "fingerprint": of_code(*folders), "lock": lock, "libraries": _versions()}


def _files(*components: str) -> set[pathlib.Path]:
    """All files in the components' folders, and every module of this project that they import, and so on."""
    folders = [_ROOT / "components" / name for name in components]
    data = {path for folder in folders for path in folder.rglob("*") if path.suffix in _DATA}
    modules: set[pathlib.Path] = set()
    ahead = [path for folder in folders for path in folder.rglob("*.py")]
    while ahead:
        path = ahead.pop()
        if path not in modules:
            modules.add(path)
            ahead += _imported(path)
    return modules | data


@functools.cache
def _imported(path: pathlib.Path) -> tuple[pathlib.Path, ...]:
    """The modules of this project that a module imports, anywhere in its code, and the packages that they are in.

    A package's own `__init__.py` is run by whoever imports a module in it, but not its functions.
    """
    tree = ast.parse(path.read_bytes())
    nodes = tree.body if path.name == "__init__.py" else ast.walk(tree)
    return tuple(module for node in nodes for name in _names(node) for module in _modules(name.split(".")))


def _names(node: ast.AST) -> Iterator[str]:
    """What a statement may import, with dots; of `from a import b`, b may be a module or something in one."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _modules(parts: list[str]) -> Iterator[pathlib.Path]:
    for end in range(1, len(parts) + 1):
        place = _ROOT.joinpath(*parts[:end])
        for path in (place / "__init__.py", place.with_suffix(".py")):
            if path.is_file():
                yield path


def _versions() -> dict[str, str]:
    return {library: importlib.metadata.version(library) for library in _LIBRARIES}


def _own_version() -> str:
    """Of the installed package; `unknown` if the code runs without having been installed."""
    try:
        return importlib.metadata.version("tfx-word2vec")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
