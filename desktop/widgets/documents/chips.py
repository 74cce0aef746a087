"""The documents a conversation is answered from, as chips over the field; each can be taken away."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from desktop.text import tr
from desktop.widgets.flow import Flow
from desktop.widgets.make import Picture, clear, frame, icon_button, label, row
from engine.api.messages import DocumentUse


class DocumentChips(QWidget):
    """`removed(place)`."""

    removed = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self.used: list[DocumentUse] = []
        self._flow = Flow()
        self.setLayout(self._flow)
        self.setAccessibleName(tr("documents.attach_hint"))
        self.hide()

    def set_used(self, used: list[DocumentUse]) -> None:
        """Show these."""
        if used == self.used:
            return
        self.used = list(used)
        clear(self._flow)
        for place, one in enumerate(used):
            self._flow.addWidget(self._chip(place, one))
        self.setVisible(bool(used))
        self.updateGeometry()

    def _chip(self, place: int, one: DocumentUse) -> QWidget:
        away = icon_button("x", tr("documents.detach", name=one["name"]), partial(self.removed.emit, place), size=12)
        chip = frame("documentChip")
        words = label(use_words(one))
        chip.setLayout(row(Picture("file-text", "accent", 14), words, away, margins=(9, 2, 3, 2), spacing=6))
        return chip


def use_words(one: DocumentUse) -> str:
    """ "Contracts", or "Contracts (2 files)"."""
    many = len(one["files"])
    return tr("documents.attach_some", name=one["name"], count=many) if many else one["name"]
