"""One page of a document as a picture, the passage on it marked."""

from __future__ import annotations

import base64
from typing import Any

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPixmap
from PySide6.QtWidgets import QSizePolicy, QWidget

from desktop.text import tr

POINTS = 72.0
MARK, LINE = "#FBE3AE", "#B87514"  # on paper, which is white in every theme


class PageView(QWidget):
    """`show_page` draws a picture as wide as the widget; `first_mark` is the top of the passage in its pixels."""

    def __init__(self) -> None:
        super().__init__()
        self._picture = QPixmap()
        self._width, self._height = 1.0, 1.0  # of the page, in points
        self._boxes: list[dict[str, Any]] = []
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)

    def show_page(self, result: dict[str, Any], boxes: list[dict[str, Any]]) -> None:
        """Show what docs.page gave; `boxes` are those of this page, in points from its top left corner."""
        self._picture = QPixmap()
        self._picture.loadFromData(base64.b64decode(result["png"]))
        self._width, self._height = max(1.0, float(result["width"])), max(1.0, float(result["height"]))
        self._boxes = boxes
        self.setAccessibleName(tr("documents.page_picture", count=len(boxes)))
        self.updateGeometry()
        self.setFixedHeight(self.heightForWidth(max(1, self.width())))
        self.update()

    @property
    def first_mark(self) -> int:
        """Pixels from the top to the passage, 0 where none is marked."""
        return round(min((box["top"] for box in self._boxes), default=0.0) * self._scale)

    @property
    def marks(self) -> list[QRectF]:
        """Where the passage stands, in this widget's pixels."""
        scale = self._scale
        return [
            QRectF(
                b["left"] * scale, b["top"] * scale, (b["right"] - b["left"]) * scale, (b["bottom"] - b["top"]) * scale
            )
            for b in self._boxes
        ]

    @property
    def _scale(self) -> float:
        return self.width() / self._width

    def hasHeightForWidth(self) -> bool:
        return True

    def heightForWidth(self, width: int) -> int:
        return round(width * self._height / self._width)

    def sizeHint(self) -> QSize:
        return QSize(280, self.heightForWidth(280))

    def resizeEvent(self, event: object) -> None:
        """The page keeps its shape."""
        wanted = self.heightForWidth(max(1, self.width()))
        if self.height() != wanted and not self._picture.isNull():
            self.setFixedHeight(wanted)

    def paintEvent(self, event: QPaintEvent) -> None:
        if self._picture.isNull():
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawPixmap(self.rect(), self._picture)
        painter.setCompositionMode(QPainter.CompositionMode.CompositionMode_Multiply)
        painter.setPen(Qt.PenStyle.NoPen)
        for box in self.marks:
            painter.fillRect(box.adjusted(-2, -1, 2, 1), QColor(MARK))
            painter.fillRect(QRectF(box.left() - 2, box.bottom() + 1, box.width() + 4, 1.5), QColor(LINE))
        painter.end()
