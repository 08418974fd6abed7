"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A whole table."""
    return "\n".join([head(header), *map(row, rows)])


def head(header: Sequence[str]) -> str:
    """The two lines above the rows, for a table that is printed row by row."""
    return f"{row(header)}\n{row(['---'] * len(header))}"


def row(cells: Sequence[str]) -> str:
    """One line."""
    return f"| {' | '.join(cells)} |"
