"""What stands behind and beside the text: code grounds, list markers, quote bars, rules; and formulas in the line."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QPointF, QRect, QRectF, QSizeF, Qt
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontMetricsF,
    QPainter,
    QPen,
    QPyTextObject,
    QTextBlock,
    QTextCharFormat,
    QTextCursor,
    QTextDocument,
)

from desktop.widgets.richtext.formats import CODE_FOOT, CODE_HEAD, CODE_PAD, INDENT, QUOTE, Formats, Mark
from desktop.widgets.richtext.formula import Formula, formula

AIR = 2.0  # px between a formula and the line above


class FormulaObject(QPyTextObject):
    """Draws formulas so that their baseline is the line's."""

    def __init__(self, document: QTextDocument, formats: Formats) -> None:
        super().__init__(document)
        self.formats = formats

    def _drawing(self, form: Any) -> Formula | None:
        latex, display = str(form.property(Mark.LATEX)), bool(form.property(Mark.DISPLAY))
        return formula(latex, display, self.formats.size, self.formats.colours.text)

    def _scale(self, drawing: Formula, document: QTextDocument) -> float:
        room = document.textWidth() - 2
        return min(1.0, room / drawing.width) if room > 40 else 1.0

    def _metrics(self) -> QFontMetricsF:
        font = QFont(self.formats.families)
        font.setPixelSize(round(self.formats.size))
        return QFontMetricsF(font)

    def intrinsicSize(self, doc: QTextDocument, posInDocument: int, format: Any) -> QSizeF:
        """Room for the drawing, cut so that Qt's way of setting objects brings the baselines together."""
        drawing = self._drawing(format)
        if drawing is None:
            return QSizeF(0, 0)
        scale = self._scale(drawing, doc)
        above, below = drawing.ascent * scale + AIR, (drawing.height - drawing.ascent) * scale
        if not _is_deep(format):
            return QSizeF(drawing.width * scale, above + self._metrics().descent())
        half = self._metrics().xHeight() / 2
        return QSizeF(drawing.width * scale, max(2 * above - half, 2 * below + half))

    def drawObject(
        self, painter: QPainter, rect: QRectF | QRect, doc: QTextDocument, posInDocument: int, format: Any
    ) -> None:
        """Draw with the formula's baseline on the text's."""
        drawing, rect = self._drawing(format), QRectF(rect)
        if drawing is None:
            return
        scale, metrics = self._scale(drawing, doc), self._metrics()
        deep = _is_deep(format)
        baseline = (rect.height() + metrics.xHeight() / 2) / 2 if deep else rect.height() - metrics.descent()
        top = rect.top() + baseline - drawing.ascent * scale
        drawing.renderer.render(painter, QRectF(rect.left(), top, drawing.width * scale, drawing.height * scale))


def _is_deep(form: Any) -> bool:
    """Whether Qt centres this formula half an x-height over the baseline instead of setting it on the descent."""
    return bool(form.toCharFormat().verticalAlignment() == QTextCharFormat.VerticalAlignment.AlignMiddle)


