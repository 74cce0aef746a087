"""Asking a collection: the questions so far, and a field for the next one."""

from __future__ import annotations

from functools import partial
from typing import Any

from PySide6.QtCore import QEvent, QObject, QTimer, Signal
from PySide6.QtWidgets import QFrame, QVBoxLayout, QWidget

from desktop.desk import Desk
from desktop.text import tr
from desktop.theme import theme_keeper
from desktop.widgets.composer import ComposerText
from desktop.widgets.documents.asked import AskedQuestion
from desktop.widgets.grid import scrolled
from desktop.widgets.make import button, clear, column, frame, label, restyle, row
from desktop.widgets.message_view import side_margin
from engine.api.errors import UserError

EARLIER = 4  # questions and answers that a follow-up may refer to
AT_END = 24  # px from the end that still count as being there
Talk = list[tuple[str, dict[str, Any]]]  # what was asked, and docs.ask's result


class AskView(QWidget):
    """`place_wanted(place, among)`. What was asked is kept for each collection until the window is closed."""

    place_wanted = Signal(dict, list)

    def __init__(self, desk: Desk, talks: dict[str, Talk]) -> None:
        super().__init__()
        self._desk = desk
        self.talks = talks
        self.collection = ""
        self.asked: list[AskedQuestion] = []
        self._call: int | None = None
        self._following = True
        self.field = ComposerText()
        self.empty = label(tr("documents.ask_empty"), "dim", wrap=True)
        self._build()
        self.field.submitted.connect(self._submit)
        self.field.cancelled.connect(self.stop)
        self.field.textChanged.connect(self._show_buttons)
        self.field.focus_changed.connect(lambda focused: restyle(self._frame, "focused", focused))
        theme_keeper().changed.connect(self._themed)
        self._show_buttons()

    def show_collection(self, row_shown: dict[str, Any]) -> None:
        """Ask this collection from now on."""
        self._answerable = bool(row_shown["indexed"])
        if row_shown["id"] != self.collection:
            self.stop()
            self.collection = row_shown["id"]
            self.show_talk()
        self.field.setPlaceholderText(tr("documents.ask_field", name=row_shown["name"]))
        self._show_buttons()

    def ask(self, question: str) -> None:
        """Ask a question in the collection on show."""
        if self._call is not None or not question.strip():
            return
        asked = self._add(question.strip())
        history = self._history()
        params = {"collection": self.collection, "question": question.strip(), "history": history}
        self._call = self._desk.client.call(
            "docs.ask",
            params,
            event=asked.take_event,
            result=partial(self._answered, asked, self.collection),
            error=partial(self._failed, asked),
            owner=asked,
        )
        self._following = True
        self._show_buttons()

    def stop(self) -> None:
        """End the answer being written."""
        if self._call is not None:
            self._desk.client.cancel(self._call)

    def begin_anew(self) -> None:
        """Forget what was asked here: the next question stands for itself."""
        self.stop()
        self.talks.pop(self.collection, None)
        self.show_talk()
        self.field.setFocus()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Questions and field keep to one column."""
        if watched is self._area.viewport() and event.type() == QEvent.Type.Resize:
            QTimer.singleShot(0, self, self._fit)
        return super().eventFilter(watched, event)

    def _build(self) -> None:
        self._answerable = False
        self.field.setProperty("kind", "bare")
        self.field.setAccessibleName(tr("documents.ask_name"))
        self.send_button = button(tr("documents.ask"), self._submit, "main")
        self.stop_button = button(tr("chat.stop"), self.stop)
        self.anew_button = button(tr("documents.ask_anew"), self.begin_anew, "quiet")
        self.anew_button.setToolTip(tr("documents.ask_anew_hint"))
        self._frame: QFrame = frame("composer")
        buttons = row(self.anew_button, None, self.stop_button, self.send_button)
        self._frame.setLayout(column(self.field, buttons, spacing=10, margins=(14, 12, 9, 11)))
        self._column = QWidget()
        self._box = QVBoxLayout(self._column)
        self._list = column(spacing=12)
        self._box.addWidget(self.empty)
        self._box.addLayout(self._list)
        self._box.addStretch(1)
        self._area = scrolled(self._column, tr("documents.asked"))
        self._area.viewport().installEventFilter(self)
        self._foot = row(self._frame)
        whole = column(self._area, self._foot, spacing=0)
        whole.setStretch(0, 1)
        self.setLayout(whole)
        bar = self._area.verticalScrollBar()
        bar.valueChanged.connect(self._scrolled)
        bar.rangeChanged.connect(self._grown)

    def show_talk(self) -> None:
        """Draw what was asked of the collection on show."""
        clear(self._list)
        self.asked = []
        for question, result in self.talks.get(self.collection, []):
            self._add(question).take_result(result)
        self.empty.setVisible(not self.asked)
        self._show_buttons()

    def _add(self, question: str) -> AskedQuestion:
        asked = AskedQuestion(question)
        asked.place_wanted.connect(self.place_wanted)
        asked.retry_wanted.connect(self.ask)
        self.asked.append(asked)
        self._list.addWidget(asked)
        self.empty.hide()
        return asked

    def _history(self) -> list[dict[str, str]]:
        turns: list[dict[str, str]] = []
        for question, result in self.talks.get(self.collection, [])[-EARLIER:]:
            turns.append({"role": "user", "content": question})
            turns.append({"role": "assistant", "content": result["text"]})
        return turns

    def _answered(self, asked: AskedQuestion, collection: str, result: dict[str, Any]) -> None:
        self._call = None
        self.talks.setdefault(collection, []).append((asked.question, result))
        asked.take_result(result)
        self._show_buttons()

    def _failed(self, asked: AskedQuestion, error: UserError) -> None:
        self._call = None
        asked.take_error(error)
        self._show_buttons()

    def _submit(self) -> None:
        question = self.field.toPlainText()
        if question.strip() and self._call is None and self._answerable:
            self.field.clear()
            self.ask(question)

    def _show_buttons(self) -> None:
        running = self._call is not None
        self.stop_button.setVisible(running)
        self.send_button.setEnabled(not running and self._answerable and bool(self.field.toPlainText().strip()))
        self.anew_button.setVisible(bool(self.asked) and not running)

    def _fit(self) -> None:
        side = side_margin(self.width())
        self._box.setContentsMargins(side, 20, side, 12)
        self._foot.setContentsMargins(side, 6, side, 20)

    def _scrolled(self, value: int) -> None:
        self._following = value >= self._area.verticalScrollBar().maximum() - AT_END

    def _grown(self, low: int, high: int) -> None:
        if self._following:
            self._area.verticalScrollBar().setValue(high)

    def _themed(self) -> None:
        for asked in self.asked:
            asked.apply_theme()
