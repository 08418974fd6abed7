"""Reads YAML as its version 1.2 means it: `no`, `on` and dates are text, `1e3` is a number, `010` is ten.

A key that is given twice is an error: else the first value would be lost without a word.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from word2vec.errors import UserError, printable, reason

# What aliases (*name) may unfold to: a few lines can stand for more than any memory holds.
_MOST_VALUES = 100_000

_RESOLVED = {
    "null": (r"~|null|Null|NULL|", "~nN"),
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "int": (r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    "float": (
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
    "merge": (r"<<", "<"),
}


def parse(text: str, origin: str) -> Any:
    """The value of a text.

    Args:
        text: one YAML document.
        origin: where it is from, for the errors.

    Raises:
        UserError: it is not YAML, gives a key twice, or unfolds to too much.
    """
    try:
        return yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        problem = getattr(error, "problem", None) or getattr(error, "reason", None)
        why = printable(problem.splitlines()[0]) if problem else reason(error)
        raise UserError(f"{origin}{_where(error, text)}: not YAML: {why}") from None
    except (ValueError, TypeError, AttributeError) as error:  # the library's own, for tags on what they do not fit
        raise UserError(f"{origin}: not YAML: {reason(error)}") from None
    except RecursionError:
        raise UserError(f"{origin}: is nested too deep") from None


def _where(error: yaml.YAMLError, text: str) -> str:
    mark = getattr(error, "problem_mark", None)
    if mark:
        return f", line {mark.line + 1}"
    position = getattr(error, "position", None)
    return "" if position is None else f", line {text.count(chr(10), 0, position) + 1}"


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}

    yaml_constructors = {
        tag: make
        for tag, make in yaml.SafeLoader.yaml_constructors.items()
        if tag is None or tag.rpartition(":")[2] in ("null", "bool", "str", "seq", "map")
    }

    def get_single_node(self) -> yaml.Node | None:
        node = super().get_single_node()
        if node is not None:
            _check(node)
        return node

    def whole_number(self, node: yaml.ScalarNode) -> int:
        text = self.construct_scalar(node)
        try:
            return int(text, 0 if text[:2] in ("0o", "0x") else 10)
        except ValueError:
            raise _wrong(node, "whole number") from None

    def number(self, node: yaml.ScalarNode) -> float:
        try:
            return float(re.sub(r"\.(?=inf|nan)", "", self.construct_scalar(node).lower()))
        except ValueError:
            raise _wrong(node, "number") from None


def _wrong(node: yaml.ScalarNode, expected: str) -> yaml.constructor.ConstructorError:
    shown = node.value if len(node.value) <= 40 else f"{node.value[:40]}… ({len(node.value)} letters)"
    return yaml.constructor.ConstructorError(problem=f"{shown!r} is no {expected}", problem_mark=node.start_mark)


def _check(root: yaml.Node) -> None:
    """Looks for keys that are given twice, and for what grows too large as aliases unfold, or never ends."""
    left, count = [root], 0
    while left:
        node, count = left.pop(), count + 1
        if count > _MOST_VALUES:
            raise yaml.constructor.ConstructorError(
                problem=f"more than {_MOST_VALUES:,} values, counted as aliases (*name) unfold",
                problem_mark=node.start_mark,
            )
        if isinstance(node, yaml.SequenceNode):
            left.extend(node.value)
        elif isinstance(node, yaml.MappingNode):
            _check_keys(node)
            left.extend(each for pair in node.value for each in pair)


def _check_keys(mapping: yaml.MappingNode) -> None:
    seen: dict[tuple[str, str], yaml.Node] = {}
    for key, _ in mapping.value:
        if not isinstance(key, yaml.ScalarNode):
            continue
        first = seen.setdefault((key.tag, key.value), key)
        if first is not key:
            raise yaml.constructor.ConstructorError(
                problem=f"{key.value} is given twice, first in line {first.start_mark.line + 1}. Remove one",
                problem_mark=key.start_mark,
            )


for _name, (_pattern, _first) in _RESOLVED.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(f"(?:{_pattern})$"), list(_first))
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile("$"), [""])
_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.whole_number)
_Loader.add_constructor("tag:yaml.org,2002:float", _Loader.number)
