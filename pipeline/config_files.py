"""Reads settings, and says what is wrong with them.

A run's settings are a preset or YAML file, with `--set key=value` on top. Whatever is wrong with them is said at once,
in one line, with the key as the user wrote it, what was expected, and the nearest key that exists.
"""

from __future__ import annotations

import difflib
import pathlib
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

import pydantic
import yaml

from pipeline import yaml_reader
from pipeline.configs import Config
from word2vec.errors import UserError, printable, reason

PRESETS = pathlib.Path(__file__).parent / "presets"

# Settings are some kilobytes; what is larger is another kind of file.
_MOST_BYTES = 1_000_000

# Of a wrong value, what is shown.
_SHOWN = 100

_TYPE_NAMES = {
    "str": "text",
    "int": "whole number",
    "float": "number",
    "Threshold": "number or {lower_bound, absolute}",
    "PhraseSettings": "{min_count, threshold, scoring, passes}",
    "SubwordSettings": "{min, max, buckets}",
    "VolumeConfig": "{claim, path}",
}


def load(source: str | None, overrides: Sequence[str] = (), values: Mapping[str, Any] | None = None) -> Config:
    """Reads a preset or YAML file, and puts overrides on top.

    Args:
        source: a preset's name or a YAML file's path; None for no file.
        overrides: `key=value` texts, keys with dots (`trainer.epochs=3`), values in YAML.
        values: further values by key with dots, already typed; the last word.

    Raises:
        UserError: a file that can't be read, an unknown key, a wrong type, an impossible value.
    """
    tree, origin = _read(source)
    for override in overrides:
        key, separator, text = override.partition("=")
        shown = _short(printable(override))
        if not separator or not all(part.strip() for part in key.split(".")):
            raise UserError(f"--set {shown}: expected key=value, as in --set trainer.epochs=3")
        _put(tree, key.strip(), yaml_reader.parse(text, f"--set {shown}"), f"--set {shown}")
    for key, value in (values or {}).items():
        _put(tree, key, value, key)
    try:
        return Config.model_validate(tree)
    except pydantic.ValidationError as error:
        raise UserError("\n".join(_explain(detail, origin) for detail in error.errors())) from None


def settings() -> Iterator[tuple[str, str, str, str]]:
    """Yields (key, type, default, meaning) for every setting, in the order of the tree."""
    yield from _settings(Config, "")


def _settings(model: type[pydantic.BaseModel], prefix: str) -> Iterator[tuple[str, str, str, str]]:
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, pydantic.BaseModel):
            yield from _settings(field.annotation, f"{prefix}{name}.")
        else:
            default = (
                "(needed)"
                if field.is_required()
                else yaml.safe_dump(field.default, default_flow_style=True, width=1000)
            )
            yield (
                f"{prefix}{name}",
                _type_name(field.annotation),
                default.replace("\n...", "").strip(),
                field.description or "",
            )


def _type_name(annotation: Any) -> str:
    if typing.get_origin(annotation) is Annotated:
        return _type_name(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) is Literal:
        return " | ".join(typing.get_args(annotation))
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return " or ".join(_type_name(part) for part in typing.get_args(annotation))
    if annotation is type(None):
        return "null"
    if arguments := typing.get_args(annotation):
        return f"{annotation.__origin__.__name__} of {' to '.join(_type_name(part) for part in arguments)}"
    return _TYPE_NAMES.get(annotation.__name__, annotation.__name__)


def _read(source: str | None) -> tuple[dict[str, Any], str]:
    if source is None:
        return {}, "the settings"
    preset = PRESETS / f"{source}.yaml"
    names = ", ".join(sorted(file.stem for file in PRESETS.glob("*.yaml")))
    try:
        path = preset if "/" not in source and preset.is_file() else pathlib.Path(source)
        with path.open("rb") as file:  # no more than that: it may be a device without end
            text = file.read(_MOST_BYTES + 1).decode("utf-8-sig")
    except (OSError, ValueError) as error:
        wrong = "not UTF-8" if isinstance(error, UnicodeDecodeError) else "not a path"
        why = reason(error, with_file=False) if isinstance(error, OSError) else wrong
        raise UserError(
            f"--config {_short(printable(source))}: {why}. Expected a preset ({names}) or a YAML file's path"
        ) from None
    if len(text) > _MOST_BYTES:
        raise UserError(f"--config {printable(source)}: is larger than {_MOST_BYTES:,} bytes, so it holds no settings")
    tree = yaml_reader.parse(text, printable(str(path)))
    if not isinstance(tree, dict):
        kind = "nothing" if tree is None else type(tree).__name__
        raise UserError(f"{printable(str(path))}: expected settings (key: value), found {kind}")
    return tree, printable(str(path))


def _put(tree: dict[str, Any], key: str, value: Any, origin: str) -> None:
    node: Any = tree
    *parents, last = key.split(".")
    for part in parents:
        if node.get(part) is None:  # or a group that is off
            node[part] = {}
        node = node[part]
        if not isinstance(node, dict):
            raise UserError(f"{origin}: {part} is no group of settings. {_nearest(key)}")
    node[last] = value


def _explain(detail: Any, origin: str) -> str:
    parts = [printable(str(part)) for part in detail["loc"] if part != "[key]"]
    key = _short(".".join(parts))
    kind, message = detail["type"], detail["msg"].removeprefix("Value error, ")
    if kind == "extra_forbidden":
        group = f" Below {parts[0].partition('.')[0]}: in a file, groups are indented." if "." in parts[0] else ""
        return f"{key}: there is no such setting.{group} {_nearest(key)}"
    if kind == "missing":
        how = "Give corpus.paths, or --corpus; builtin://wikipedia is a sample" if key == "corpus" else _meaning(key)
        return f"{key}: is needed, and {origin} does not give it. {how}".strip()
    expected = printable(message[:1].lower() + message[1:])
    given = "" if isinstance(detail["input"], (dict, pydantic.BaseModel)) else f" = {_short(repr(detail['input']))}"
    return f"{key}{given}: {expected}. {_meaning(key)}".strip()


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _nearest(key: str) -> str:
    keys = [row[0] for row in settings()]
    last = key.rsplit(".", 1)[-1]
    nearest = difflib.get_close_matches(key, keys, n=1, cutoff=0.6) or [
        candidate
        for candidate in keys
        if candidate.rsplit(".", 1)[-1] in difflib.get_close_matches(last, [k.rsplit(".", 1)[-1] for k in keys], n=1)
    ]
    return f"Did you mean {nearest[0]}? --help lists all settings" if nearest else "--help lists all settings"


def _meaning(key: str) -> str:
    for name, kind, _, meaning in settings():
        if key == name or key.startswith(f"{name}."):
            return (
                f"({name} is a {kind}: {meaning})"
                if not kind.startswith(("auto", "list", "dict"))
                else f"({name}: {kind}; {meaning})"
            )
    return ""
