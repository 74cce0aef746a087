"""What a reader gives of a document: blocks in reading order, each with its place."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

Kind = Literal["heading", "text", "list", "table", "code", "caption", "header", "footer", "note"]
BETWEEN = "\n\n"  # two blocks in Document.text


@dataclass(frozen=True)
class Box:
    """A rectangle on a page, in points (1/72 inch) from the page's top left corner."""

    page: int
    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True)
class Block:
    """A paragraph, a heading (`level` 1-6), a table (Markdown, header row first), a list item with its number …

    `page` counts from 1: the page, slide or sheet, 0 where the format has none. `start` and `end` are characters in
    Document.text, set when the document is put together. `boxes`: where it stands, line by line, where that is known.
    """

    kind: Kind
    text: str
    level: int = 0
    page: int = 0
    boxes: tuple[Box, ...] = ()
    start: int = 0
    end: int = 0


@dataclass(frozen=True)
class Document:
    """A document as it was read. `text` is all blocks in order; `notes` say what could not be read."""

    text: str
    blocks: tuple[Block, ...]
    pages: int = 0
    title: str = ""
    notes: tuple[str, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """For the pipe and the database; `from_json` undoes it."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Document:
        """What `to_json` gave."""
        blocks = [Block(**{**block, "boxes": tuple(Box(**box) for box in block["boxes"])}) for block in data["blocks"]]
        return cls(data["text"], tuple(blocks), data["pages"], data["title"], tuple(data["notes"]))


@dataclass(frozen=True)
class Limits:
    """What reading one file may take: seconds, bytes of memory, pages, characters of text, bytes unpacked."""

    seconds: float = 300.0
    memory: int = 2 << 30
    pages: int = 20_000
    characters: int = 50_000_000
    unpacked: int = 2 << 30
    ocr: bool = True


def assemble(blocks: Iterable[Block], title: str = "", notes: tuple[str, ...] = ()) -> Document:
    """Put blocks together; empty ones are left out, places in the text are set."""
    placed: list[Block] = []
    at = 0
    for block in blocks:
        text = block.text.strip("\n")
        if not text.strip():
            continue
        at += len(BETWEEN) if placed else 0
        placed.append(replace(block, text=text, start=at, end=at + len(text)))
        at += len(text)
    named = title or next((block.text for block in placed if block.kind == "heading"), "")
    pages = max((block.page for block in placed), default=0)
    return Document(BETWEEN.join(block.text for block in placed), tuple(placed), pages, named[:300], notes)
