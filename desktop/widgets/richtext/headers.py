"""The strip above a code block: its language, and a button that copies the code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from PySide6.QtCore import QRect, Qt, QTimer
from PySide6.QtWidgets import QHBoxLayout, QLabel, QToolButton, QWidget

from desktop.widgets.richtext.colours import RichTextColours

HEIGHT = 30
COPIED_MS = 1500


class CodeHeader(QWidget):
    """One strip. The button is reached by Tab like any other."""

    def __init__(self, parent: QWidget, language: str, copy: Callable[[], None], words: tuple[str, str]) -> None:
        super().__init__(parent)
        self._words = words
        self._copy = copy
        self.language = QLabel(language)
        self.language.setObjectName("codeLanguage")
        self.button = QToolButton()
        self.button.setText(words[0])
        self.button.setObjectName("codeCopy")
        self.button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.button.setCursor(Qt.CursorShape.PointingHandCursor)
        self.button.setAccessibleName(f"{words[0]} {language}".strip())
        self.button.clicked.connect(self._clicked)
        row = QHBoxLayout(self)
        row.setContentsMargins(14, 2, 6, 0)
        row.addWidget(self.language)
        row.addStretch()
        row.addWidget(self.button)

    def _clicked(self) -> None:
        self._copy()
        self.button.setText(self._words[1])
        QTimer.singleShot(COPIED_MS, self.button, lambda: self.button.setText(self._words[0]))

    def paint_as(self, colours: RichTextColours) -> None:
        """Take over the colours."""
        self.setStyleSheet(
            f"QLabel#codeLanguage {{ color: {colours.dim}; font-size: 12px; background: transparent; }}"
            f"QToolButton#codeCopy {{ color: {colours.dim}; font-size: 12px; border: 1px solid transparent;"
            " border-radius: 6px; padding: 2px 8px; background: transparent; }"
            f"QToolButton#codeCopy:hover {{ color: {colours.text}; background: {colours.line}; }}"
            f"QToolButton#codeCopy:pressed {{ color: {colours.accent}; }}"
            f"QToolButton#codeCopy:focus {{ border-color: {colours.accent}; color: {colours.text}; }}"
        )


class CodeHeaders:
    """The strips of one view, kept where their code blocks are."""

    def __init__(self, viewport: QWidget, copy: Callable[[int], None]) -> None:
        self._viewport = viewport
        self._copy = copy
        self.words = ("Copy", "Copied")
        self.strips: dict[int, CodeHeader] = {}

    def follow(self, codes: dict[int, tuple[int, str]], colours: RichTextColours, final: int) -> None:
        """Have a strip for every code block with an id above `final`: `codes` is id -> (where it begins, language)."""
        for code in gone_from(self.strips, codes, final):
            strip = self.strips.pop(code)
            strip.hide()
            strip.deleteLater()
        for code, (_start, language) in codes.items():
            if code not in self.strips:
                strip = CodeHeader(self._viewport, language, partial(self._copy, code), self.words)
                strip.paint_as(colours)
                strip.hide()
                self.strips[code] = strip

    def place(self, code: int, rect: QRect) -> None:
        """Put a strip where its code block's head is."""
        self.strips[code].setGeometry(rect)
        self.strips[code].show()

    def clear(self) -> None:
        """Take all strips away."""
        for strip in self.strips.values():
            strip.hide()
            strip.deleteLater()
        self.strips = {}


def gone_from(kept: dict[int, Any], codes: Mapping[int, object], final: int) -> list[int]:
    """Ids above `final` that are kept but no longer there."""
    gone = []
    for code in reversed(kept):
        if code <= final:
            break
        if code not in codes:
            gone.append(code)
    return gone
