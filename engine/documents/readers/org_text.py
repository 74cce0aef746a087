"""Org: headlines, lists, tables, source blocks."""

from __future__ import annotations

import re
from collections.abc import Generator
from pathlib import Path
from typing import Any

from engine.documents.block import Block, Limits
from engine.documents.pdf.line_joining import joined
from engine.documents.tables import markdown
from engine.documents.text_file import text_of

SUFFIXES = (".org",)
HEADLINE = re.compile(r"(\*+)\s+(.*?)(?:\s+:[\w@:]+:)?\s*$")
ITEM = re.compile(r"\s*(?:[-+]|\d+[.)])\s+\S")
BEGIN = re.compile(r"\s*#\+begin_(\w+)", re.I)
LINK = re.compile(r"\[\[[^\]]+\]\[([^\]]+)\]\]|\[\[([^\]]+)\]\]")


def read(path: Path, limits: Limits) -> Generator[Block, None, dict[str, Any]]:
    """Blocks in order. Raises UserError as `text_of` does."""
    title = ""
    lines: list[str] = []
    kind = ""
    for line in [*text_of(path, limits).split("\n"), ""]:
        now = "code" if kind == "code" else _kind(line)
        if kind == "code" and re.match(r"\s*#\+end_", line, re.I):
            yield Block("code", "\n".join(lines[1:]))
            lines, kind = [], ""
            continue
        if (lines and now != kind) or now in ("heading", "item"):
            if not (kind == "item" and now == "text" and line[:1].isspace()):
                yield from _block(kind, lines)
                lines = []
            else:
                now = "item"
        if line.lower().startswith("#+title:"):
            title = line[8:].strip()
        if now:
            lines.append(line)
        kind = now
    yield from _block(kind, lines)
    return {"title": title}


def _kind(line: str) -> str:
    if not line.strip():
        return ""
    if BEGIN.match(line):
        return "code"
    if line.lstrip().startswith(("#", ":")):
        return "setting"
    if HEADLINE.match(line):
        return "heading"
    if line.lstrip().startswith("|"):
        return "table"
    return "item" if ITEM.match(line) else "text"


def _block(kind: str, lines: list[str]) -> Generator[Block, None, None]:
    if not lines:
        return
    headline = HEADLINE.match(lines[0])
    text = LINK.sub(lambda found: found.group(1) or found.group(2), joined(line.strip() for line in lines))
    if kind == "heading" and headline:
        yield Block("heading", LINK.sub(r"\1\2", headline.group(2)), min(6, len(headline.group(1))))
    elif kind == "table":
        rows = [line.strip().strip("|").split("|") for line in lines if not re.match(r"\s*\|-", line)]
        yield Block("table", markdown(rows))
    elif kind == "item":
        yield Block("list", text)
    elif kind == "setting":
        yield Block("note", "\n".join(line.strip() for line in lines))
    elif kind == "code":
        yield Block("code", "\n".join(lines[1:]))
    else:
        yield Block("text", text)
