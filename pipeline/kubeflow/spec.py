"""What stands where in KFP's specification (schema 2.1), as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

Json = dict[str, Any]


class Kind(NamedTuple):
    """A parameter's type: Python's of its values, and what a person calls it."""

    python: type
    meaning: str


KINDS = {
    "BOOLEAN": Kind(bool, "true or false"),
    "NUMBER_INTEGER": Kind(int, "a whole number"),
    "NUMBER_DOUBLE": Kind(float, "a number"),
    "STRING": Kind(str, "text"),
    "LIST": Kind(list, "a list"),
    "STRUCT": Kind(dict, "a mapping"),
}


def kind_of(value: Any) -> str:
    """The name of a value's type."""
    return next(name for name, kind in KINDS.items() if kind.python is type(value))


def parameters(spec: Mapping[str, Any]) -> Json:
    """The definitions of a run's parameters, by name."""
    return spec["root"].get("inputDefinitions", {}).get("parameters", {})


def values(spec: Mapping[str, Any], given: Mapping[str, Any]) -> Json:
    """The values of a run's parameters: what is given, and for the rest the defaults."""
    return {name: given.get(name, one.get("defaultValue")) for name, one in parameters(spec).items()}


def tasks(spec: Mapping[str, Any]) -> Json:
    """The tasks by name."""
    return spec["root"]["dag"]["tasks"]


def component(spec: Mapping[str, Any], task: str) -> Json:
    """The component that a task is of."""
    return spec["components"][tasks(spec)[task]["componentRef"]["name"]]


def container(spec: Mapping[str, Any], task: str) -> Json:
    """What a task runs."""
    return spec["deploymentSpec"]["executors"][component(spec, task)["executorLabel"]]["container"]


def of_place(name: str, place: int) -> str:
    """The name of an input that has what a place of the window after the first one gives, counted from 1."""
    return f"{name}_{place}"


def argument(spec: Mapping[str, Any], task: str, name: str) -> str:
    """The value of one of the arguments that a task's container is started with."""
    arguments = container(spec, task)["args"]
    return arguments[arguments.index(name) + 1]
