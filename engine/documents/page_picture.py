"""A page as it looks, for PDFs and images; other formats have no pages to look at."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WIDEST_PX, MOST_PX = 4000, 24_000_000


@dataclass(frozen=True)
class Picture:
    """PNG bytes, and the size of the page in points: what boxes are measured in."""

    png: bytes
    width: float
    height: float

    def to_json(self) -> dict[str, Any]:
        """For the pipe; `from_json` undoes it."""
        return {"png": base64.b64encode(self.png).decode("ascii"), "width": self.width, "height": self.height}

    @classmethod
    def from_json(cls, data: dict[str, Any] | None) -> Picture | None:
        """What `to_json` gave."""
        return cls(base64.b64decode(data["png"]), data["width"], data["height"]) if data else None


def drawn(path: Path, page: int, width_px: int, package: str) -> Picture | None:
    """Page `page` (from 1); None where its reader draws nothing, or there is no such page. In the reading process only.

    Raises UserError as its reader does.
    """
    from engine.documents.formats import reader_for

    draw = getattr(reader_for(path, package), "picture", None)
    picture: Picture | None = draw(path, page, width_px) if draw else None
    return picture


def fitting(width: float, height: float, width_px: int) -> tuple[int, int]:
    """(width, height) in pixels of the wanted width, smaller where the picture would be enormous."""
    scale = max(1, min(width_px, WIDEST_PX)) / width
    scale = min(scale, (MOST_PX / (width * height)) ** 0.5)
    return max(1, round(width * scale)), max(1, round(height * scale))
