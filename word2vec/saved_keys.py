"""Under which keys TensorFlow saves variables; free of imports, for command lines that answer without TensorFlow."""

from __future__ import annotations


def key(name: str) -> str:
    """Of a variable by its attribute's name, in a checkpoint or a SavedModel."""
    return f"{name}/.ATTRIBUTES/VARIABLE_VALUE"
