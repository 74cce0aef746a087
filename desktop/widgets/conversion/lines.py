"""Lines above the forms: what is waited for, and what went wrong."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame, QProgressBar

from desktop.text import error_text, tr
from desktop.widgets.conversion.reading import sentences
from desktop.widgets.make import button, clear, column, label, row
from engine.api.errors import UserError


class Waiting(QFrame):
    """A short question is being answered. `stopped()` when the person no longer waits for it."""

    stopped = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("kind", "card")
        self.words = label("", wrap=True)
        self._bar = QProgressBar(textVisible=False, maximum=0)
        stop = button(tr("frame.cancel"), self.stopped.emit, "small")
        self.setLayout(column(row(self.words, stop, grow=0), self._bar, margins=(18, 12, 12, 14)))
        self.hide()

    def show_words(self, words: str) -> None:
        """Say what is waited for."""
        self.words.setText(words)
        self._bar.setAccessibleName(words)
        self.show()


class Problem(QFrame):
    """An error of the page, with what can be done about it at once."""

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("kind", "problem")
        self.words, self._steps = label("", wrap=True), row()
        self.setLayout(row(self.words, self._steps, margins=(12, 8, 8, 8), grow=0))
        self.hide()

    def show_error(self, error: UserError, words: str, step: Callable[[], object] | None) -> None:
        """Say what happened; `words` on a button that does `step`."""
        self.words.setText(sentences(list(error_text(error))))
        clear(self._steps)
        if step:
            self._steps.addWidget(button(words, step, "small"))
        self._steps.addWidget(button(tr("frame.dismiss"), self.hide, "small"))
        self.show()
