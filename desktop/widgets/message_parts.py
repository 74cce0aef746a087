"""Small pieces of a message row: the branch switcher, the figures, the bubble."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFrame, QLabel, QSizePolicy, QWidget

from desktop.text import tr
from desktop.widgets.make import button, column, label, row


class BranchSwitcher(QWidget):
    """‹ 2 / 3 ›: which of several versions is on show. Hidden where there is only one."""

    chosen = Signal(int)  # the message id of the other version

    def __init__(self) -> None:
        super().__init__()
        self._ids: list[int] = []
        self._here = 0
        self.back = button("‹", lambda: self._go(-1), "word", name=tr("chat.branch_back"))
        self.forward = button("›", lambda: self._go(1), "word", name=tr("chat.branch_forward"))
        self.label = label("", "dim")
        self.setLayout(row(self.back, self.label, self.forward, spacing=0))
        self.hide()

    def set_branches(self, ids: list[int], shown: int) -> None:
        """All versions in order, and the one on show."""
        self._ids = ids
        self._here = ids.index(shown) if shown in ids else 0
        self.label.setText(f"{self._here + 1} / {len(ids)}")
        self.label.setAccessibleName(tr("chat.branch_name", n=self._here + 1, total=len(ids)))
        self.back.setEnabled(self._here > 0)
        self.forward.setEnabled(self._here + 1 < len(ids))
        self.setVisible(len(ids) > 1)

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


class Bubble(QFrame):
    """What a person wrote, as plain text in a rounded box as narrow as the text allows."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.setProperty("kind", "bubble")
        self.label = QLabel(text, textFormat=Qt.TextFormat.PlainText, wordWrap=True)
        flags = Qt.TextInteractionFlag
        self.label.setTextInteractionFlags(flags.TextSelectableByMouse | flags.TextSelectableByKeyboard)
        self.label.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.setLayout(column(self.label, margins=(16, 10, 16, 10)))

    def fit(self, width: int) -> None:
        """Take at most `width` pixels."""
        lines = self.label.text().split("\n")
        metrics = self.label.fontMetrics()
        # A very long line is wider than any window: no need to measure all of it.
        natural = max(metrics.horizontalAdvance(line[:400]) for line in lines) + 4
        inside = max(24, min(natural, width - 32))
        if inside != self.label.width() or not self.label.minimumWidth():
            self.label.setFixedWidth(inside)
            self.label.setFixedHeight(max(metrics.height(), self.label.heightForWidth(inside)))
        self.updateGeometry()

    def sizeHint(self) -> QSize:
        return QSize(self.label.width() + 32, self.label.height() + 20)
