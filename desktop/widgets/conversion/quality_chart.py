"""One figure of a report as bars, over all and by language, with the thresholds drawn."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QHelpEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from desktop.text import tr
from desktop.theme import text_font, theme, theme_keeper
from desktop.widgets.conversion.reading import Bar, bars, figure_text, limit_text, limits
from desktop.widgets.make import tip

LINE, THICK, AXIS = 26, 9, 20  # px: a bar's line, the bar, the thresholds' words below
COLOURS = {"good": "accent", "usable": "amber", "damaged": "red"}
FARTHEST = 3.0  # times the second threshold: what lies beyond is cut off there, its figure says how far


class QualityChart(QWidget):
    """A figure's bars. Screen readers hear every bar."""

    def __init__(self, figure: str, quality: dict[str, Any]) -> None:
        super().__init__()
        self.figure, self.bars, self.limits = figure, bars(quality, figure), limits(quality, figure)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFont(text_font(12))
        self.setAccessibleName(tr(f"quality.figure_{figure}"))
        self.setAccessibleDescription("; ".join(map(bar_words, self.bars)) + ". " + self.limit_words())
        theme_keeper().changed.connect(self.update)

    def limit_words(self) -> str:
        """What the thresholds are."""
        good, usable = (limit_text(self.figure, value) for value in self.limits)
        key = "quality.limits_top1" if self.figure == "top1" else "quality.limits"
        return tr(key, good=good, usable=usable)

    def sizeHint(self) -> QSize:
        """A line for each bar, and one for the thresholds."""
        return QSize(240, LINE * len(self.bars) + AXIS)

    minimumSizeHint = sizeHint

    def event(self, event: QEvent) -> bool:
        """The exact figures of the bar under the mouse."""
        if isinstance(event, QHelpEvent):
            line = event.pos().y() // LINE
            words = bar_words(self.bars[line]) if 0 <= line < len(self.bars) else self.limit_words()
            QToolTip.showText(event.globalPos(), tip(words), self)
            return True
        return super().event(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Labels left, figures right, bars between."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        area = self._area()
        for number, bar in enumerate(self.bars):
            self._draw_bar(painter, bar, number * LINE, area)
        self._draw_limits(painter, area)
        painter.end()

    def part(self, value: float) -> float:
        """Where a value lies between the chart's left and right end, 0 to 1."""
        first, last = self._ends()
        return min(1.0, max(0.0, (value - first) / (last - first)))

    def _ends(self) -> tuple[float, float]:
        if self.figure == "top1":
            return 0.0, 1.0
        first = 1.0 if self.figure == "ppl_ratio" else 0.0
        usable = self.limits[1] - first
        largest = max((bar.value for bar in self.bars), default=0.0) - first
        return first, first + min(max(1.25 * usable, 1.08 * largest), FARTHEST * usable)

    def _area(self) -> QRectF:
        metrics = self.fontMetrics()
        names = [metrics.horizontalAdvance(tr(f"quality.language_{bar.language}")) for bar in self.bars]
        values = [metrics.horizontalAdvance(figure_text(bar.figure, bar.value)) for bar in self.bars]
        left, right = max(names, default=0) + 12, max(values, default=0) + 12
        return QRectF(left, 0, max(20, self.width() - left - right), LINE * len(self.bars))

    def _draw_bar(self, painter: QPainter, bar: Bar, top: int, area: QRectF) -> None:
        painter.setPen(theme().colour("text" if not bar.language else "dim"))
        line = QRectF(0, top, self.width(), LINE)
        left, right = Qt.AlignmentFlag.AlignLeft, Qt.AlignmentFlag.AlignRight
        middle = Qt.AlignmentFlag.AlignVCenter
        painter.drawText(line, int(left | middle), tr(f"quality.language_{bar.language}"))
        painter.drawText(line, int(right | middle), figure_text(bar.figure, bar.value))
        ground = QRectF(area.left(), top + (LINE - THICK) / 2, area.width(), THICK)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme().colour("pressed"))
        painter.drawRoundedRect(ground, 3, 3)
        filled = QRectF(ground)
        filled.setWidth(max(3.0, self.part(bar.value) * area.width()))
        painter.setBrush(theme().colour(COLOURS[bar.grade]))
        painter.drawRoundedRect(filled, 3, 3)
        self._draw_interval(painter, bar, ground)

    def _draw_interval(self, painter: QPainter, bar: Bar, ground: QRectF) -> None:
        low, high = (ground.left() + self.part(value) * ground.width() for value in (bar.low, bar.high))
        if high - low >= 2:
            y = ground.center().y()
            painter.setPen(QPen(theme().colour("text"), 1.2))
            painter.drawLine(QPointF(low, y), QPointF(high, y))
            for x in (low, high):
                painter.drawLine(QPointF(x, y - 3), QPointF(x, y + 3))

    def _draw_limits(self, painter: QPainter, area: QRectF) -> None:
        for value, name in zip(self.limits, ("good", "usable"), strict=True):
            x = area.left() + self.part(value) * area.width()
            pen = QPen(theme().colour(COLOURS["usable" if name == "good" else "damaged"]), 1.2, Qt.PenStyle.DashLine)
            painter.setPen(pen)
            painter.drawLine(QPointF(x, 2), QPointF(x, area.bottom() + 2))
            painter.setPen(theme().colour("faint"))
            words = limit_text(self.figure, value)
            wide = self.fontMetrics().horizontalAdvance(words)
            left = min(max(area.left(), x - wide / 2), area.right() - wide)
            painter.drawText(QPointF(left, area.bottom() + AXIS - 5), words)


def bar_words(bar: Bar) -> str:
    """ "Chinese: 0.031 (95 %: 0.028 to 0.034), Good"."""
    value, low, high = (figure_text(bar.figure, number) for number in (bar.value, bar.low, bar.high))
    told = tr("quality.interval", value=value, low=low, high=high)
    words = f"{tr(f'quality.language_{bar.language}')}: {told}, {tr(f'quality.{bar.grade}')}"
    return f"{words}, {tr('quality.tokens', count=bar.tokens)}" if bar.tokens else words
