"""Markdown: headings, lists with their numbers, tables as they are, code, front matter."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.documents.block import Block, Limits
from engine.documents.pdf.line_joining import joined
from engine.documents.text_file import text_of

if TYPE_CHECKING:
    from markdown_it.token import Token

SUFFIXES = (".md", ".markdown", ".mdown", ".mkd", ".mdx", ".qmd", ".rmd")
FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.*?)\n(?:---|\.\.\.)[ \t]*\n", re.S)
TITLE = re.compile(r"^title:\s*[\"']?(.+?)[\"']?\s*$", re.M)
TAG = re.compile(r"<!--.*?-->|<[^>]{1,300}>", re.S)


def read(path: Path, limits: Limits) -> Generator[Block, None, dict[str, Any]]:
    """A block a heading, paragraph, list item, table or piece of code. Raises UserError as `text_of` does."""
    text = text_of(path, limits)
    front = FRONT_MATTER.match(text)
    title = None
    if front:
        yield Block("note", front.group(1))
        title = TITLE.search(front.group(1))
        text = text[front.end() :]
    yield from blocks_of(text)
    return {"title": title.group(1)} if title else {}


def blocks_of(text: str) -> Iterator[Block]:
    """The blocks of Markdown text."""
    from markdown_it import MarkdownIt

    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)
    lines = text.split("\n")
    marks: list[str] = []  # of the list items that are open, "" once written
    numbers: list[int] = []  # of the lists that are open, -1 for bullets
    skip_to = -1
    for at, token in enumerate(tokens):
        if at < skip_to:
            continue
        if token.type == "table_open" and token.map:
            skip_to = _closing(tokens, at)
            yield Block("table", "\n".join(line.strip() for line in lines[token.map[0] : token.map[1]] if line.strip()))
        elif token.type in ("bullet_list_open", "ordered_list_open"):
            numbers.append(int(token.attrGet("start") or 1) if token.type[0] == "o" else -1)
        elif token.type in ("bullet_list_close", "ordered_list_close"):
            numbers.pop()
        elif token.type == "list_item_open":
            marks.append(f"{numbers[-1]}. " if numbers[-1] >= 0 else "- ")
            numbers[-1] += numbers[-1] >= 0
        elif token.type == "list_item_close":
            marks.pop()
        elif token.type == "inline":
            yield _inline(tokens[at - 1], token, marks)
        elif token.type in ("fence", "code_block"):
            yield Block("code", token.content)
        elif token.type == "html_block":
            yield Block("text", TAG.sub(" ", token.content).strip())


def _inline(opening: Token, token: Token, marks: list[str]) -> Block:
    text = _plain(token)
    if opening.type == "heading_open":
        return Block("heading", text, int(opening.tag[1]))
    if not marks:
        return Block("text", text)
    mark, marks[-1] = marks[-1], ""
    return Block("list", "  " * (len(marks) - 1) + mark + text)


def _plain(token: Token) -> str:
    """The words without their marks."""
    lines = [""]
    for child in token.children or ():
        if child.type in ("softbreak", "hardbreak"):
            lines.append("")
        elif child.type == "html_inline":
            lines[-1] += " " if child.content.startswith("<br") else ""
        else:
            lines[-1] += child.content
    return joined(line.strip() for line in lines)


def _closing(tokens: list[Token], at: int) -> int:
    return next((n for n in range(at, len(tokens)) if tokens[n].type == "table_close"), len(tokens))
