"""Blocks as they travel from the reading process: short lists, for a long document has a box for each line."""

from __future__ import annotations

from typing import Any, cast

from engine.documents.block import Block, Box, Kind


def packed(block: Block) -> list[Any]:
    """[kind, text, level, page, [[page, left, top, right, bottom] …]] with boxes to a hundredth of a point."""
    boxes = [[box.page, *(round(x, 2) for x in (box.left, box.top, box.right, box.bottom))] for box in block.boxes]
    return [block.kind, block.text, block.level, block.page, boxes]


def unpacked(row: list[Any]) -> Block:
    """What `packed` gave."""
    kind, text, level, page, boxes = row
    return Block(cast("Kind", kind), text, level, page, tuple(Box(*box) for box in boxes))
