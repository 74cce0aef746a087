"""A piece of one line of a page, and the rows that pieces side by side make."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Segment(NamedTuple):
    """Text without a wide gap in it. Places in points from the page's top left; `size`: the font's height."""

    text: str
    left: float
    top: float
    right: float
    bottom: float
    size: float
    bold: bool

    @property
    def middle(self) -> float:
        """Half its height."""
        return (self.top + self.bottom) / 2


class Row(NamedTuple):
    """Segments that stand side by side, left to right, and what they are together: the fields of Segment, in its
    order."""

    segments: tuple[Segment, ...]
    text: str
    left: float
    top: float
    right: float
    bottom: float
    size: float
    bold: bool


def row_of(segments: Sequence[Segment]) -> Row:
    """At least one segment as a row. Most rows are of one."""
    if len(segments) == 1:
        return Row((segments[0],), *segments[0])
    return Row(
        tuple(segments),
        " ".join(segment.text for segment in segments),
        segments[0].left,
        min(segment.top for segment in segments),
        max(segment.right for segment in segments),
        max(segment.bottom for segment in segments),
        max(segment.size for segment in segments),
        all(segment.bold for segment in segments),
    )


def rows_of(segments: Sequence[Segment]) -> list[Row]:
    """Neighbours in reading order that stand on one line become one row."""
    rows: list[list[Segment]] = []
    for segment in segments:
        if rows and _beside(rows[-1][-1], segment):
            rows[-1].append(segment)
        else:
            rows.append([segment])
    return [row_of(row) for row in rows]


def _beside(one: Segment, next_one: Segment) -> bool:
    """Whether `next_one` stands to the right of `one` on the same line."""
    height = min(one.bottom - one.top, next_one.bottom - next_one.top)
    shared = min(one.bottom, next_one.bottom) - max(one.top, next_one.top)
    return next_one.left >= one.right - 0.5 * one.size and shared > 0.5 * height
