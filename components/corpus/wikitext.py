"""Wikitext to text, in time that is linear in the page, whatever it holds.

What MediaWiki would show is kept, and of what is not closed all. HTML's tags and references to characters stay:
they are the business of `word2vec.markup`.
"""

from __future__ import annotations

import re

# Elements whose content is no text.
_SILENT = (
    "ref|references|math|chem|ce|gallery|imagemap|syntaxhighlight|source|timeline|score|graph|mapframe|templatedata"
)
_ENDS = {name: re.compile(rf"</{name}[^<>]*>", re.IGNORECASE) for name in _SILENT.split("|")} | {"": re.compile("-->")}
_ELEMENT = re.compile(rf"<({_SILENT})(?:[\s/][^<>]*)?>|<!--", re.IGNORECASE)
_TEMPLATE = re.compile(r"\{\{|\}\}")
_LINK = re.compile(r"\[\[|\]\]")
_EXTERNAL = re.compile(r"\[(?:[a-z]{1,20}:)?//[^\s\[\]]*(?:[ \t]([^\[\]\n]*))?\]", re.IGNORECASE)
_BREAK = re.compile(r"<br\s{0,9}/?\s{0,9}>", re.IGNORECASE)
_SWITCH = re.compile(r"__[A-Z]{3,30}__")
_HIDDEN_LINK = re.compile(r"\s{0,9}(?:(?i:category):|[a-z]{2,3}(?:-[a-z-]{1,12})?:[^|]*$)")
_FORMAT = re.compile(r"\s{0,9}(?:(?:col|row)span|style|class|v?align|bgcolor|width|height|scope)=", re.IGNORECASE)
_CELLS = re.compile(r"\|\||!!")

# Captions of files have links; deeper ones are text.
_DEPTH = 4


def plain(text: str) -> str:
    """A page's text without templates, notes, formulas, tables' formats, and the targets of links."""
    text = _templates(_elements(text))
    text = _EXTERNAL.sub(r"\1", _links(_tables(text)))
    return _SWITCH.sub(" ", _BREAK.sub("\n", text))


def _elements(text: str) -> str:
    """Without comments, and the elements whose content is no text."""
    kept, end, endless = [], 0, set()
    for begin in _ELEMENT.finditer(text):
        name = (begin[1] or "").lower()
        if begin.start() < end or name in endless:
            continue
        close = begin if begin[0].endswith("/>") else _ENDS[name].search(text, begin.end())
        if close:
            kept.append(text[end : begin.start()])
            end = close.end()
        else:
            endless.add(name)
    return "".join([*kept, text[end:]])


def _templates(text: str) -> str:
    """Without those that are closed; an end belongs to the last beginning."""
    opened: list[int] = []
    closed: list[tuple[int, int]] = []
    for mark in _TEMPLATE.finditer(text):
        if mark[0] == "{{":
            opened.append(mark.start())
        elif opened:
            begin = opened.pop()
            while closed and closed[-1][0] > begin:
                closed.pop()
            closed.append((begin, mark.end()))
    kept, end = [], 0
    for begin, close in closed:
        kept.append(text[end:begin])
        end = close
    return "".join([*kept, text[end:]])


def _tables(text: str) -> str:
    """Tables with nothing but what stands in their cells."""
    lines, depth = [], 0
    for line in text.split("\n"):
        bare = line.lstrip(" \t:*")
        if bare.startswith("{|"):
            depth += 1
        elif bare.startswith("|}"):
            depth -= 1
            lines.append(bare[2:])
        elif depth > 0 and bare.startswith(("|", "!")):
            if not bare.startswith("|-"):
                lines.extend(_cell(cell) for cell in _CELLS.split(bare[1:].removeprefix("+")))
        else:
            lines.append(line)
    return "\n".join(lines)


def _cell(cell: str) -> str:
    """Without its format, which an equals sign tells from text."""
    form, bar, content = cell.partition("|")
    if bar:
        return content if "=" in form and "[[" not in form else cell
    return "" if _FORMAT.match(cell) else cell


def _links(text: str) -> str:
    """The texts of links, and files' captions; nothing of categories and of links to other languages."""
    levels: list[list[str]] = [[]]
    end = 0
    for mark in _LINK.finditer(text):
        levels[-1].append(text[end : mark.start()])
        end = mark.end()
        if mark[0] == "[[" and len(levels) <= _DEPTH:
            levels.append([])
        elif mark[0] == "]]" and len(levels) > 1:
            link = "".join(levels.pop())
            levels[-1].append(_shown(link))
    rest = text[end:]
    return " [[".join("".join(level) for level in levels) + rest


def _shown(link: str) -> str:
    if _HIDDEN_LINK.match(link):
        return ""
    target, *parts = link.split("|")
    return parts[-1] if len(parts) > 1 or (parts and parts[0].strip()) else target
