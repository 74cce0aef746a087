"""Image files, opened with care: one may claim to be larger than any memory."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine.documents.refusals import too_large, unreadable

MOST_PIXELS = 120_000_000
USUAL_DPI = 96.0


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """The image, its pixels not read yet. Raises UserError unreadable_document."""
    from PIL import Image, UnidentifiedImageError

    Image.MAX_IMAGE_PIXELS = MOST_PIXELS
    try:
        image = Image.open(path)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise too_large(path) from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError):
        raise unreadable(path) from None
    with image:
        yield image


def page_of(image: Any, number: int, path: Path) -> tuple[Any, float]:
    """(page `number`, from 0, upright in RGB on white; points a pixel). Raises UserError, EOFError past the last."""
    from PIL import Image, ImageOps

    image.seek(number)
    if image.width * image.height > MOST_PIXELS:
        raise too_large(path)
    try:
        upright = ImageOps.exif_transpose(image).convert("RGBA")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        raise unreadable(path) from None
    white = Image.new("RGBA", upright.size, "white")
    return Image.alpha_composite(white, upright).convert("RGB"), 72 / _dpi(image)


def png(image: Any) -> bytes:
    """A Pillow image as the bytes of a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()


def _dpi(image: Any) -> float:
    """Dots an inch as the file says, where that can be."""
    try:
        dpi = float(image.info.get("dpi", (USUAL_DPI,))[0])
    except (TypeError, ValueError, IndexError, ZeroDivisionError):
        return USUAL_DPI
    return dpi if 30 <= dpi <= 2400 else USUAL_DPI
