"""Headers and footers: what stands at the same edge on many pages, its numbers aside."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from engine.documents.block import Kind
from engine.documents.pdf.segment import Segment

EDGE = 0.11  # of the page's height
LARGE = 1.3  # times the body's size: a chapter's heading, however alike they are but for their numbers
LOOKED_AT = 4  # segments at each edge
NUMBER = re.compile(r"\d+|\b[ivxlc]+\b")
PAGE_NUMBER = re.compile(
    r"[-–—\s|]*(?:page|p\.|seite|第)?\s*\d{1,5}\s*(?:页)?\s*(?:(?:of|von|/|／|共)\s*\d{1,5}\s*页?)?[-–—\s|]*", re.I
)


class RunningLines:
    """Learns from all pages seen so far which lines run along."""

    def __init__(self) -> None:
        self._seen: Counter[tuple[str, str]] = Counter()
        self._pages = 0

    def learn(self, segments: Sequence[Segment], height: float) -> None:
        """Look at one more page."""
        self._pages += 1
        self._seen.update({key for segment in _at_edges(segments, height) if (key := _key(segment, height))})

    def kind(self, segment: Segment, height: float, body_size: float) -> Kind | None:
        """ "header" or "footer" for a line that runs along, None for the page's own and for large headings."""
        key = _key(segment, height)
        if key is None or segment.size > LARGE * body_size:
            return None
        often = self._seen[key] >= max(2, min(3, self._pages), self._pages // 5)
        if often or (PAGE_NUMBER.fullmatch(segment.text) and self._pages > 1):
            return "header" if key[0] == "top" else "footer"
        return None


def _key(segment: Segment, height: float) -> tuple[str, str] | None:
    """(edge, text without its numbers) of what stands near an edge."""
    edge = "top" if segment.bottom < EDGE * height else "bottom" if segment.top > (1 - EDGE) * height else ""
    return (edge, NUMBER.sub("#", segment.text.lower())) if edge else None


def _at_edges(segments: Sequence[Segment], height: float) -> list[Segment]:
    by_place = sorted((segment for segment in segments if _key(segment, height)), key=lambda segment: segment.top)
    return [*by_place[:LOOKED_AT], *by_place[-LOOKED_AT:]]
