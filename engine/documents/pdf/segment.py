"""A piece of one line of a page, and the rows that pieces side by side make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
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


@dataclass(frozen=True)
class Row:
    """Segments that stand side by side, left to right."""

    segments: tuple[Segment, ...]

    @property
    def left(self) -> float:
        return self.segments[0].left

    @cached_property
    def right(self) -> float:
        return max(segment.right for segment in self.segments)

    @cached_property
    def top(self) -> float:
        return min(segment.top for segment in self.segments)

    @cached_property
    def bottom(self) -> float:
        return max(segment.bottom for segment in self.segments)

    @cached_property
    def size(self) -> float:
        return max(segment.size for segment in self.segments)

    @cached_property
    def bold(self) -> bool:
        return all(segment.bold for segment in self.segments)

    @cached_property
    def text(self) -> str:
        return " ".join(segment.text for segment in self.segments)


def rows_of(segments: Sequence[Segment]) -> list[Row]:
    """Neighbours in reading order that stand on one line become one row."""
    rows: list[list[Segment]] = []
    for segment in segments:
        if rows and _beside(rows[-1][-1], segment):
            rows[-1].append(segment)
        else:
            rows.append([segment])
    return [Row(tuple(row)) for row in rows]


def _beside(one: Segment, next_one: Segment) -> bool:
    """Whether `next_one` stands to the right of `one` on the same line."""
    height = min(one.bottom - one.top, next_one.bottom - next_one.top)
    shared = min(one.bottom, next_one.bottom) - max(one.top, next_one.top)
    return next_one.left >= one.right - 0.5 * one.size and shared > 0.5 * height
