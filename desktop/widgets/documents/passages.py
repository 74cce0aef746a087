"""Passages that were found: cards that open their place, and a fold that holds them under an answer."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent, QMouseEvent
from PySide6.QtWidgets import QFrame, QSizePolicy, QVBoxLayout, QWidget

from desktop.text import tr
from desktop.widgets.documents.cited_text import place_words
from desktop.widgets.make import button, clear, column, label, row

SHOWN = 180  # characters of a passage
LEGS = ("lexical", "dense", "rerank")


class PassageCard(QFrame):
    """One passage; Enter or a click opens its place. `detailed` tells what each leg of the search thought of it."""

    opened = Signal(dict)

    def __init__(self, rank: int, hit: dict[str, Any], *, detailed: bool = False) -> None:
        super().__init__()
        self.hit = hit
        self.setProperty("kind", "card")
        self.setProperty("clickable", True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setMinimumWidth(1)
        words = " ".join(hit["text"].split())
        where = label(place_words(hit), "dim", wrap=True)
        shown = label(words if len(words) <= SHOWN else f"{words[:SHOWN]}…", wrap=True)
        for part in (where, shown):
            part.setMinimumWidth(1)
        self.setAccessibleName(f"{rank}. {place_words(hit)}. {words[:SHOWN]}")
        score = label(f"{hit['score']:.2f}", "faint")
        score.setToolTip(tr("documents.score_hint"))
        number = label(f"{rank}", "badge")
        number.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        box = column(row(number, where, score, grow=1), shown, margins=(12, 8, 12, 10), spacing=4)
        if detailed:
            legs = label(legs_words(hit["legs"]), "faint", wrap=True)
            legs.setMinimumWidth(1)
            box.addWidget(legs)
        self.setLayout(box)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """A click opens the place."""
        if event.button() == Qt.MouseButton.LeftButton and self.rect().contains(event.position().toPoint()):
            self.opened.emit(self.hit)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """So does Enter, or the space bar."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space):
            self.opened.emit(self.hit)
        else:
            super().keyPressEvent(event)


class PassageList(QWidget):
    """Cards one below the other; `opened(hit)`."""

    opened = Signal(dict)

    def __init__(self, *, detailed: bool = False) -> None:
        super().__init__()
        self._detailed = detailed
        self.cards: list[PassageCard] = []
        self._box = QVBoxLayout(self)
        self._box.setContentsMargins(0, 0, 0, 0)
        self._box.setSpacing(8)

    def set_hits(self, hits: list[dict[str, Any]]) -> None:
        """Show these, best first."""
        clear(self._box)
        self.cards = [PassageCard(rank, hit, detailed=self._detailed) for rank, hit in enumerate(hits, 1)]
        for card in self.cards:
            card.opened.connect(self.opened)
            self._box.addWidget(card)


class PassageFold(QWidget):
    """ "6 passages from 2 documents": a word that unfolds the cards, which are made when they are first seen."""

    opened = Signal(dict)

    def __init__(self) -> None:
        super().__init__()
        self.hits: list[dict[str, Any]] = []
        self.word = button("", self.toggle, "word", name=tr("documents.passage"))
        self.list = PassageList()
        self.list.opened.connect(self.opened)
        self.list.hide()
        self.setLayout(column(row(self.word, None), self.list, spacing=6))
        self.hide()

    def set_hits(self, hits: list[dict[str, Any]]) -> None:
        """What was found, best first; nothing is shown for none."""
        if hits == self.hits:
            return
        self.hits = hits
        if not self.list.isHidden():
            self.list.set_hits(hits)
        self._show_word()
        self.setVisible(bool(hits))

    def toggle(self) -> None:
        """Unfold, or fold again."""
        unfolding = self.list.isHidden()
        if unfolding:
            self.list.set_hits(self.hits)
        self.list.setVisible(unfolding)
        self._show_word()

    def _show_word(self) -> None:
        files = len({hit["file"] for hit in self.hits})
        many = len(self.hits)
        key = "found_passages" if files > 1 else "found_passages_one" if many == 1 else "found_passages_file"
        words = tr(f"documents.{key}", passages=many, files=files)
        self.word.setText(f"{words} {'›' if self.list.isHidden() else '⌄'}")
        self.word.setAccessibleName(words)


def legs_words(legs: dict[str, dict[str, float]]) -> str:
    """ "Words: 1st, 12.40 · Meaning: 3rd, 0.83"."""
    told = [
        tr("documents.leg", leg=tr(f"documents.leg_{name}"), rank=round(legs[name]["rank"]), score=_score(legs[name]))
        for name in LEGS
        if name in legs
    ]
    return " · ".join(told)


def _score(leg: dict[str, float]) -> str:
    return f"{leg['score']:.3f}"
