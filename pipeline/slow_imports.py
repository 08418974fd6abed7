"""Modules that TFX loads with itself, and that take seconds and are used by nothing here: loaded when asked for."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from types import ModuleType

# Google's client of its AI Platform: a fourth of what importing TFX takes.
_SLOW = ("tfx.v1.extensions.google_cloud_ai_platform",)


class _LazyFinder:
    """Finds slow modules, which then wait for their first attribute to be asked for."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """See `importlib.abc.MetaPathFinder.find_spec`."""
        spec = importlib.machinery.PathFinder.find_spec(name, path, target) if name in _SLOW else None
        if spec and spec.loader:
            spec.loader = importlib.util.LazyLoader(spec.loader)
        return spec


def put_off() -> None:
    """Puts them off; to be called before TFX is imported."""
    if _LazyFinder not in sys.meta_path:
        sys.meta_path.insert(0, _LazyFinder)
