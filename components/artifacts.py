"""What ML Metadata and the disk know of artifacts: what was made of them, and whether their files are there still.

Folders are deleted to free space, copied half, or emptied.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import Any, TypeAlias

from ml_metadata.proto import metadata_store_pb2 as mlmd

_Properties: TypeAlias = mlmd.Artifact | mlmd.Execution

# The custom property with the sizes of an artifact's files, by their paths within it, when it was published.
_FILES = "files"


def text(one: _Properties, name: str) -> str:
    """A custom property of an artifact or execution; empty if it has none.

    To look one up by its key would make one without a value, which ML Metadata dies of when it is to keep it.
    """
    return one.custom_properties[name].string_value if name in one.custom_properties else ""


def number(one: _Properties, name: str) -> int:
    """Likewise, of a whole number; 0 if it has none."""
    return one.custom_properties[name].int_value if name in one.custom_properties else 0


def take_stock(artifact: mlmd.Artifact) -> bool:
    """Notes in a property of an artifact which files it has, if that was not done before; whether it was not."""
    if _FILES in artifact.custom_properties:
        return False
    artifact.custom_properties[_FILES].string_value = json.dumps(_sizes(artifact.uri), sort_keys=True)
    return True


def damage(artifact: mlmd.Artifact, below: str = "") -> str | None:
    """What is missing of an artifact on a local file system.

    Args:
        artifact: if nobody took stock of it, it is enough that there are files.
        below: a folder within it, to look at that alone.

    Returns:
        what, for people; None if all files are there with the sizes that they had.
    """
    is_noted, there = _FILES in artifact.custom_properties, _sizes(artifact.uri)
    noted = json.loads(artifact.custom_properties[_FILES].string_value) if is_noted else {}
    wanted = {name: size for name, size in noted.items() if _is_below(name, below)}
    if is_noted and not wanted:
        return f"{below} was never there" if below else None
    if not any(_is_below(name, below) for name in there):
        if not os.path.isdir(artifact.uri):
            return "its folder is gone"
        return f"its {below} is gone" if below else "its files are gone"
    for name, size in wanted.items():
        if name not in there:
            return f"{name} is missing"
        if there[name] != size:
            return f"{name} has {there[name]:,} bytes of {size:,}"
    return None


def _is_below(name: str, folder: str) -> bool:
    return not folder or name.startswith(f"{folder}/")


def _sizes(folder: str) -> dict[str, int]:
    """In bytes, of all files of a folder, by their paths within it."""
    return {
        os.path.relpath(path, folder): os.path.getsize(path)
        for where, _, names in os.walk(folder, followlinks=True)  # large parts may have been moved to another disk
        for path in (os.path.join(where, name) for name in names)
        if os.path.isfile(path)
    }


def made_of(store: Any, sources: Iterable[int], type_name: str) -> list[int]:
    """The ids of the artifacts of a type that executions made which took one of some others.

    Args:
        store: ML Metadata's.
        sources: the others' ids.
        type_name: the type's.
    """
    taken = [event for event in store.get_events_by_artifact_ids(list(sources)) if event.type == mlmd.Event.INPUT]
    made = store.get_events_by_execution_ids({event.execution_id for event in taken}) if taken else []
    ids = [event.artifact_id for event in made if event.type == mlmd.Event.OUTPUT]
    return [artifact.id for artifact in store.get_artifacts_by_id(ids) if artifact.type == type_name] if ids else []
