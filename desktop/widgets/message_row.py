"""One message on screen: a question in a bubble, or an answer with its reasoning, actions and figures."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QEnterEvent, QResizeEvent
from PySide6.QtWidgets import QApplication, QFrame, QLabel, QMenu, QSizePolicy, QWidget

from desktop.answer_notes import note_text
from desktop.text import error_text, tr
from desktop.widgets.adapters_form import adapters_words
from desktop.widgets.answer_text import put_on_theme
from desktop.widgets.attachments import PictureRow
from desktop.widgets.composer import ComposerText
from desktop.widgets.documents.cited_text import CitedText
from desktop.widgets.documents.passages import PassageFold
from desktop.widgets.figures import dropped_words, exact_figures, short_figures
from desktop.widgets.make import button, column, frame, label, row
from desktop.widgets.message_parts import BranchSwitcher, Bubble, FittingLabel
from desktop.widgets.thinking import ThinkingBlock
from engine.api.errors import UserError
from engine.api.messages import Message

NARROW = 560  # px: below this the lesser actions stand behind "…"


class MessageRow(QWidget):
    """What both kinds of rows share. `wanted(action, id)`: copy, edit, regenerate, continue, branch, sent, delete."""

    wanted = Signal(str, int)
    edited = Signal(int, str)

    def __init__(self, message: Message, branches: list[int]) -> None:
        super().__init__()
        self.message = message
        self.setMinimumWidth(1)  # what is inside follows the row's width, not the other way round
        self.switcher = BranchSwitcher()
        self.switcher.chosen.connect(lambda other: self.wanted.emit("branch", other))
        self.switcher.set_branches(branches, message["id"])

    @property
    def number(self) -> int:
        """The message's id."""
        return self.message["id"]

    def set_branches(self, branches: list[int]) -> None:
        """Another version of this message came or went."""
        self.switcher.set_branches(branches, self.number)

    def ask(self, action: str) -> None:
        """Say that `action` is wanted for this message."""
        self.wanted.emit(action, self.number)

    def apply_theme(self) -> None:
        """Colours changed."""

    def copy_text(self) -> str:
        """What "copy" takes: the source text."""
        return self.message["text"]


class QuestionRow(MessageRow):
    """A person's message: a bubble on the right. Its actions show under the pointer and with keyboard focus."""

    def __init__(self, message: Message, branches: list[int]) -> None:
        super().__init__(message, branches)
        self.bubble = Bubble(message["text"])
        self._actions = QWidget()  # its buttons are made when they are first seen
        self._actions.setFixedHeight(self.fontMetrics().height() + 6)
        self._words: QWidget | None = None
        self._editor: QFrame | None = None
        under = row(None, self._actions, self.switcher, spacing=6)
        pictures = [PictureRow(message["media"])] if message["media"] else []
        self._column = column(*pictures, row(None, self.bubble), under, spacing=2)
        self.bubble.setVisible(bool(message["text"].strip()) or not pictures)
        self.setLayout(self._column)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setAccessibleName(tr("chat.question_name", text=message["text"][:200]))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.bubble.fit(max(120, round(self.width() * 0.86)))

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange and hasattr(self, "bubble"):
            self.bubble.fit(max(120, round(self.width() * 0.86)))

    def enterEvent(self, event: QEnterEvent) -> None:
        super().enterEvent(event)
        self.show_actions()

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self.show_actions()

    def show_actions(self) -> None:
        """Show or hide what can be done with the question, by where pointer and focus are."""
        focus = QApplication.focusWidget()
        inside = focus is self or (focus is not None and self.isAncestorOf(focus))
        visible = self._editor is None and (inside or self.underMouse())
        if visible and self._words is None:
            self._words = self._make_words()
            self._actions.setLayout(row(self._words))
        if self._words is not None:
            self._words.setVisible(visible)

    def _make_words(self) -> QWidget:
        made = QWidget()
        words = (
            button(tr("chat.copy"), lambda: self.ask("copy"), "word", name=tr("chat.copy_question")),
            button(tr("chat.edit"), self.start_editing, "word", name=tr("chat.edit_name")),
            button(tr("chat.delete"), lambda: self.ask("delete"), "word", name=tr("chat.delete_question")),
        )
        made.setLayout(row(*words))
        return made

    def start_editing(self) -> None:
        """Turn the bubble into a field; sending it makes a new branch."""
        if self._editor is not None:
            return
        field = ComposerText(max_lines=16)
        field.setProperty("kind", "bare")
        field.setAccessibleName(tr("chat.edit_field"))
        field.setPlainText(self.message["text"])
        field.submitted.connect(lambda: self._send_edit(field))
        field.cancelled.connect(self.stop_editing)
        cancel = button(tr("chat.cancel"), self.stop_editing, "small")
        send = button(tr("chat.edit_send"), lambda: self._send_edit(field), "small", name=tr("chat.edit_send_name"))
        self._editor = frame("editor")
        hint = label(tr("chat.edit_hint"), "faint")
        self._editor.setLayout(column(field, row(hint, None, cancel, send), margins=(14, 10, 10, 10)))
        self._column.insertWidget(0, self._editor)
        self.bubble.hide()
        self.show_actions()
        field.setFocus(Qt.FocusReason.OtherFocusReason)

    def stop_editing(self) -> None:
        """Back to the bubble, nothing changed."""
        if self._editor is not None:
            self._editor.hide()
            self._editor.deleteLater()
            self._editor = None
            self.bubble.show()
            self.setFocus(Qt.FocusReason.OtherFocusReason)

    def _send_edit(self, field: ComposerText) -> None:
        text = field.toPlainText()
        if text.strip():
            self.stop_editing()
            self.edited.emit(self.number, text)


