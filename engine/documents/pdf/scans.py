"""Pages that are pictures: told from those with text, and made pixels."""

from __future__ import annotations

import re
from typing import Any

LONGEST_PX = 2000  # side of the picture that is read: 170 dots an inch for A4
FEW = 16  # letters: a page with fewer and a picture on it is a scan
BLANK = re.compile(r"\s+")
MEANINGLESS = re.compile(r"[\x00-\x01\x03-\x1f\ufffd\ue000-\uf8ff]")
BROKEN = 0.3  # share of characters without a meaning that makes the text useless


def is_scan(page: Any, characters: str) -> bool:
    """Whether the page's text is to be read from how it looks."""
    letters = BLANK.sub("", characters)
    if len(letters) >= FEW:
        return len(MEANINGLESS.findall(letters)) > BROKEN * len(letters)
    return has_pictures(page)


def has_pictures(page: Any) -> bool:
    """Whether a picture, or drawn shapes that could be letters, stand on the page."""
    import pypdfium2.raw as pdfium

    shapes = 0
    for index in range(min(pdfium.FPDFPage_CountObjects(page), 5000)):
        kind = pdfium.FPDFPageObj_GetType(pdfium.FPDFPage_GetObject(page, index))
        shapes += kind == pdfium.FPDF_PAGEOBJ_PATH
        if kind in (pdfium.FPDF_PAGEOBJ_IMAGE, pdfium.FPDF_PAGEOBJ_FORM) or shapes > 200:
            return True
    return False


def pixels(page: Any, longest_px: int = LONGEST_PX) -> tuple[Any, float]:
    """(the page as an array height x width x 3 in blue-green-red order, points a pixel)."""
    scale = longest_px / max(page.get_size())
    bitmap = page.render(scale=scale, rev_byteorder=False)
    try:
        return bitmap.to_numpy()[:, :, :3].copy(), 1 / scale
    finally:
        bitmap.close()