class Decorations:
    """Draws behind the blocks that are in sight."""

    def __init__(self, document: QTextDocument, formats: Formats) -> None:
        self._document = document
        self.formats = formats

    def paint(self, painter: QPainter, first: QTextBlock, clip: QRectF) -> None:
        """Draw for the blocks from `first` down to the end of `clip`, in document places."""
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        layout = self._document.documentLayout()
        block, code = first, 0
        while block.isValid():
            rect = layout.blockBoundingRect(block)
            if rect.top() > clip.bottom() + CODE_HEAD:
                return
            if not block.blockFormat().hasProperty(Mark.KIND):
                block = self._behind_table(block)
                continue
            now = int(block.blockFormat().intProperty(Mark.CODE_ID))
            if now and now != code:
                self._code(painter, self.code_rect(block, clip))
            code = now
            self._beside(painter, block, rect)
            block = block.next()

    def _behind_table(self, block: QTextBlock) -> QTextBlock:
        """The next block that may have something to be drawn; cells have not."""
        table = QTextCursor(block).currentTable()
        return self._document.findBlock(table.lastPosition() + 1) if table else block.next()

    def code_rect(self, block: QTextBlock, clip: QRectF) -> QRectF:
        """The ground of the code block that `block` is a line of, no further than a little outside `clip`."""
        layout, code = self._document.documentLayout(), block.blockFormat().intProperty(Mark.CODE_ID)
        first, last = block, block
        while _code_id(first.previous()) == code and layout.blockBoundingRect(first).top() > clip.top() - 40:
            first = first.previous()
        while _code_id(last.next()) == code and layout.blockBoundingRect(last).bottom() < clip.bottom() + 40:
            last = last.next()
        top = layout.blockBoundingRect(first).top() - (CODE_HEAD if _code_id(first.previous()) != code else 0)
        form = block.blockFormat()
        left = form.leftMargin() - CODE_PAD
        bottom = layout.blockBoundingRect(last).bottom() + CODE_FOOT
        return QRectF(left, top, self._document.textWidth() - left, bottom - top)

    def _code(self, painter: QPainter, rect: QRectF) -> None:
        painter.setPen(QPen(QColor(self.formats.colours.line), 1))
        painter.setBrush(QColor(self.formats.colours.code_background))
        painter.drawRoundedRect(rect.adjusted(0.5, 0.5, -0.5, -0.5), 8, 8)

    def _beside(self, painter: QPainter, block: QTextBlock, rect: QRectF) -> None:
        form = block.blockFormat()
        quote = form.intProperty(Mark.QUOTE)
        joined = quote and block.previous().blockFormat().intProperty(Mark.QUOTE)
        for depth in range(quote):
            top = rect.top() - (form.topMargin() if joined else 0)
            painter.fillRect(QRectF(depth * QUOTE, top, 3, rect.bottom() - top), QColor(self.formats.colours.line))
        if form.stringProperty(Mark.KIND) == "hr":
            middle = round(rect.center().y())
            painter.fillRect(QRectF(0, middle, self._document.textWidth(), 1), QColor(self.formats.colours.line))
        marker = form.stringProperty(Mark.MARKER)
        if marker and block.layout().lineCount():
            self._marker(painter, block, rect, marker)

    def _marker(self, painter: QPainter, block: QTextBlock, rect: QRectF, marker: str) -> None:
        line = block.layout().lineAt(0)
        left = block.blockFormat().leftMargin() - (CODE_PAD if _code_id(block) else 0)
        base = block.layout().position().y() + line.y() + line.ascent()
        box = QRectF(left - INDENT, base - self.formats.size, INDENT - 8, self.formats.size * 1.25)
        if marker in ("task", "done"):
            self._task(painter, QRectF(box.right() - 13, base - 11.5, 13, 13), marker == "done")
            return
        painter.setPen(QColor(self.formats.colours.dim))
        if marker == "•":
            painter.setBrush(QColor(self.formats.colours.dim))
            painter.drawEllipse(QPointF(box.right() - 4, base - self.formats.size * 0.34), 2.2, 2.2)
            return
        font = QFont(self.formats.families)
        font.setPixelSize(round(self.formats.size))
        painter.setFont(font)
        wide = QFontMetricsF(font).horizontalAdvance(marker)
        painter.drawText(QPointF(box.right() - wide, base), marker)

    def _task(self, painter: QPainter, box: QRectF, done: bool) -> None:
        accent = QColor(self.formats.colours.accent)
        painter.setPen(QPen(accent if done else QColor(self.formats.colours.dim), 1.3))
        painter.setBrush(accent if done else Qt.BrushStyle.NoBrush)
        painter.drawRoundedRect(box, 3, 3)
        if done:
            painter.setPen(QPen(QColor(self.formats.colours.surface), 1.7))
            points = [QPointF(box.left() + x, box.top() + y) for x, y in ((3, 6.8), (5.6, 9.3), (10.2, 3.8))]
            painter.drawPolyline(points)


def _code_id(block: QTextBlock) -> int:
    return block.blockFormat().intProperty(Mark.CODE_ID) if block.isValid() else -1