class AnswerRow(MessageRow):
    """A model's answer. Text is appended while it is written, never set again, except that of an answer from documents,
    which is checked once it is whole. `place_wanted(place, among)` for a citation or a passage."""

    place_wanted = Signal(dict, list)

    def __init__(self, message: Message, branches: list[int], unfold_thinking: bool = False) -> None:
        super().__init__(message, branches)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setAccessibleName(tr("chat.answer_name"))
        self.notice = button("", lambda: self.ask("sent"), "amberWord")
        self.adapters = label("", "faint")
        self.thinking = ThinkingBlock(unfold_thinking)
        self.passages: PassageFold | None = None  # made where there are any
        self.note: QLabel | None = None  # likewise
        self.body = CitedText()
        self.body.cited.connect(self._cite)
        self.waiting = label("", "dim")
        self.problem: QFrame | None = None
        self._build_actions()
        parts = (
            row(self.notice, None),
            self.adapters,
            self.thinking,
            self.body,
            self.waiting,
            self._under,
        )
        self._column = column(*parts, spacing=6, margins=(0, 0, 0, 12))
        self.setLayout(self._column)
        self._shown_text, self._shown_thinking, self._shown_marks = "", "", ""
        self._thought_s: float | None = None
        self.update_message(message)

    def update_message(self, message: Message, thought_s: float | None = None) -> None:
        """Show a message anew. Text that only grew is appended; text that stayed is not touched."""
        self.message = message
        self._thought_s = thought_s or message["stats"].get("thinking_s") or self._thought_s
        self._take_text(message)
        live = message["state"] == "streaming"
        found = message.get("found") or {}
        self._show_passages(found.get("hits", []))
        if not live:
            self.body.finish()
            self._show_marks(message["text"], dict(found))
            self.waiting.hide()
        self._show_note("" if live else note_text(dict(found)))
        self.thinking.set_header(live=live and not message["text"], seconds=self._thought_s)
        self._show_notice()
        self._show_problem()
        self._show_actions(live)

    def append(self, text: str, thinking: str) -> None:
        """More of the answer arrived."""
        if thinking:
            self._shown_thinking += thinking
            self.thinking.append(thinking)
        if text:
            if not self._shown_text and self._shown_thinking:
                self.thinking.set_header(live=False, seconds=self._thought_s)
            self._shown_text += text
            self.body.append(text)
        self.waiting.hide()
        self.body.setVisible(bool(self._shown_text))

    def set_waiting(self, words: str) -> None:
        """What is being waited for, "" once words arrive."""
        self.waiting.setText(words)
        self.waiting.setVisible(bool(words))

    def apply_theme(self) -> None:
        """Colours changed."""
        put_on_theme(self.body)
        self.thinking.apply_theme()

    def _take_text(self, message: Message) -> None:
        text, thinking = message["text"], message["thinking"]
        if text.startswith(self._shown_text) and thinking.startswith(self._shown_thinking):
            self.append(text[len(self._shown_text) :], thinking[len(self._shown_thinking) :])
        else:
            self.body.set_text(text)
            self.thinking.set_text(thinking)
        self._shown_text, self._shown_thinking = text, thinking
        self.body.setVisible(bool(text))

    def _show_marks(self, text: str, found: dict[str, Any]) -> None:
        if found.get("sentences") and (self._shown_marks != text or found != self.body.found):
            self._shown_marks = text
            self.body.show_answer(text, found)

    def _show_passages(self, hits: list[dict[str, Any]]) -> None:
        if self.passages is None and hits:
            self.passages = PassageFold()
            self.passages.opened.connect(lambda hit: self.place_wanted.emit(hit, hits))
            self._column.insertWidget(self._column.indexOf(self.body), self.passages)
        if self.passages:
            self.passages.set_hits(hits)

    def _show_note(self, words: str) -> None:
        if self.note is None and words:
            self.note = label("", "faint", wrap=True)
            self._column.insertWidget(self._column.indexOf(self.body) + 1, self.note)
        if self.note:
            self.note.setText(words)
            self.note.setVisible(bool(words))

    def _cite(self, number: int) -> None:
        places = self.body.found.get("citations", [])
        for place in places:
            if place["number"] == number:
                self.place_wanted.emit(place, places)

    def _build_problem(self) -> QFrame:
        self._problem_text = label("", wrap=True)
        self._problem_text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._problem_text.setMinimumWidth(10)
        self.retry = button(tr("chat.retry"), lambda: self.ask("regenerate"), "small")
        self.go_on = button(tr("chat.continue"), lambda: self.ask("continue"), "small", name=tr("chat.continue_name"))
        self._problem_text.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        made = frame("problem")
        made.setLayout(row(self._problem_text, self.retry, self.go_on, margins=(12, 8, 8, 8)))
        self._column.insertWidget(self._column.count() - 1, made)
        return made

    def _build_actions(self) -> None:
        self.copy = button(tr("chat.copy"), lambda: self.ask("copy"), "word", name=tr("chat.copy_answer"))
        self.again = button(tr("chat.regenerate"), lambda: self.ask("regenerate"), "word", name=tr("chat.again_name"))
        self.more_of_it = button(
            tr("chat.continue"), lambda: self.ask("continue"), "word", name=tr("chat.continue_name")
        )
        self.sent = button(tr("chat.sent"), lambda: self.ask("sent"), "word", name=tr("chat.sent_name"))
        self.delete = button(tr("chat.delete"), lambda: self.ask("delete"), "word", name=tr("chat.delete_answer"))
        self.more = button("…", self._open_more, "word", name=tr("chat.more_name"))
        self.figures = FittingLabel()
        words = (self.copy, self.again, self.more_of_it, self.switcher, self.sent, self.delete, self.more)
        line = row(*words, spacing=8)
        line.addWidget(self.figures, 1)
        self._under = QWidget()
        self._under.setLayout(line)
        self._under.setMinimumWidth(1)  # else the words would widen the whole column in a narrow window

    def _open_more(self) -> None:
        """What a narrow row has no room for."""
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        if self.message["sent"]:
            menu.addAction(tr("chat.sent"), lambda: self.ask("sent"))
        menu.addAction(tr("chat.delete"), lambda: self.ask("delete"))
        menu.popup(self.more.mapToGlobal(self.more.rect().bottomLeft()))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._show_actions(self.message["state"] == "streaming")

    def _show_notice(self) -> None:
        words = dropped_words(self.message)
        self.notice.setText(words)
        self.notice.setAccessibleName(words)
        self.notice.setToolTip(tr("chat.sent_hint"))
        self.notice.setVisible(bool(words))
        used = self.message["sent"].get("adapters")
        self.adapters.setText("" if used is None else adapters_words(used))
        self.adapters.setVisible(used is not None)

    def _show_problem(self) -> None:
        state, error = self.message["state"], self.message["error"]
        words = ""
        if state == "interrupted":
            words = tr("chat.interrupted")
        elif state == "failed":
            known = UserError.from_json(error) if error else UserError("bug", "", "")
            words = " ".join(part for part in error_text(known) if part)
        if self.problem is None:
            if not words:
                return
            self.problem = self._build_problem()
        self._problem_text.setText(words)
        self.problem.setVisible(bool(words))
        self.go_on.setVisible(bool(self.message["text"]))

    def _show_actions(self, live: bool) -> None:
        message = self.message
        cut_off = message["state"] == "stopped" or message["stats"].get("stop") in ("length", "context")
        self.more_of_it.setVisible(cut_off and not live)
        narrow = self.width() < NARROW
        for widget in (self.copy, self.again):
            widget.setVisible(not live)
        self.sent.setVisible(not live and not narrow and bool(message["sent"]))
        self.delete.setVisible(not live and not narrow)
        self.more.setVisible(not live and narrow)
        self.figures.set_choices([] if live else short_figures(message))
        self.figures.setToolTip(exact_figures(message))


def make_row(message: Message, branches: list[int], unfold_thinking: bool = False) -> MessageRow:
    """The row for a message."""
    if message["role"] == "user":
        return QuestionRow(message, branches)
    return AnswerRow(message, branches, unfold_thinking)
