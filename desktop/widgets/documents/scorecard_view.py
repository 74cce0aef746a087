"""How well a collection answers questions whose answers are known: a set from a file or made here, figures, rows."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFileDialog,
    QHeaderView,
    QProgressBar,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)

from desktop.desk import Desk
from desktop.docs_commands.score import read_rows
from desktop.text import duration_text, error_text, tr
from desktop.widgets.flow import Flow
from desktop.widgets.grid import scrolled
from desktop.widgets.make import button, clear, column, frame, label, row, tip
from engine.api.errors import UserError

SHARES = ("recall_1", "recall_5", "recall_10", "contained", "cited", "answered", "refused")
MADE = 12  # questions made at a time
COLUMNS = ("question", "text", "rank", "contained", "cited", "seconds")


class ScorecardView(QWidget):
    """Questions are kept until the window is closed."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk
        self._collection = ""
        self._call: int | None = None
        self.questions: list[dict[str, Any]] = []
        self.loaded = label("", "dim", wrap=True)
        self.problem = label("", "red", wrap=True)
        self.bar = QProgressBar(textVisible=False)
        self.progress = label("", "dim")
        self.card = frame("card")
        self._figures = Flow(spacing=24)
        self.table = QTableWidget(0, len(COLUMNS))
        self._build()
        self._show_state()

    def show_collection(self, collection: dict[str, Any]) -> None:
        """Measure this one from now on."""
        if collection["id"] != self._collection:
            self.stop()
            self._collection = collection["id"]
            self.questions = []
            for part in (self.card, self.table, self.problem):
                part.hide()
            self._show_state()

    def choose_file(self) -> None:
        """Let the person choose a set of questions."""
        dialog = QFileDialog(self, tr("documents.load_questions"), "", "JSONL (*.jsonl *.json)")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.fileSelected.connect(self.load)
        dialog.open()

    def load(self, path: str) -> None:
        """Take the questions of a file."""
        try:
            self.questions = read_rows(Path(path))
        except UserError as error:
            self._failed(error)
            return
        self.problem.hide()
        self._show_state()

    def make(self) -> None:
        """Have questions made of the collection's own passages."""
        self._begin("docs.questions", {"count": MADE}, self._made)

    def run(self) -> None:
        """Ask them all."""
        if self.questions:
            self._begin("docs.score", {"questions": self.questions}, self._scored)

    def stop(self) -> None:
        """End what goes on."""
        if self._call is not None:
            self._desk.client.cancel(self._call)

    def _build(self) -> None:
        self.load_button = button(tr("documents.load_questions"), self.choose_file)
        self.make_button = button(tr("documents.make_questions"), self.make)
        self.run_button = button(tr("documents.run_questions"), self.run, "main")
        self.stop_button = button(tr("chat.stop"), self.stop)
        self.card.setLayout(column(self._figures, margins=(18, 14, 18, 14)))
        self.table.setHorizontalHeaderLabels([tr(f"documents.score_{name}") for name in COLUMNS])
        self.table.setFixedHeight(300)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setAccessibleName(tr("documents.score_rows"))
        self.table.setShowGrid(False)
        self.table.setTabKeyNavigation(False)
        self.table.verticalHeader().hide()
        header = self.table.horizontalHeader()
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        for wide in (0, 1):
            header.setSectionResizeMode(wide, QHeaderView.ResizeMode.Stretch)
        hint = label(tr("documents.scorecard_hint"), "dim", wrap=True)
        buttons = Flow(self.run_button, self.load_button, self.make_button, self.stop_button)
        waiting = row(self.bar, self.progress, grow=0, spacing=12)
        parts = (hint, self.loaded, buttons, waiting, self.problem, self.card, self.table)
        inner = QWidget()
        inner.setLayout(column(*parts, None, spacing=12, margins=(28, 4, 28, 20)))
        self.setLayout(column(scrolled(inner, tr("documents.tab_scorecard"))))
        for part in (self.problem, self.card, self.table):
            part.hide()

    def _begin(self, name: str, params: dict[str, Any], done: Any) -> None:
        if self._call is None and self._collection:
            self.problem.hide()
            self._step({"done": 0, "total": params.get("count") or len(self.questions)})
            params = {"collection": self._collection, **params}
            took = partial(self._ended, done, self._collection)
            self._call = self._desk.client.call(
                name, params, result=took, error=self._failed, event=self._event, owner=self
            )
            self._show_state()

    def _event(self, event: dict[str, Any]) -> None:
        if event.get("event") == "step":
            self._step(event)

    def _step(self, event: dict[str, Any]) -> None:
        self.bar.setMaximum(max(1, event["total"]))
        self.bar.setValue(event["done"])
        self.progress.setText(f"{event['done']} / {event['total']}")
        self.bar.setAccessibleName(self.progress.text())

    def _ended(self, done: Any, collection: str, result: dict[str, Any]) -> None:
        self._call = None
        if collection == self._collection:
            done(result)
        self._show_state()

    def _failed(self, error: UserError) -> None:
        self._call = None
        stopped = error.code == "cancelled"
        words = tr("documents.stopped") if stopped else " ".join(part for part in error_text(error) if part)
        self._tell_problem(words)
        self._show_state()

    def _tell_problem(self, words: str) -> None:
        self.problem.setText(words)
        self.problem.show()

    def _made(self, result: dict[str, Any]) -> None:
        self.questions = result["questions"]
        if not self.questions:
            self._tell_problem(tr("documents.questions_not_made"))

    def _scored(self, result: dict[str, Any]) -> None:
        clear(self._figures)
        card = result["card"]
        for name in SHARES:
            if card[name] is not None:
                self._figures.addWidget(_figure(f"{card[name]:.0%}", tr(f"documents.share_{name}")))
        if card["seconds"] is not None:
            self._figures.addWidget(_figure(duration_text(card["seconds"]), tr("documents.share_seconds")))
        self.card.show()
        self.table.setRowCount(len(result["rows"]))
        for number, shown in enumerate(result["rows"]):
            for place, name in enumerate(COLUMNS):
                self.table.setItem(number, place, _cell(shown, name))
        self.table.show()

    def _show_state(self) -> None:
        running, many = self._call is not None, len(self.questions)
        words = tr("documents.questions_none") if not many else tr("documents.questions_ready", count=many)
        self.loaded.setText(words)
        for part in (self.bar, self.progress, self.stop_button):
            part.setVisible(running)
        for part in (self.load_button, self.make_button):
            part.setEnabled(not running)
        self.run_button.setEnabled(bool(many) and not running)


def _figure(value: str, caption: str) -> QWidget:
    made = QWidget()
    made.setLayout(column(label(value, "title"), label(caption, "dim"), spacing=0))
    return made


def _cell(shown: dict[str, Any], name: str) -> QTableWidgetItem:
    item = QTableWidgetItem(_cell_words(shown, name))
    item.setToolTip(tip(str(shown["text"] if name == "text" else shown["question"])))
    return item


def _cell_words(shown: dict[str, Any], name: str) -> str:
    value = shown[name]
    if name == "text":
        return tr("documents.score_refused") if shown["refused"] else " ".join(str(value).split())
    if name == "seconds":
        return f"{value:.1f}"
    if value is None:
        return "–"
    if isinstance(value, bool):
        return tr("documents.yes" if value else "documents.no")
    return str(value) if name != "rank" or value else "–"
