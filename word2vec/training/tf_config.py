"""TF_CONFIG, which says on each of several machines who trains; read without TensorFlow."""

from __future__ import annotations

import json
import os
from typing import Annotated, Literal

import pydantic

from word2vec.errors import UserError, printable

_VARIABLE = "TF_CONFIG"
_EXAMPLE = '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}'

_Kind = Literal["chief", "worker"]
_PORT = "(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9][0-9]{0,3})"
_Address = Annotated[str, pydantic.Field(pattern=rf"^[^\s/]+:{_PORT}$")]


class _Task(pydantic.BaseModel):
    type: _Kind
    index: Annotated[int, pydantic.Field(ge=0)]


class _TfConfig(pydantic.BaseModel):
    cluster: dict[str, list[_Address]]
    task: _Task


def check() -> None:
    """Looks whether TF_CONFIG says who trains.

    Raises:
        UserError: it is not set, or not of the form that TensorFlow expects.
    """
    _read()


def is_chief() -> bool:
    """Whether TF_CONFIG makes this process the one that runs the whole pipeline.

    Raises:
        UserError: as `check`.
    """
    config = _read()
    return config.task.type == "chief" or (config.task.index == 0 and not config.cluster.get("chief"))


def _read() -> _TfConfig:
    text = os.environ.get(_VARIABLE)
    expected = f"expected as in {_EXAMPLE}"
    if not text:
        raise UserError(f"trainer.strategy = multi_worker: the environment variable {_VARIABLE} is not set; {expected}")
    try:
        config = _TfConfig.model_validate(json.loads(text))
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UserError(f"{_VARIABLE} = {printable(text)}: {printable(where)}: {first['msg']}; {expected}") from None
    except (ValueError, RecursionError):
        raise UserError(f"{_VARIABLE} = {printable(text)}: {expected}") from None
    addresses = [address for kind in config.cluster.values() for address in kind]
    if config.task.index >= len(config.cluster.get(config.task.type, [])):
        raise UserError(f"{_VARIABLE}: the cluster has no {config.task.type} of index {config.task.index}; {expected}")
    if len(set(addresses)) < len(addresses):
        raise UserError(f"{_VARIABLE}: an address is given twice; {expected}")
    return config
