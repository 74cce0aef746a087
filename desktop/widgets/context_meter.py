"""How full the context is: a thin bar and a percentage, exact figures in the tooltip."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QFrame, QWidget

from desktop.text import tr
from desktop.theme import theme
from desktop.widgets.make import label, row

NEARLY_FULL = 0.8
HEIGHT = 32  # px, that of the model picker beside it


class Bar(QWidget):
    """A line of 92 x 5 px, part of it filled."""

    def __init__(self) -> None:
        super().__init__()
        self.share = 0.0
        self.setFixedSize(QSize(92, 5))

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme().colour("line"))
        painter.drawRoundedRect(QRectF(self.rect()), 2.5, 2.5)
        painter.setBrush(theme().colour("amber" if self.share >= NEARLY_FULL else "accent"))
        painter.drawRoundedRect(QRectF(0, 0, self.width() * min(1.0, self.share), self.height()), 2.5, 2.5)


class ContextMeter(QFrame):
    """Hidden until there is something to measure."""

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("kind", "meter")
        self.bar = Bar()
        self.words = label(tr("chat.context"), "dim")
        self.percent = label("")
        self.percent.setFixedWidth(self.fontMetrics().horizontalAdvance("100%") + 6)
        self.percent.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.setLayout(row(self.words, self.bar, self.percent, margins=(11, 0, 11, 0)))
        self.setFixedHeight(HEIGHT)
        self.hide()

    def set_used(self, used: int | None, size: int) -> None:
        """Tokens in the context and its size; None for `used` where that is not known."""
        self.setVisible(used is not None and size > 0)
        if used is None or size <= 0:
            return
        self.bar.share = used / size
        self.bar.update()
        self.percent.setText(f"{round(100 * used / size)}%")
        key = "chat.context_nearly_full" if self.bar.share >= NEARLY_FULL else "chat.context_exact"
        words = tr(key, used=f"{used:,}", size=f"{size:,}")
        self.setToolTip(words)
        self.setAccessibleName(words)

    def set_narrow(self, narrow: bool) -> None:
        """Leave the word out where there is little room."""
        self.words.setVisible(not narrow)
