"""Types of command-line arguments: numbers in a range, in ASCII digits, without Python's underscores."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable

_WHOLE = re.compile(r"\s*-?[0-9]{1,99}\s*", re.ASCII)
_NUMBER = re.compile(r"\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?\s*", re.ASCII | re.IGNORECASE)
_SHOWN = 40  # characters of what was given


def whole(least: int, most: int) -> Callable[[str], int]:
    """Whole numbers from `least` to `most`."""

    def read(text: str) -> int:
        value = int(text) if _WHOLE.fullmatch(text) else None
        if value is None or not least <= value <= most:
            raise _refusal("a whole number", f"{least} to {most}", text)
        return value

    return read


def number(least: float, most: float, what: str = "a number") -> Callable[[str], float]:
    """Numbers from `least` to `most`.

    Args:
        least: the smallest.
        most: the largest.
        what: they are, for the error.
    """

    def read(text: str) -> float:
        value = float(text) if _NUMBER.fullmatch(text) else math.nan
        if not least <= value <= most:
            raise _refusal(what, f"{least:g} to {most:g}", text)
        return value

    return read


def _refusal(what: str, limits: str, text: str) -> argparse.ArgumentTypeError:
    shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    return argparse.ArgumentTypeError(f"expected {what} from {limits}, got {shown!r}")
