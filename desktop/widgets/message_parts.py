"""Small pieces of a message row: the branch switcher, the figures, the bubble."""

from __future__ import annotations

import math

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QFont, QResizeEvent, QTextOption, QWheelEvent
from PySide6.QtWidgets import QFrame, QLabel, QSizePolicy, QTextEdit, QWidget

from desktop.text import tr
from desktop.widgets.make import button, column, label, row


class BranchSwitcher(QWidget):
    """‹ 2 / 3 ›: which of several versions is on show. Hidden where there is only one."""

    chosen = Signal(int)  # the message id of the other version

    def __init__(self) -> None:
        super().__init__()
        self._ids: list[int] = []
        self._here = 0
        self.hide()

    def set_branches(self, ids: list[int], shown: int) -> None:
        """All versions in order, and the one on show."""
        self._ids = ids
        self._here = ids.index(shown) if shown in ids else 0
        self.setVisible(len(ids) > 1)
        if len(ids) > 1:
            self._build()
            self.label.setText(f"{self._here + 1} / {len(ids)}")
            self.label.setAccessibleName(tr("chat.branch_name", n=self._here + 1, total=len(ids)))
            self.back.setEnabled(self._here > 0)
            self.forward.setEnabled(self._here + 1 < len(ids))

    def _build(self) -> None:
        """Made when there is something to switch: most messages have no other version."""
        if self.layout() is None:
            self.back = button("‹", lambda: self._go(-1), "word", name=tr("chat.branch_back"))
            self.forward = button("›", lambda: self._go(1), "word", name=tr("chat.branch_forward"))
            self.label = label("", "dim")
            self.setLayout(row(self.back, self.label, self.forward, spacing=0))

    def _go(self, step: int) -> None:
        self.chosen.emit(self._ids[self._here + step])


class FittingLabel(QLabel):
    """Shows the longest of several wordings that fits the width it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("kind", "faint")
        self._choices = [""]
        self.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)

    def set_choices(self, choices: list[str]) -> None:
        """The wordings, longest first."""
        self._choices = choices or [""]
        self.setAccessibleName(self._choices[0])
        self._choose()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._choose()

    def _choose(self) -> None:
        width = self.fontMetrics().horizontalAdvance
        fitting = (text for text in self._choices if width(text) <= self.width())
        self.setText(next(fitting, ""))
        self.setVisible(True)


class BubbleText(QTextEdit):
    """Plain text to be read and selected; the wheel scrolls the page under it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.setReadOnly(True)
        self.setPlainText(text)

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()


class Bubble(QFrame):
    """What a person wrote, as plain text in a rounded box as narrow as the text allows."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.setProperty("kind", "bubble")
        self._fitted: tuple[int, QFont] | None = None
        self.field = BubbleText(text)
        self.field.setProperty("kind", "bare")
        self.field.setFrameShape(QFrame.Shape.NoFrame)
        self.field.setWordWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        self.field.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.field.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.field.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.field.document().setDocumentMargin(0)
        self.field.viewport().setAutoFillBackground(False)
        self.setLayout(column(self.field, margins=(16, 10, 16, 10)))

    def fit(self, width: int) -> None:
        """Take at most `width` pixels."""
        if (width, self.field.font()) == self._fitted:
            return
        self._fitted = width, self.field.font()
        room = max(24, width - 32)
        document = self.field.document()
        document.setTextWidth(room)
        inside = min(room, math.ceil(document.idealWidth()) + 1)
        document.setTextWidth(inside)
        self.field.setFixedSize(inside, math.ceil(document.size().height()))
