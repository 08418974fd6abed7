"""Where a run can be killed: the points at which it changes files, and what kills it at one of them.

What is here runs in the run's own process. `benchmarks.reliability` decides from outside where, and looks at what is
left.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import itertools
import os
import pathlib
import signal
from collections.abc import Callable
from typing import Any


def _half_of_tree(original: Callable, *arguments: Any, place: int) -> None:
    """Does what writes a folder, and takes half of the files away again, and half of one."""
    original(*arguments)
    files = sorted(path for path in pathlib.Path(arguments[place]).rglob("*") if path.is_file())
    for path in files[len(files) // 2 + 1 :]:
        path.unlink()
    cut = files[len(files) // 2]
    os.truncate(cut, cut.stat().st_size // 2)


def _half_of_checkpoint(original: Callable, checkpoint: Any, prefix: str) -> None:
    """Leaves what TensorFlow has written before it renames its parts."""
    original(checkpoint, prefix)
    os.remove(f"{prefix}.index")
    (data,) = pathlib.Path(prefix).parent.glob(f"{os.path.basename(prefix)}.data*")
    os.truncate(data, data.stat().st_size // 2)
    os.mkdir(f"{prefix}_temp")
    data.rename(f"{prefix}_temp/part-00000-of-00001{data.suffix}")


def _half_of_manifest(original: Callable, folder: str) -> None:
    from word2vec.training import checkpoints

    original(folder)
    path = os.path.join(folder, checkpoints.MANIFEST)
    os.truncate(path, os.stat(path).st_size // 2)


def _half_of_copy(original: Callable, source: str, target: str, **how: Any) -> None:
    original(source, target, **how)
    os.truncate(target, os.stat(target).st_size // 2)


def _half_of_removal(_: Callable, folder: str) -> None:
    files = sorted(path for path in pathlib.Path(folder).rglob("*") if path.is_file())
    for path in files[: (len(files) + 1) // 2]:
        path.unlink()


@dataclasses.dataclass(frozen=True)
class _Change:
    """A function that changes files, and what does half of its work; None where it is done at once."""

    module: str
    name: str
    half: Callable | None = None


_CHANGES = [
    _Change("tensorflow.io.gfile", "makedirs"),
    _Change("tensorflow.io.gfile", "rename"),
    _Change("tensorflow.io.gfile", "remove"),
    _Change("tensorflow.io.gfile", "rmtree", _half_of_removal),
    _Change("tensorflow.io.gfile", "copy", _half_of_copy),
    _Change("tensorflow", "train.Checkpoint.write", _half_of_checkpoint),
    _Change("os", "rename"),
    _Change("os", "replace"),
    _Change("os", "fsync"),
    _Change("word2vec.training.checkpoints", "_write_manifest", _half_of_manifest),
    _Change("word2vec.vectors", "write", functools.partial(_half_of_tree, place=0)),
    _Change("word2vec.vectors", "write_projector", functools.partial(_half_of_tree, place=0)),
    _Change("word2vec.serving_model", "ServingModel.save", functools.partial(_half_of_tree, place=1)),
    _Change("ml_metadata", "MetadataStore.put_execution"),
    _Change("ml_metadata", "MetadataStore.put_executions"),
    _Change("ml_metadata", "MetadataStore.put_artifacts"),
]

# A scope is entered with a function; its name may depend on what the function is called with.
_SCOPES: list[tuple[str, str, Callable[..., str | None]]] = [
    ("word2vec.training.checkpoints", "Checkpoints.save", lambda *_: "save"),
    ("word2vec.training.checkpoints", "remove", lambda folder: None if "/step-" in folder else "remove"),
    ("word2vec.training.job", "_export", lambda *_: "export"),
    (
        "tfx.orchestration.portable.launcher",
        "Launcher.launch",
        lambda launcher: launcher._pipeline_node.node_info.id,
    ),
]


@dataclasses.dataclass(frozen=True)
class Note:
    """Writes down at which points of which scopes a run could be killed.

    Attributes:
        path: of the file, a line per point.
    """

    path: str

    def __call__(self) -> None:
        """Sets the process up for it."""
        _watch(self._reached)

    def _reached(self, scope: str, point: str, half: Callable[[], None] | None = None) -> None:
        del half
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(f"{scope}\t{point}\n")


@dataclasses.dataclass(frozen=True)
class Kill:
    """Kills the run that calls it, later.

    Attributes:
        scope: where.
        place: at which of the scope's points.
        whole: its session with it, as a machine's end does, or the process alone, as the system does without memory.
    """

    scope: str
    place: int
    whole: bool = False
    _counter: Any = dataclasses.field(default_factory=itertools.count)

    def __call__(self) -> None:
        """Sets the process up for it."""
        _watch(self._reached)

    def _reached(self, scope: str, point: str, half: Callable[[], None] | None = None) -> None:
        del point
        if scope == self.scope and next(self._counter) == self.place:
            if half is not None:
                half()
            os.killpg(0, signal.SIGKILL) if self.whole else os.kill(os.getpid(), signal.SIGKILL)


def _watch(reached: Callable[..., None]) -> None:
    """Lets a process tell of every point: the bounds of scopes, and in them before and amid each change of files."""
    scopes: list[str] = []
    is_changing: list[bool] = []

    def scoped(original: Callable, name_of: Callable[..., str | None]) -> Callable:
        @functools.wraps(original)
        def inside(*arguments: Any, **how: Any) -> Any:
            if (name := name_of(*arguments)) is None:
                return original(*arguments, **how)
            scopes.append(name)
            try:
                reached(name, "start")
                result = original(*arguments, **how)
                reached(name, "end")
                return result
            finally:
                scopes.pop()

        return inside

    def changing(change: _Change, original: Callable) -> Callable:
        @functools.wraps(original)
        def changed(*arguments: Any, **how: Any) -> Any:
            if not scopes or is_changing:
                return original(*arguments, **how)
            is_changing.append(True)
            try:
                reached(scopes[-1], f"before {change.name}")
                if change.half is not None:
                    reached(
                        scopes[-1], f"half {change.name}", functools.partial(change.half, original, *arguments, **how)
                    )
                return original(*arguments, **how)
            finally:
                is_changing.pop()

        return changed

    for change in _CHANGES:
        _replace(change.module, change.name, functools.partial(changing, change))
    for module, name, name_of in _SCOPES:
        _replace(module, name, functools.partial(scoped, name_of=name_of))


def _replace(module: str, name: str, made_of: Callable[[Callable], Callable]) -> None:
    *owners, last = name.split(".")
    owner = functools.reduce(getattr, owners, importlib.import_module(module))
    setattr(owner, last, made_of(getattr(owner, last)))
