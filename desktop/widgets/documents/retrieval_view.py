"""Trying the search alone: which passages are found, and what each leg thinks of them."""

from __future__ import annotations

from functools import partial
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QLineEdit, QWidget

from desktop.desk import Desk
from desktop.text import error_text, tr
from desktop.widgets.documents.passages import PassageList
from desktop.widgets.grid import scrolled
from desktop.widgets.make import button, column, label, row
from engine.api.errors import UserError

TIMES = ("lexical_s", "embed_s", "dense_s", "rerank_s")


class RetrievalView(QWidget):
    """`place_wanted(hit, all hits)`."""

    place_wanted = Signal(dict, list)

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk
        self._collection = ""
        self.found: dict[str, Any] = {}
        self.query = QLineEdit(placeholderText=tr("documents.query"), clearButtonEnabled=True)
        self.query.setAccessibleName(tr("documents.query"))
        self.query.returnPressed.connect(self.search)
        self.figures, self.notes = label("", "dim", wrap=True), label("", "amber", wrap=True)
        self.problem = label("", "red", wrap=True)
        self.list = PassageList(detailed=True)
        self.list.opened.connect(lambda hit: self.place_wanted.emit(hit, self.found.get("hits", [])))
        go = button(tr("documents.search"), self.search, "main")
        hint = label(tr("documents.retrieval_hint"), "dim", wrap=True)
        inner = QWidget()
        told = column(self.figures, self.notes, self.problem, spacing=4)
        fields = row(self.query, go, grow=0)
        inner.setLayout(column(hint, fields, told, self.list, None, spacing=12, margins=(28, 4, 28, 20)))
        self.setLayout(column(scrolled(inner, tr("documents.tab_retrieval"))))
        self._clear()

    def show_collection(self, collection: dict[str, Any]) -> None:
        """Search this one from now on."""
        if collection["id"] != self._collection:
            self._collection = collection["id"]
            self._clear()

    def search(self) -> None:
        """Look for what is typed."""
        query = self.query.text().strip()
        if query and self._collection:
            params = {"collection": self._collection, "query": query}
            show = partial(self._show, self._collection)
            self._desk.client.call("docs.search", params, result=show, error=self._failed, owner=self)

    def _clear(self) -> None:
        self.found = {}
        self.list.set_hits([])
        for part in (self.figures, self.notes, self.problem):
            part.hide()

    def _show(self, collection: str, found: dict[str, Any]) -> None:
        if collection != self._collection:
            return
        self._clear()
        self.found = found
        self.list.set_hits(found["hits"])
        self._tell(self.figures, figures_words(found) if found["hits"] else tr("documents.nothing_found"))
        self._tell(self.notes, "\n".join(note_words(note) for note in found["notes"]))

    def _failed(self, error: UserError) -> None:
        self._clear()
        self._tell(self.problem, " ".join(part for part in error_text(error) if part))

    @staticmethod
    def _tell(place: Any, words: str) -> None:
        place.setText(words)
        place.setVisible(bool(words))


def figures_words(found: dict[str, Any]) -> str:
    """ "10 passages · words 3 ms · meaning 2 ms · trust: words 0.62, meaning 0.38"."""
    times = found["timings"]
    parts = [tr("documents.found_count", count=len(found["hits"]))]
    parts += [tr(f"documents.time_{name}", ms=_ms(times[name])) for name in TIMES if name in times]
    trust = [f"{tr(f'documents.leg_{name}')} {share:.2f}" for name, share in found["trust"].items()]
    if len(trust) > 1:
        parts.append(tr("documents.trust", shares=tr("documents.comma").join(trust)))
    return " · ".join(parts)


def note_words(note: dict[str, Any]) -> str:
    """What a search has to say about itself."""
    language = tr(f"documents.language_{note['language']}") if note.get("language") in ("en", "zh") else ""
    return tr(f"documents.note_{note['code']}", language=language, model=note.get("model", ""))


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f}" if seconds >= 0.01 else f"{seconds * 1000:.1f}"
