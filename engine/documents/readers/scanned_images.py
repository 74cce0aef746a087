"""Pictures of text: photographs, scans, screenshots, faxes of several pages; read by OCR."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

from engine.documents.block import Block, Limits
from engine.documents.page_picture import Picture, fitting
from engine.documents.picture_files import opened, page_of, png
from engine.documents.refusals import too_large

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".gif")
SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"GIF87a", b"GIF89a")
STRIP_PX = 1800  # longer pictures are read in strips, for the reader makes every picture at most 2,000 pixels long


def read(path: Path, limits: Limits) -> Generator[Block, None, dict[str, Any]]:
    """Blocks with the boxes of their lines. Raises UserError unreadable_document, too_large_document."""
    with opened(path) as image:
        pages = 1 if image.format == "GIF" else getattr(image, "n_frames", 1)
        if pages > limits.pages:
            raise too_large(path)
        if not limits.ocr:
            page_of(image, 0, path)
            return {"notes": [f"Pages that are pictures, not read: {pages}."]}
        for number in range(pages):
            yield from _page(*page_of(image, number, path), number + 1)
    return {}


def picture(path: Path, page: int, width_px: int) -> Picture | None:
    """The page as PNG; None for a page that is not there."""
    with opened(path) as image:
        if not 1 <= page <= getattr(image, "n_frames", 1):
            return None
        shown, points = page_of(image, page - 1, path)
        width, height = fitting(shown.width, shown.height, width_px)
        return Picture(png(shown.resize((width, height))), shown.width * points, shown.height * points)


def _page(image: Any, points: float, number: int) -> Iterator[Block]:
    from engine.documents.ocr import body_of, segments_of
    from engine.documents.pdf.paragraphs import page_blocks
    from engine.documents.pdf.reading_order import in_order

    found = []
    for top, strip in _strips(image):
        down = top * points
        found += [s._replace(top=s.top + down, bottom=s.bottom + down) for s in segments_of(strip, points)]
    yield from page_blocks(in_order(found), number, body_of(found))


def _strips(image: Any) -> Iterator[tuple[int, Any]]:
    """(its first row, the pixels) of strips that end between two lines of text."""
    import numpy

    pixels = numpy.asarray(image)[:, :, ::-1]
    top = 0
    while pixels.shape[0] - top > STRIP_PX * 1.2 and pixels.shape[0] > 2 * pixels.shape[1]:
        looked_at = pixels[top + STRIP_PX - 200 : top + STRIP_PX]
        cut = top + STRIP_PX - 200 + int(looked_at.std(axis=(1, 2)).argmin())
        yield top, pixels[top:cut]
        top = cut
    yield top, pixels[top:]
