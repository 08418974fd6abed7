"""Imports point one way: runners -> pipeline -> components -> word2vec, and serving -> word2vec."""

from __future__ import annotations

import ast
import pathlib
from collections.abc import Iterator

import pytest

ROOT = pathlib.Path(__file__).parent.parent
OURS = {"word2vec", "components", "serving", "pipeline", "benchmarks", "local_runner", "kubeflow_runner", "tests"}
ALLOWED = {
    "word2vec": {"word2vec"},
    "components": {"word2vec", "components"},
    "serving": {"word2vec", "serving"},
    "pipeline": {"word2vec", "components", "pipeline"},
}
# What only the parts around the library know.
TFX = {"tfx", "tfx_bsl", "tensorflow_transform", "tensorflow_model_analysis", "apache_beam", "ml_metadata", "kfp"}


def imported(code: str) -> Iterator[tuple[int, str]]:
    """(line, package) of every import, within functions too."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name.partition(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.lineno, node.module.partition(".")[0]


def wrong_imports(package: str, code: str) -> list[tuple[int, str]]:
    """Those that a package's module must not have."""
    banned = OURS - ALLOWED[package] | (TFX if package in ("word2vec", "serving") else set())
    return [(line, name) for line, name in imported(code) if name in banned]


@pytest.mark.parametrize("package", ALLOWED)
def test_imports_point_one_way(package):
    found = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in sorted((ROOT / package).rglob("*.py"))
        for line, name in wrong_imports(package, path.read_text(encoding="utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize(
    ("package", "code", "wrong"),
    [
        ("word2vec", "import numpy\n\ndef f():\n    from components import files\n", [(4, "components")]),
        ("word2vec", "import tensorflow_transform as tft", [(1, "tensorflow_transform")]),
        ("components", "from pipeline import configs", [(1, "pipeline")]),
        ("components", "from word2vec import text\nimport apache_beam", []),
        ("serving", "from components.files import find", [(1, "components")]),
        ("pipeline", "import benchmarks.bench", [(1, "benchmarks")]),
    ],
)
def test_a_planted_import_is_found(package, code, wrong):
    assert wrong_imports(package, code) == wrong
