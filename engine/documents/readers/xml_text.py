"""XML of any kind: its text in order, short values with the names they stand under."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engine.documents.block import Block, Kind, Limits
from engine.documents.office.markup import local, parsed
from engine.documents.refusals import too_large, unreadable

SUFFIXES = (".xml", ".xsd", ".xsl", ".rss", ".atom", ".opml", ".svg", ".kml", ".gpx", ".tmx", ".xlf", ".dbk")
TITLES = ("title", "head", "heading", "h1", "h2", "h3")
LONG = 1500  # characters of a block
DEEP = 200


def read(path: Path, limits: Limits) -> Iterator[Block]:
    """Blocks in document order. Raises UserError unreadable_document, too_large_document."""
    if path.stat().st_size > min(limits.unpacked, 4 * limits.characters):
        raise too_large(path)
    try:
        root = parsed(path.read_bytes())
    except (ValueError, SyntaxError):
        raise unreadable(path) from None
    yield from _blocks(root, 0)


def _blocks(element: Any, depth: int) -> Iterator[Block]:
    """A block an element that holds text of its own, or whose children hold short values."""
    if depth > DEEP or not local(element):
        return
    if (element.text or "").strip() or not len(element):
        yield _whole(element)
    elif all(not len(inner) for inner in element):
        yield from _values(element)
    else:
        yield from _attributes(element)
        for inner in element:
            yield from _blocks(inner, depth + 1)


def _whole(element: Any) -> Block:
    text = " ".join("".join(element.itertext()).split())
    kind: Kind = "heading" if local(element).lower() in TITLES and len(text) < 200 else "text"
    return Block(kind, text, 2 if kind == "heading" else 0)


def _values(element: Any) -> Iterator[Block]:
    lines: list[str] = [_attribute_line(element)]
    for inner in element:
        text = " ".join((inner.text or "").split())
        shown = " ".join(part for part in (_attribute_line(inner), text) if part)
        if shown and local(inner):
            lines.append(shown if len(text) > 200 else f"{local(inner)}: {shown}")
        if sum(map(len, lines)) > LONG:
            yield Block("text", "\n".join(filter(None, lines)))
            lines = []
    yield Block("text", "\n".join(filter(None, lines)))


def _attributes(element: Any) -> Iterator[Block]:
    line = _attribute_line(element)
    if line:
        yield Block("text", line)


def _attribute_line(element: Any) -> str:
    """Attributes that say something in words or numbers."""
    pairs = ((str(name).rpartition("}")[2], str(value).strip()) for name, value in element.attrib.items())
    return ", ".join(f"{name}: {value}" for name, value in pairs if value and len(value) < 300)
