"""What outlives a task: the object store, what ML Metadata keeps of artifacts, and KFP's cache."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import pathlib
import shutil
from collections.abc import Mapping
from typing import Any

from pipeline.kubeflow.spec import Json
from word2vec import whole_files
from word2vec.errors import UserError


@dataclasses.dataclass
class Execution:
    """What a task put out: artifacts' ids and parameters' values, by name."""

    artifacts: dict[str, int]
    parameters: dict[str, Any]


class Store:
    """On disk, so that a later rehearsal in the same folder finds what an earlier one made.

    Args:
        folder: where it is; made if it is not there.

    Raises:
        UserError: what an earlier rehearsal kept there is damaged.
    """

    def __init__(self, folder: pathlib.Path):
        self._objects, self._file = folder / "store", folder / "metadata.json"
        known = _read(self._file)
        self._artifacts: list[Json] = known.get("artifacts", [])
        self._cache: dict[str, Json] = known.get("cache", {})

    def at(self, uri: str) -> pathlib.Path:
        """Where the objects of a URI are."""
        return self._objects / uri.replace("://", "/")

    def download(self, uri: str, to: pathlib.Path) -> None:
        """Copies all objects below a URI; an object store has no folders, so that empty ones are not there."""
        _copy_files(self.at(uri), to)

    def upload(self, source: pathlib.Path, uri: str) -> None:
        """Copies a file, or all files below a folder."""
        _copy_files(source, self.at(uri))

    def record(self, name: str, uri: str, metadata: Mapping[str, Any]) -> int:
        """Keeps an artifact as ML Metadata does; returns its id."""
        kept = {key: _as_property(value) for key, value in metadata.items()}
        kept.setdefault("display_name", name)
        kept.setdefault("store_session_info", json.dumps({"Provider": "minio", "Params": {"fromEnv": "false"}}))
        self._artifacts.append({"uri": uri, "metadata": kept})
        return len(self._artifacts)

    def artifact(self, number: int) -> Json:
        """A `RuntimeArtifact` for the inputs of a task: its name is its id, and its type is lost."""
        return {"name": str(number), "type": {"instanceSchema": ""}, **self._artifacts[number - 1]}

    def cached(self, key: str) -> Execution | None:
        """What a task with this key put out."""
        return Execution(**self._cache[key]) if key in self._cache else None

    def remember(self, key: str, execution: Execution) -> None:
        """Lets the cache answer the next task with this key."""
        self._cache[key] = dataclasses.asdict(execution)

    def save(self) -> None:
        """Writes the metadata to disk."""
        whole_files.write_text(self._file, json.dumps({"artifacts": self._artifacts, "cache": self._cache}))


def _read(file: pathlib.Path) -> Json:
    """The metadata that was written; empty where there is none."""
    try:
        known = json.loads(file.read_bytes()) if file.exists() else {}
    except ValueError:
        known = None
    if not isinstance(known, dict):
        raise UserError(
            f"{file}: expected the metadata of an earlier rehearsal, in JSON. Without it nothing in its folder can be "
            "used: remove the folder, or rehearse in another one"
        )
    return known


def cache_key(executor_input: Json, container: Json, output_types: Mapping[str, str], claims: list[str]) -> str:
    """The key of a task, which holds what KFP's does.

    That is: of input artifacts the names, which are their ids; of input parameters the values; of outputs all but their
    places; the image, the command with its arguments as they stand in the specification, and the volumes' claims. Not
    in it are the environment, the resources, and which task it is.

    Args:
        executor_input: the `ExecutorInput`.
        container: of the specification.
        output_types: of the output parameters, by name.
        claims: of the volumes.
    """
    inputs, outputs = executor_input["inputs"], executor_input["outputs"]
    known = {
        "inputs": {
            name: [one["name"] for one in artifact_list["artifacts"]]
            for name, artifact_list in inputs["artifacts"].items()
        },
        "parameters": inputs["parameterValues"],
        "outputs": {
            name: {key: value for key, value in artifact_list["artifacts"][0].items() if key != "uri"}
            for name, artifact_list in outputs["artifacts"].items()
        },
        "output parameters": {name: output_types[name] for name in outputs["parameters"]},
        "image": container["image"],
        "command": [*container.get("command", []), *container.get("args", [])],
        "claims": sorted(set(claims)),
    }
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()


def _as_property(value: Any) -> Any:
    """A value as it comes back from ML Metadata, whose properties are numbers, texts and mappings only."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, list):
        return {"list": value}
    return {"struct": value} if isinstance(value, dict) else value


def _copy_files(source: pathlib.Path, target: pathlib.Path) -> None:
    """By links where they can be made, which cost nothing: neither side changes a file in place."""
    if source.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        _link(source, target)
    for path in source.rglob("*") if source.is_dir() else ():
        if path.is_file():
            into = target / path.relative_to(source)
            into.parent.mkdir(parents=True, exist_ok=True)
            _link(path, into)


def _link(source: pathlib.Path, target: pathlib.Path) -> None:
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
