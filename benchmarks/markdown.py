"""Pages and tables in Markdown."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

_WIDTH = 120


def page(parts: Iterable[str]) -> str:
    """A whole page.

    Args:
        parts: paragraphs, which are filled, and headings, tables and pictures, which stay as they are.
    """
    return "\n\n".join(part if part.startswith(("#", "|", "!")) else _filled(part) for part in parts) + "\n"


def _filled(paragraph: str) -> str:
    return textwrap.fill(paragraph, _WIDTH, break_long_words=False, break_on_hyphens=False)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A whole table."""
    return "\n".join([head(header), *map(row, rows)])


def head(header: Sequence[str]) -> str:
    """The two lines above the rows, for a table that is printed row by row."""
    return f"{row(header)}\n{row(['---'] * len(header))}"


def row(cells: Sequence[str]) -> str:
    """One line."""
    return f"| {' | '.join(cells)} |"
