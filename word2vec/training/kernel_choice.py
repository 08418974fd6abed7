"""Which settings the compiled kernel can train with; free of imports, for settings are looked at first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_COMPILED: dict[str, tuple[Any, ...]] = {
    "loss": ("nce", "negative_sampling", "sampled_softmax"),
    "optimizer": ("sgd", "adagrad"),
    "precision": ("float32",),
    "strategy": ("auto", "one_device", "mirrored"),
    "blocks_per_step": (None, 1),
}


def why_not_compiled(settings: Mapping[str, Any]) -> str | None:
    """The first of the Trainer's settings that only the TensorFlow model knows, as `name = value`; else None."""
    for name, values in _COMPILED.items():
        if settings[name] not in values:
            return f"{name} = {settings[name]}"
    return None
