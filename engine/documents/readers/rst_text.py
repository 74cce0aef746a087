"""reStructuredText: headings by their underlines, lists, directives, literal blocks, tables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from engine.documents.block import Block, Limits
from engine.documents.pdf.line_joining import joined
from engine.documents.readers.plain_text import paragraphs
from engine.documents.tables import markdown
from engine.documents.text_file import text_of

SUFFIXES = (".rst", ".rest")
LINE = re.compile(r"([=\-~^\"'`#*+.:_<>])\1{2,}\s*$")
ITEM = re.compile(r"\s*(?:[-*+•]|\(?[\da-zA-Z#]{1,3}[.)])\s+\S")
DIRECTIVE = re.compile(r"\.\. +(?:[\w:-]+::|_[^:]+:|\[)")
CODE = re.compile(r"\.\. +(?:code|code-block|sourcecode|parsed-literal|highlight|doctest|math)::")
ROLE = re.compile(r":[\w:+-]+:`([^`<]+?)(?:\s*<[^`>]*>)?`|``([^`]+)``|`([^`<]+?)(?:\s*<[^`>]*>)?`_{0,2}")
STRONG = re.compile(r"(\*\*?)(?=\S)(.+?)(?<=\S)\1")


def read(path: Path, limits: Limits) -> Iterator[Block]:
    """Blocks in order. Raises UserError as `text_of` does."""
    levels: list[str] = []
    literal = False
    for paragraph in paragraphs(text_of(path, limits)):
        lines = paragraph.split("\n")
        if literal and lines[0][:1].isspace():
            yield Block("code", paragraph)
            continue
        literal = lines[-1].endswith("::") or bool(CODE.match(lines[0]))
        yield from _blocks(lines, levels)


def _blocks(lines: list[str], levels: list[str]) -> Iterator[Block]:
    heading, rest = _heading(lines, levels)
    if heading:
        yield heading
        lines = rest
    if not lines:
        return
    if _is_table(lines):
        yield Block("table", markdown(_cells(lines)))
    elif CODE.match(lines[0]):
        yield Block("code", "\n".join(line for line in lines[1:] if not line.strip().startswith(":")))
    elif lines[0].startswith(".."):
        text = joined(line.strip() for line in lines)
        yield Block("note", _plain(DIRECTIVE.sub("", text).removeprefix("..").strip()))
    elif ITEM.match(lines[0]):
        yield from _items(lines)
    else:
        yield Block("text", _plain(joined(line.strip() for line in lines)).removesuffix("::"))


def _heading(lines: list[str], levels: list[str]) -> tuple[Block | None, list[str]]:
    """A heading that the lines begin with, and what is left of them. The order of styles makes the levels."""
    over = len(lines) > 2 and bool(LINE.match(lines[0])) and lines[0].rstrip() == lines[2].rstrip()
    text, under = (lines[1], lines[2]) if over else (lines[0], lines[1] if len(lines) > 1 else "")
    if not LINE.match(under) or LINE.match(text) or len(under.rstrip()) < len(text.strip()) // 2:
        return None, lines
    style = under[0] * (2 if over else 1)
    if style not in levels:
        levels.append(style)
    return Block("heading", _plain(text.strip()), min(6, levels.index(style) + 1)), lines[3 if over else 2 :]


def _items(lines: list[str]) -> Iterator[Block]:
    item: list[str] = []
    for line in lines:
        if ITEM.match(line) and item:
            yield Block("list", _plain(joined(item)))
            item = []
        item.append(line.strip())
    yield Block("list", _plain(joined(item)))


def _is_table(lines: list[str]) -> bool:
    return len(lines) > 2 and bool(re.match(r"\s*(\+[-=+]+\+|=+( +=+)+)\s*$", lines[0]))


def _cells(lines: list[str]) -> list[list[str]]:
    """Rows of a grid table, or of a simple one, whose columns are as wide as its rules."""
    if lines[0].strip().startswith("+"):
        rows: list[list[str]] = []
        fresh = True
        for line in lines:
            if line.strip().startswith("+"):
                fresh = True
                continue
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
            rows = [*rows, cells] if fresh else [*rows[:-1], _added(rows[-1], cells)]
            fresh = False
        return rows
    spans = [(found.start(), found.end()) for found in re.finditer(r"=+", lines[0])]
    ends = [start for start, _ in spans[1:]] + [10_000]
    body = [line for line in lines if not re.fullmatch(r"[=\- ]+", line)]
    return [[line[start:end].strip() for (start, _), end in zip(spans, ends, strict=True)] for line in body]


def _added(row: list[str], more: list[str]) -> list[str]:
    width = max(len(row), len(more))
    both = zip(row + [""] * (width - len(row)), more + [""] * (width - len(more)), strict=True)
    return [f"{one} {two}".strip() for one, two in both]


def _plain(text: str) -> str:
    text = ROLE.sub(lambda found: next(group for group in found.groups() if group), text)
    return STRONG.sub(r"\2", text)
