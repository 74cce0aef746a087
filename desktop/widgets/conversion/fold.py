"""What few people need, behind one word."""

from __future__ import annotations

from PySide6.QtWidgets import QPushButton, QWidget

from desktop.text import tr
from desktop.widgets.make import column, row


class Fold(QWidget):
    """A word that unfolds the parts below it, by the mouse or the space bar."""

    def __init__(self, *parts: QWidget) -> None:
        super().__init__()
        self.header = QPushButton()
        self.header.setCheckable(True)
        self.header.setProperty("kind", "word")
        self.body = QWidget()
        self.box = column(*parts, spacing=12, margins=(0, 4, 0, 0))
        self.body.setLayout(self.box)
        self.setLayout(column(row(self.header, None), self.body, spacing=4))
        self.header.toggled.connect(self._fold)
        self._fold(False)

    def _fold(self, unfolded: bool) -> None:
        self.body.setVisible(unfolded)
        self.header.setText(tr("convert_page.advanced") + (" ⌄" if unfolded else " ›"))
        told = tr("convert_page.advanced_open" if unfolded else "convert_page.advanced_closed")
        self.header.setAccessibleName(f"{tr('convert_page.advanced')}, {told}")
