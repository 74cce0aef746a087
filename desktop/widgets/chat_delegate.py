"""Paints the rows of the conversation list: headings, conversations with two lines, and search hits."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QPointF, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QFont, QFontMetrics, QPainter, QPen
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem

from desktop.listmodels.chats import Roles
from desktop.theme import text_font, theme, theme_keeper

SIDE = 10
GAP = 5


def _fonts() -> tuple[QFont, QFont]:
    size = theme_keeper().font_size
    return text_font(size), text_font(size - 2)


class ChatDelegate(QStyledItemDelegate):
    """Heights follow the person's text size."""

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        first, second = (QFontMetrics(font).height() for font in _fonts())
        if index.data(Roles.kind) == "section":
            return QSize(0, second + (14 if index.row() == 0 else 24))
        lines = first + (second + GAP if index.data(Roles.second) else 0)
        return QSize(0, lines + 18)

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if index.data(Roles.kind) == "section":
            self._paint_section(painter, option, index)
        else:
            self._paint_ground(painter, option)
            self._paint_words(painter, option, index)
        painter.restore()

    @staticmethod
    def _paint_section(
        painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        painter.setFont(_fonts()[1])
        painter.setPen(theme().colour("faint"))
        place = _rect(option).adjusted(SIDE, 0, -SIDE, -6)
        painter.drawText(place, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignBottom, str(index.data()))

    @staticmethod
    def _paint_ground(painter: QPainter, option: QStyleOptionViewItem) -> None:
        state = _state(option)
        place = QRectF(_rect(option)).adjusted(0.5, 0.5, -0.5, -0.5)
        selected = bool(state & QStyle.StateFlag.State_Selected)
        if selected or state & QStyle.StateFlag.State_MouseOver:
            focused = selected and state & QStyle.StateFlag.State_HasFocus
            pen = theme().colour("accent" if focused else "line")
            painter.setPen(QPen(pen, 1) if selected else Qt.PenStyle.NoPen)
            painter.setBrush(theme().colour("surface" if selected else "hover"))
            painter.drawRoundedRect(place, 8, 8)

    def _paint_words(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        first, second = _fonts()
        place = _rect(option).adjusted(SIDE, 9, -SIDE, -9)
        if index.data(Roles.live):
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(theme().colour("accent"))
            painter.drawEllipse(QPointF(place.right() - 3, place.top() + QFontMetrics(first).height() / 2), 3.5, 3.5)
        width = place.width() - (14 if index.data(Roles.live) else 0)
        painter.setFont(first)
        painter.setPen(theme().colour("text"))
        top, align = QRect(place), Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop
        elided = QFontMetrics(first).elidedText(str(index.data()), Qt.TextElideMode.ElideRight, width)
        painter.drawText(top, align, elided)
        below = place.adjusted(0, QFontMetrics(first).height() + GAP, 0, 0)
        self._paint_second(painter, below, str(index.data(Roles.second) or ""), index.data(Roles.marks) or [], second)

    @staticmethod
    def _paint_second(painter: QPainter, place: QRect, text: str, marks: list[list[int]], font: QFont) -> None:
        """The second line, what a search found in it on an amber ground."""
        metrics = QFontMetrics(font)
        text = text.replace("\n", " ")
        painter.setFont(font)
        for start, end in marks:
            left = place.left() + metrics.horizontalAdvance(text[:start])
            width = min(metrics.horizontalAdvance(text[start:end]), place.right() - left)
            if width > 0:
                painter.fillRect(QRect(left, place.top(), width, metrics.height()), theme().colour("amber_soft"))
        painter.setPen(theme().colour("dim" if marks else "faint"))
        elided = metrics.elidedText(text, Qt.TextElideMode.ElideRight, place.width())
        painter.drawText(place, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop, elided)


def _rect(option: QStyleOptionViewItem) -> QRect:
    return option.rect


def _state(option: QStyleOptionViewItem) -> QStyle.StateFlag:
    return option.state
