"""Icons: Lucide's strokes (ISC licence, see LICENSE beside this file), tinted by the theme."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from PySide6.QtCore import QByteArray, QRectF, Qt
from PySide6.QtGui import QIcon, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

from desktop.theme import theme

FOLDER = Path(__file__).parent
STROKE = 1.7
SCALES = (1.0, 1.25, 1.5, 2.0, 3.0)


def icon(name: str, colour: str = "dim", size: int = 20) -> QIcon:
    """The icon `NAME.svg` in a theme colour ("dim", "accent") or "#RRGGBB". Ask again when the theme changes."""
    return _icon(name, _tint(colour), size)


def pixmap(name: str, colour: str = "dim", size: int = 20, scale: float = 2.0) -> QPixmap:
    """The icon as a pixmap of `size` logical px, drawn for a screen of `scale`."""
    return _drawn(_svg(name, _tint(colour)), size, scale)


@lru_cache(maxsize=512)
def _icon(name: str, tint: str, size: int) -> QIcon:
    svg, made = _svg(name, tint), QIcon()
    for scale in SCALES:
        made.addPixmap(_drawn(svg, size, scale))
    return made


def _tint(colour: str) -> str:
    return colour if colour.startswith("#") else str(getattr(theme(), colour))


def _svg(name: str, tint: str) -> bytes:
    text = (FOLDER / f"{name}.svg").read_text(encoding="utf-8")
    text = text.replace('stroke-width="2"', f'stroke-width="{STROKE}"')
    return text.replace("currentColor", tint).encode()


def _drawn(svg: bytes, size: int, scale: float) -> QPixmap:
    pixels = round(size * scale)
    drawn = QPixmap(pixels, pixels)
    drawn.fill(Qt.GlobalColor.transparent)
    painter = QPainter(drawn)
    QSvgRenderer(QByteArray(svg)).render(painter, QRectF(0, 0, pixels, pixels))
    painter.end()
    drawn.setDevicePixelRatio(scale)
    return drawn
