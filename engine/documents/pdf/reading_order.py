"""The order in which the pieces of a page are read: as written, unless that jumps about."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from engine.documents.pdf.segment import Segment

DEEPEST = 24
PROSE = 20  # characters: shorter pieces side by side are cells of a table rather than columns


def in_order(segments: Sequence[Segment]) -> list[Segment]:
    """The same segments, columns one after the other."""
    if len(segments) < 3:
        return list(segments)
    if _jumps(segments) > max(1, len(segments) // 80) or _runs_across(segments):
        return _cut(list(segments), 0)
    return list(segments)


def _jumps(segments: Sequence[Segment]) -> int:
    """How often one goes back up, other than to a column further right."""
    return sum(two.bottom < one.top and two.left < one.right for one, two in pairwise(segments))


def _runs_across(segments: Sequence[Segment]) -> bool:
    """Whether two columns of prose were written line by line across both."""
    pairs = pairwise(segments)
    beside = [
        (one, two) for one, two in pairs if abs(one.middle - two.middle) < 0.5 * one.size and two.left > one.right
    ]
    prose = [(one, two) for one, two in beside if min(len(one.text), len(two.text)) >= PROSE]
    if len(prose) < 5 or len(prose) * 10 < len(beside) * 7:
        return False
    return max(one.right for one, two in prose) < min(two.left for one, two in prose)


def _cut(segments: list[Segment], depth: int) -> list[Segment]:
    """Cut at the widest gutter that runs through all, else at the gaps between lines that run through all."""
    if depth > DEEPEST or _is_column(segments):
        return _by_rows(segments)
    size = sorted(segment.size for segment in segments)[len(segments) // 2]
    left, right = _halves(segments, [(s.left, s.right) for s in segments], 0.6 * size)
    if left and right and _are_columns(left, right):
        return _cut(left, depth + 1) + _cut(right, depth + 1)
    above, below = _halves(segments, [(s.top, s.bottom) for s in segments], 0.0)
    if above and below:
        return _cut(above, depth + 1) + _cut(below, depth + 1)
    return _by_rows(segments)


def _is_column(segments: list[Segment]) -> bool:
    """Whether all stand one below the other, and so that no gutter runs between any of them: nothing is to be cut."""
    if len(segments) < 2:
        return True
    if max(segment.left for segment in segments) >= min(segment.right for segment in segments):
        return False
    return all(one.bottom <= two.top for one, two in pairwise(sorted(segments, key=lambda segment: segment.top)))


def _by_rows(segments: list[Segment]) -> list[Segment]:
    """Top to bottom; what stands on one line, left to right."""
    rows: list[list[Segment]] = []
    for segment in sorted(segments, key=lambda segment: segment.middle):
        if rows and segment.middle - rows[-1][0].middle < 0.45 * min(segment.size, rows[-1][0].size):
            rows[-1].append(segment)
        else:
            rows.append([segment])
    return [segment for row in rows for segment in sorted(row, key=lambda segment: segment.left)]


def _are_columns(left: list[Segment], right: list[Segment]) -> bool:
    return (
        len(left) > 2
        and len(right) > 2
        and all(sum(len(segment.text) for segment in side) >= PROSE * 0.6 * len(side) for side in (left, right))
    )


def _halves(
    segments: list[Segment], spans: list[tuple[float, float]], least: float
) -> tuple[list[Segment], list[Segment]]:
    """Both sides of the widest gap in the spans that is wider than `least`; two empty lists if there is none."""
    best, at, reached = least, None, float("-inf")
    for begin, end in sorted(spans):
        if begin - reached > best and reached > float("-inf"):
            best, at = begin - reached, begin
        reached = max(reached, end)
    if at is None:
        return [], []
    before = [segment for segment, span in zip(segments, spans, strict=True) if span[0] < at]
    after = [segment for segment, span in zip(segments, spans, strict=True) if span[0] >= at]
    return before, after
