"""Plain text in any encoding: paragraphs at blank lines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from engine.documents.block import Block, Limits
from engine.documents.text_file import text_of

SUFFIXES = (".txt", ".text", ".asc", ".readme", ".nfo")


def read(path: Path, limits: Limits) -> Iterator[Block]:
    """A block a paragraph. Raises UserError unsupported_document for what is no text, too_large_document."""
    for paragraph in paragraphs(text_of(path, limits)):
        yield Block("text", paragraph)


def paragraphs(text: str) -> Iterator[str]:
    """Runs of lines between blank ones."""
    lines: list[str] = []
    for line in text.splitlines():
        if line.strip():
            lines.append(line.rstrip())
        elif lines:
            yield "\n".join(lines)
            lines = []
    if lines:
        yield "\n".join(lines)
