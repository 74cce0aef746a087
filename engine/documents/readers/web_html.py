"""Web pages: headings, lists, tables and text; no scripts, no link lists for moving about."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from engine.documents.block import Block, Limits
from engine.documents.refusals import too_large
from engine.documents.web.flow import blocks_of
from engine.documents.web.parsing import page_tree

SUFFIXES = (".html", ".htm", ".xhtml", ".xht")
TREE_FACTOR = 15  # bytes of memory that one byte of HTML takes, its tree and its text together, about


def read(path: Path, limits: Limits) -> Iterator[Block]:
    """Raises UserError too_large_document."""
    if path.stat().st_size > limits.memory // TREE_FACTOR:
        raise too_large(path)
    root = page_tree(path.read_bytes())
    if root is not None:
        yield from blocks_of(root)
