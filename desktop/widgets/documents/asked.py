"""One question asked of a collection: what was found, the answer with its marks, and what the model was given."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QGuiApplication, QResizeEvent
from PySide6.QtWidgets import QPlainTextEdit, QWidget

from desktop.answer_notes import note_text
from desktop.text import duration_text, error_text, tr
from desktop.theme import mono_font
from desktop.widgets.answer_text import put_on_theme
from desktop.widgets.documents.cited_text import CitedText
from desktop.widgets.documents.passages import PassageFold
from desktop.widgets.make import button, column, frame, label, row
from desktop.widgets.message_parts import Bubble
from engine.api.errors import UserError


class AskedQuestion(QWidget):
    """`place_wanted(place, among)` for a citation or a passage, `retry_wanted(question)` after an error."""

    place_wanted = Signal(dict, list)
    retry_wanted = Signal(str)

    def __init__(self, question: str) -> None:
        super().__init__()
        self.question = question
        self.result: dict[str, Any] | None = None
        self.setMinimumWidth(1)
        self.bubble = Bubble(question)
        self.looked_for = label("", "faint", wrap=True)
        self.fold, self.body = PassageFold(), CitedText()
        self.body.setAccessibleName(tr("documents.answer"))
        self.waiting = label(tr("documents.searching"), "dim")
        self.refusal = label("", "amber", wrap=True)
        self.problem, self.sent = frame("problem"), QPlainTextEdit(readOnly=True)
        self._build()
        self.fold.opened.connect(lambda hit: self.place_wanted.emit(hit, self.fold.hits))
        self.body.cited.connect(self._cite)

    def take_event(self, event: dict[str, Any]) -> None:
        """An event of docs.ask."""
        kind = event.get("event")
        if kind == "rewritten":
            self._show_question(event["question"])
        elif kind == "passages":
            self.fold.set_hits(event["hits"])
            self.waiting.setText(tr("documents.reading"))
        elif kind == "load":
            self.waiting.setText(tr("documents.loading"))
        elif kind == "token":
            self.waiting.hide()
            self.body.show()
            self.body.append(event["text"])

    def take_result(self, result: dict[str, Any]) -> None:
        """The answer, checked against its passages."""
        self.result = result
        self.waiting.hide()
        self._show_question(result["question"])
        self.fold.set_hits(result["hits"])
        self.body.setVisible(bool(result["text"]) and not result["refused"])
        self.body.show_answer(result["text"], result)
        self._show_refusal(result)
        self.sent.setPlainText(sent_text(result["sent"]))
        self.sent_word.setVisible(bool(result["sent"]))
        seconds = result["stats"].get("first_token_s", 0) + result["stats"].get("decode_s", 0)
        figures = (note_text(result), duration_text(seconds) if seconds else "")
        self.figures.setText(" · ".join(filter(None, figures)))
        self._actions.show()

    def take_error(self, error: UserError) -> None:
        """What went wrong stands here; what was asked stays."""
        self.waiting.hide()
        stopped = error.code == "cancelled"
        words = tr("documents.stopped") if stopped else " ".join(part for part in error_text(error) if part)
        self._problem_words.setText(words)
        self.problem.show()

    def apply_theme(self) -> None:
        """Colours changed."""
        put_on_theme(self.body)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.bubble.fit(max(120, round(self.width() * 0.86)))

    def _build(self) -> None:
        self._problem_words = label("", wrap=True)
        again = button(tr("documents.ask_again"), lambda: self.retry_wanted.emit(self.question), "small")
        self.problem.setLayout(row(self._problem_words, again, margins=(12, 8, 8, 8), grow=0))
        self.sent.setFont(mono_font(12))
        self.sent.setFixedHeight(220)
        self.sent.setAccessibleName(tr("documents.sent"))
        copy = button(tr("chat.copy"), self._copy, "word", name=tr("chat.copy_answer"))
        self.sent_word = button(tr("documents.sent"), self._toggle_sent, "word")
        self.figures = label("", "faint")
        self._actions = QWidget()
        self._actions.setLayout(row(copy, self.sent_word, None, self.figures))
        parts = (self.looked_for, self.refusal, self.fold, self.body, self.waiting, self.problem)
        answer = column(*parts, self._actions, self.sent, spacing=6)
        self.setLayout(column(row(None, self.bubble), answer, spacing=10, margins=(0, 0, 0, 16)))
        for part in (self.looked_for, self.body, self.refusal, self.problem, self._actions, self.sent):
            part.hide()

    def _show_question(self, question: str) -> None:
        other = " ".join(question.split()) != " ".join(self.question.split())
        self.looked_for.setText(tr("documents.looked_for", question=question))
        self.looked_for.setVisible(other)

    def _show_refusal(self, result: dict[str, Any]) -> None:
        nearest = tr("documents.nearest") if result["hits"] else ""
        self.refusal.setText(f"{result['text']} {nearest}".strip())
        self.refusal.setVisible(result["refused"])
        if result["refused"] and self.fold.list.isHidden() and result["hits"]:
            self.fold.toggle()

    def _cite(self, number: int) -> None:
        places = (self.result or {}).get("citations", [])
        for place in places:
            if place["number"] == number:
                self.place_wanted.emit(place, places)

    def _toggle_sent(self) -> None:
        self.sent.setVisible(self.sent.isHidden())
        if not self.sent.isHidden():
            self.sent.setFocus(Qt.FocusReason.OtherFocusReason)

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText((self.result or {}).get("text", ""))


def sent_text(messages: list[dict[str, Any]]) -> str:
    """The chat that a model was given, to be read."""
    return "\n\n".join(f"{message.get('role', '')}:\n{message.get('content', '')}" for message in messages)
