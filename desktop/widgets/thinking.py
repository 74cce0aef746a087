"""The reasoning of a model, folded behind one line."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QPushButton, QWidget

from desktop.text import tr
from desktop.widgets.answer_text import answer_text, put_on_theme
from desktop.widgets.make import column, frame, row
from desktop.widgets.richtext import RichText


class ThinkingBlock(QWidget):
    """Header "Thinking…" or "Thought for 3 s"; a click unfolds the text. Text is laid out only once it is seen."""

    toggled = Signal(bool)

    def __init__(self, unfolded: bool = False) -> None:
        super().__init__()
        self._text = ""
        self._body: RichText | None = None
        self.header = QPushButton()
        self.header.setCheckable(True)
        self.header.setChecked(unfolded)
        self.header.setProperty("kind", "word")
        self.header.toggled.connect(self._fold)
        self._frame = frame("thinking")
        self._inside = column(margins=(14, 2, 0, 2))
        self._frame.setLayout(self._inside)
        self.setLayout(column(row(self.header, None), self._frame, spacing=4, margins=(0, 0, 0, 6)))
        self._frame.setVisible(unfolded)
        self.set_header(live=False, seconds=None)
        self.hide()

    def set_text(self, text: str) -> None:
        """Replace the text; an empty one hides the block."""
        self._text = text
        self.setVisible(bool(text))
        if self._body is not None:
            self._body.set_text(text)
        elif self.header.isChecked():
            self._fold(True)

    def append(self, text: str) -> None:
        """More of it arrived."""
        self._text += text
        self.setVisible(True)
        if self._body is not None:
            self._body.append(text)
        elif self.header.isChecked():
            self._fold(True)

    def set_header(self, live: bool, seconds: float | None) -> None:
        """Say whether it goes on, and how long it took where that is known."""
        if live:
            words = tr("chat.thinking")
        else:
            words = tr("chat.thought") if seconds is None else tr("chat.thought_for", s=max(1, round(seconds)))
        self.header.setText(words + (" ⌄" if self.header.isChecked() else " ›"))
        self.header.setAccessibleName(words)
        self._live, self._seconds = live, seconds

    def apply_theme(self) -> None:
        """Colours changed."""
        if self._body is not None:
            put_on_theme(self._body)

    def _fold(self, unfolded: bool) -> None:
        if unfolded and self._body is None and self._text:
            self._body = answer_text()
            self._body.set_text(self._text)
            self._inside.addWidget(self._body)
        self._frame.setVisible(unfolded)
        self.set_header(self._live, self._seconds)
        self.toggled.emit(unfolded)
