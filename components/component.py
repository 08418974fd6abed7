"""What the pipeline's own components share."""

from __future__ import annotations

from typing import Any

from tfx import types
from tfx.dsl.components.base import base_component


class Component(base_component.BaseComponent):
    """A component that takes, by keyword, what its `SPEC_CLASS` names: one channel per input, one value per parameter.

    Raises:
        TypeError: an argument is missing, or of another type than the specification says.
    """

    def __init__(self, **arguments: Any):
        outputs = {key: types.Channel(type=output.type) for key, output in self.SPEC_CLASS.OUTPUTS.items()}
        super().__init__(spec=self.SPEC_CLASS(**arguments, **outputs))
