"""Modules that TFX loads with itself, and that take seconds and are used by nothing here: loaded when asked for."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
import threading
from collections.abc import Sequence
from types import ModuleType
from typing import Any

# Google's client of its AI Platform: a fourth of what importing TFX takes.
_SLOW = ("tfx.v1.extensions.google_cloud_ai_platform",)


class _LazyFinder:
    """Finds slow modules, which then wait for their first name to be asked for."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """See `importlib.abc.MetaPathFinder.find_spec`."""
        spec = importlib.machinery.PathFinder.find_spec(name, path, target) if name in _SLOW else None
        if spec and spec.loader:
            spec.loader = _LazyLoader(spec.loader)
        return spec


class _LazyLoader(importlib.abc.Loader):
    """Loads a module when a name of its own is first asked for.

    `importlib.util.LazyLoader` loads it for any attribute: Beam, which looks at all modules' `__dict__` to see how much
    it caches, would always load it.

    Args:
        loader: the module's own.
    """

    def __init__(self, loader: importlib.abc.Loader):
        self._loader = loader

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        """See `importlib.abc.Loader.create_module`."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """See `importlib.abc.Loader.exec_module`."""
        lock, loading = threading.RLock(), threading.Event()

        def load(name: str) -> Any:
            missing = AttributeError(f"module {module.__name__!r} has no attribute {name!r}")
            if name.startswith("__") and name != "__all__":
                raise missing
            with lock:  # others wait until all of it is there
                if loading.is_set():  # by itself, while it is being loaded
                    raise missing
                if vars(module).get("__getattr__") is load:
                    loading.set()
                    try:
                        self._loader.exec_module(module)
                    finally:
                        loading.clear()
                    if vars(module)["__getattr__"] is load:
                        del vars(module)["__getattr__"]
            return getattr(module, name)

        vars(module)["__getattr__"] = load


def put_off() -> None:
    """Puts them off; to be called before TFX is imported."""
    if _LazyFinder not in sys.meta_path:
        sys.meta_path.insert(0, _LazyFinder)
