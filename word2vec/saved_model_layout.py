"""Where things are within a SavedModel, and under which keys TensorFlow saves variables.

It does not import TensorFlow, for command lines that answer without it.
"""

from __future__ import annotations

import os

VOCABULARY = "vocabulary"


def vocabulary(saved_model: str) -> str:
    """The path of the vocabulary that a SavedModel carries along."""
    return os.path.join(saved_model, "assets", VOCABULARY)


def variables(saved_model: str) -> str:
    """The path of a SavedModel's variables, as `tf.train.load_checkpoint` takes it: what their files' begin with."""
    return os.path.join(saved_model, "variables", "variables")


def key(name: str) -> str:
    """Of a variable by its attribute's name, in a checkpoint or a SavedModel."""
    return f"{name}/.ATTRIBUTES/VARIABLE_VALUE"
