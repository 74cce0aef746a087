"""Logs: lines as they are, some at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from engine.documents.block import Block, Limits
from engine.documents.text_file import text_of

SUFFIXES = (".log", ".out", ".err")
LONG = 1500  # characters of a block


def read(path: Path, limits: Limits) -> Iterator[Block]:
    """Blocks that end where an entry does: a line that begins with a blank goes on with the one before."""
    piece: list[str] = []
    length = 0
    for line in text_of(path, limits).split("\n"):
        goes_on = line[:1].isspace()
        if length + len(line) > LONG and not (goes_on and length < 4 * LONG):
            yield Block("text", "\n".join(piece))
            piece, length = [], 0
        if line.strip():
            piece.append(line.rstrip())
            length += len(line)
    yield Block("text", "\n".join(piece))
