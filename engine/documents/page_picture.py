"""A page as it looks, for PDFs and images; other formats have no pages to look at."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Picture:
    """PNG bytes, and the size of the page in points: what boxes are measured in."""

    png: bytes
    width: float
    height: float

    @classmethod
    def from_json(cls, data: dict[str, Any] | None) -> Picture | None:
        """What `draw` gave."""
        return cls(base64.b64decode(data["png"]), data["width"], data["height"]) if data else None


def draw(path: Path, page: int, width_px: int) -> dict[str, Any] | None:
    """{"png" base64, "width", "height"} of page `page` (from 1), None where there is nothing to draw."""
    return None
