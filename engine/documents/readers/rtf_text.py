"""RTF files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from engine.documents.block import Block, Limits
from engine.documents.refusals import too_large, unreadable
from engine.documents.rtf.text import Rtf

SUFFIXES = (".rtf",)
SIGNATURES = (b"{\\rtf",)
FACTOR = 8  # bytes of memory that one byte takes, pictures written as digits included


def read(path: Path, limits: Limits) -> Iterator[Block]:
    """Raises UserError unreadable_document, too_large_document."""
    if path.stat().st_size > limits.memory // FACTOR:
        raise too_large(path)
    data = path.read_bytes()
    if not data.lstrip().startswith(b"{\\"):
        raise unreadable(path)
    try:
        yield from Rtf(data).blocks()
    except ValueError as error:
        raise unreadable(path) from error
