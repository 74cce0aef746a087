"""Cards in as many columns as there is room for."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFrame, QGridLayout, QScrollArea, QWidget

LEAST_WIDTH = 280


class CardGrid(QWidget):
    """Lays its cards out row by row; columns are of equal width, at least LEAST_WIDTH px."""

    def __init__(self) -> None:
        super().__init__()
        self._cards: list[QWidget] = []
        self._columns = 0
        self._box = QGridLayout(self)
        self._box.setContentsMargins(0, 0, 0, 0)
        self._box.setSpacing(14)

    def set_cards(self, cards: list[QWidget]) -> None:
        """Show exactly `cards`, in this order; the grid owns them. Those shown before and not now are hidden."""
        for card in self._cards:
            self._box.removeWidget(card)
            card.setVisible(card in cards)
        self._cards, self._columns = cards, 0
        self._arrange()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """More room, more columns."""
        self._arrange()
        super().resizeEvent(event)

    def _arrange(self) -> None:
        columns = max(1, (self.width() + 14) // (LEAST_WIDTH + 14))
        if columns == self._columns:
            return
        for column in range(max(columns, self._box.columnCount())):
            self._box.setColumnStretch(column, 1 if column < columns else 0)
        self._columns = columns
        for number, card in enumerate(self._cards):
            self._box.addWidget(card, number // columns, number % columns)
            card.show()


def scrolled(inner: QWidget, name: str) -> QScrollArea:
    """`inner` in a frameless area that scrolls up and down; `name` is for screen readers."""
    area = QScrollArea()
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setWidgetResizable(True)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setAccessibleName(name)
    area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    inner.setProperty("kind", "scrolled")
    area.setWidget(inner)
    return area
