"""The conversation on show: header, messages, composer and panel, bound to one `Conversation` at a time."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from PySide6.QtCore import QEvent, QObject, Qt, QTimer
from PySide6.QtGui import QGuiApplication, QKeyEvent
from PySide6.QtWidgets import QStackedWidget, QWidget

from desktop.chat.attaching import Attaching
from desktop.chat.conversation import Conversation
from desktop.chat.documents import ChatDocuments
from desktop.chat.session import ChatSession
from desktop.desk import Desk
from desktop.remote_words import chat_line, is_remote, picture
from desktop.text import error_text, tr
from desktop.theme import theme_keeper
from desktop.widgets.adapters_form import fitting_adapters
from desktop.widgets.chat_empty import ChatEmpty
from desktop.widgets.chat_header import ChatHeader
from desktop.widgets.chat_panel import ChatPanel
from desktop.widgets.composer import Composer
from desktop.widgets.documents.preview import Preview
from desktop.widgets.figures import waiting_words
from desktop.widgets.make import column, row
from desktop.widgets.message_row import QuestionRow
from desktop.widgets.message_view import MessageView, side_margin
from engine.api.errors import UserError
from engine.api.messages import AdapterUse, Message, ModelRow

COUNT_MS = 400


class ChatStage(QWidget):
    """Draws what the session shows and turns wishes into its requests."""

    def __init__(self, desk: Desk, session: ChatSession) -> None:
        super().__init__()
        self.desk, self.session = desk, session
        self.talk: Conversation = session.shown
        self._default_model = ""
        self._models: list[ModelRow] = []
        self._bound: list[Any] = []
        self._wanted_message: int | None = None
        self.header, self.view, self.empty = ChatHeader(), MessageView(), ChatEmpty()
        self.composer, self.panel = Composer(), ChatPanel()
        self.attaching = Attaching(desk, self.composer, lambda: self.talk)
        self.documents = ChatDocuments(desk, self.composer, lambda: self.talk, session)
        self.preview = Preview(desk)
        self._count_soon = QTimer(self, singleShot=True, interval=COUNT_MS)
        self._count_soon.timeout.connect(self._count)
        self._count_soon.timeout.connect(self._read_ahead)
        self._reading: int | None = None  # the call that reads the draft
        self._build()
        self._connect_widgets()
        session.shown_changed.connect(self._bind)
        session.finished.connect(self._finished)
        session.send_failed.connect(self._send_failed)
        session.removed.connect(self._removed)
        session.failed.connect(desk.toast_error)
        theme_keeper().changed.connect(self._themed)
        self._bind()

    def set_models(self, models: list[ModelRow]) -> None:
        """What can answer; without any, the way to one is shown."""
        self._models = models
        self.header.picker.set_models(models)
        usable = self.header.picker.models()
        here = [m for m in usable if not is_remote(m)]  # nothing is sent elsewhere that nobody chose
        easiest = min(here, key=lambda m: (m["kind"] == "base", bool(m["problem"]), m["bytes"]), default=None)
        self._default_model = easiest["id"] if easiest else ""
        self.empty.show_state(has_model=bool(usable))
        self.composer.set_blocked(not usable)
        self._show_chat()

    def send(self, text: str) -> None:
        """Send a message in the conversation on show, with the images attached to it."""
        if self.talk.running and self.talk.attachments:
            self.desk.toast(tr("chat.wait_or_stop"))
            return
        self.composer.set_text("")
        self.session.send(self.talk, text, media=self.attaching.take())
        self.view.jump_to_end()

    def stop(self) -> None:
        """End the answer being written here."""
        self.session.stop(self.talk)

    def toggle_panel(self) -> None:
        """Show or hide system prompt and sampling."""
        self.preview.put_away()
        showing = self.panel.isVisible() and self.panel.shows_settings
        self.panel.show_settings()
        self.panel.setVisible(not showing)

    def do(self, what: str, number: int) -> None:
        """One of the wishes of a message row."""
        wishes: dict[str, Callable[[int], object]] = {
            "copy": self._copy,
            "regenerate": partial(self.session.regenerate, self.talk),
            "continue": partial(self.session.go_on, self.talk),
            "branch": partial(self.session.switch, self.talk),
            "delete": partial(self.session.delete_message, self.talk),
            "sent": self._show_sent,
        }
        if self.talk.running and what in ("regenerate", "continue", "branch", "delete"):
            self.desk.toast(tr("chat.wait_or_stop"))
        else:
            wishes[what](number)

    def do_last(self, what: str) -> None:
        """The same for the last answer, if there is one."""
        answer = self.talk.last_answer()
        if answer:
            self.do(what, answer["id"])

    def compare(self) -> None:
        """Have the last question answered without and with the conversation's adapters."""
        answer = self.talk.last_answer()
        if self.talk.running:
            self.desk.toast(tr("chat.wait_or_stop"))
        elif answer and self.talk.chat["adapters"]:
            self.session.compare(self.talk, answer["id"])
        else:
            self.desk.toast(tr("chat.compare_needs"))

    def edit_last(self) -> None:
        """Edit the last question in place."""
        for row_widget in reversed(self.view.rows()):
            if isinstance(row_widget, QuestionRow):
                row_widget.start_editing()
                return

    def show_message(self, number: int) -> None:
        """Scroll to a message, on whatever branch it is; waits until the conversation was read."""
        self._wanted_message = number
        if self.talk.loaded:
            self._show_wanted()

    def settings_changed(self) -> None:
        """The settings' model or text size is another."""
        self._show_chat()

    def save_draft(self) -> None:
        """Keep what is typed with its conversation."""
        self.talk.draft = self.composer.text()
        self.panel.settings.flush()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape and self.talk.running:
            self.stop()
        else:
            super().keyPressEvent(event)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """The composer keeps to the column of the messages, also when the panel comes and goes."""
        if watched is self._middle and event.type() == QEvent.Type.Resize:
            QTimer.singleShot(0, self, self._fit_composer)
        return super().eventFilter(watched, event)

    def _build(self) -> None:
        self._stack = QStackedWidget()
        self._stack.addWidget(self.empty)
        self._stack.addWidget(self.view)
        self._foot = row(self.composer)
        self._middle = QWidget()
        middle = column(self._stack, self._foot, spacing=0)
        middle.setStretch(0, 1)
        self._middle.setLayout(middle)
        self._middle.installEventFilter(self)
        below = row(self._middle, self.panel, self.preview, spacing=0)
        below.setStretch(0, 1)
        whole = column(self.header, below, spacing=0)
        whole.setStretch(1, 1)
        self.setLayout(whole)
        self.panel.hide()

    def _fit_composer(self) -> None:
        side = side_margin(self._middle.width())
        self._foot.setContentsMargins(side, 6, side, 22)
        self.empty.set_width(self._middle.width())

    def _connect_widgets(self) -> None:
        self.composer.submitted.connect(self.send)
        self.composer.stop_wanted.connect(self.stop)
        self.composer.panel_wanted.connect(self.toggle_panel)
        self.composer.text_changed.connect(self._count_soon.start)
        self.composer.unqueue_wanted.connect(self._unqueue)
        self.view.wanted.connect(self.do)
        self.view.edited.connect(self._edited)
        self.view.place_wanted.connect(self.preview.show_place)
        self.preview.opened.connect(self.panel.hide)
        self.empty.sample_chosen.connect(self.send)
        self.empty.model_wanted.connect(lambda: self.desk.open_page("models"))
        self.header.renamed.connect(lambda title: self.session.update(self.talk, title=title))
        self.header.panel_wanted.connect(self.toggle_panel)
        self.header.picker.chosen.connect(self.choose_model)
        self.header.picker.more_wanted.connect(lambda: self.desk.open_page("models"))
        self.panel.closed.connect(self.panel.hide)
        self.panel.settings.system_changed.connect(lambda text: self.session.update(self.talk, system=text))
        self.panel.settings.sampling.changed.connect(lambda values: self.session.update(self.talk, sampling=values))
        self.panel.settings.adapters.changed.connect(self._use_adapters)
        self.panel.settings.adapters.compare_wanted.connect(self.compare)

    def choose_model(self, model: str) -> None:
        """From now on `model` answers here and in new conversations."""
        self.session.update(self.talk, model=model)
        self.desk.set(default_model=model)

    def _use_adapters(self, used: list[AdapterUse]) -> None:
        self.session.update(self.talk, adapters=used)
        self._show_comparable()

    def _bind(self) -> None:
        """Show the session's conversation from now on."""
        self.save_draft()
        talk = self.talk = self.session.shown
        pairs: tuple[tuple[Any, Any], ...] = (
            (talk.path_changed, self._show_path),
            (talk.message_changed, self._show_message),
            (talk.appended, self.view.append),
            (talk.progress_changed, self._show_progress),
            (talk.running_changed, self._show_running),
            (talk.queue_changed, self._show_queue),
            (talk.chat_changed, self._show_chat),
        )
        self._unbind()
        self._bound = [signal.connect(slot) for signal, slot in pairs]
        self.composer.set_notice("")
        self.composer.set_text(talk.draft)
        self.attaching.show()
        self.preview.put_away()
        for show in (self._show_path, self._show_chat, self._show_running, self._show_queue):
            show()
        if self.panel.isVisible() and not self.panel.shows_settings:
            self.panel.hide()
        self._count_soon.start()

    def _unbind(self) -> None:
        for connection in self._bound:
            QObject.disconnect(connection)

    def _show_path(self) -> None:
        self.view.unfold_thinking = self.desk.settings.show_thinking
        messages = self.talk.shown()
        self._stack.setCurrentWidget(self.view if messages or self.talk.id else self.empty)
        self.view.set_path(messages, self.talk.siblings)
        self._show_progress()
        self._show_beside()
        self._show_comparable()
        if self.talk.loaded:
            self._show_wanted()

    def _show_beside(self) -> None:
        """Two answers being compared stand side by side: one among the messages, the other in the panel."""
        other = self.talk.beside()
        if other:
            self.panel.show_beside(other)
            self.panel.show()
        elif self.panel.compares:
            self.panel.show_settings()

    def _show_comparable(self) -> None:
        comparable = self.talk.last_answer() is not None and not self.talk.running
        self.panel.settings.adapters.set_comparable(comparable)

    def _show_wanted(self) -> None:
        number, self._wanted_message = self._wanted_message, None
        if number is None or number not in self.talk.messages:
            return
        if number in self.talk.path:
            self.view.show_message(number)
        elif not self.talk.running:  # a search may find what stands on another branch
            self._wanted_message = number
            self.session.switch(self.talk, number)

    def _show_message(self, number: int) -> None:
        if number in self.talk.messages:
            self.view.update_message(number, self.talk.messages[number], self.talk.thought_s.get(number))
            if (other := self.talk.beside()) and other["id"] == number:
                self.panel.show_beside(other)

    def _show_progress(self) -> None:
        progress, live = self.talk.progress, self.talk.live
        if live is not None:
            words = waiting_words(progress.kind, progress.done, progress.total, progress.left_s)
            self.view.set_waiting(live, "" if progress.kind in ("", "write") else words)

    def _show_running(self) -> None:
        self.composer.set_running(self.talk.running)
        self._show_comparable()

    def _show_queue(self) -> None:
        self.composer.set_queue(self.talk.queue)

    def _show_chat(self) -> None:
        chat = self.talk.chat
        self.header.set_title(chat["title"] or ("" if chat["id"] else tr("chat.new_title")), stored=bool(chat["id"]))
        self.header.picker.set_current(chat["model"] or self.desk.settings.default_model or self._default_model)
        self.panel.settings.adapters.set_offered(fitting_adapters(self._models, self.header.picker.current()[1]))
        self.panel.settings.show_chat(chat)
        self.documents.show()
        self.attaching.show_model(self.header.picker.current()[1])
        self._show_remote()

    def _show_remote(self) -> None:
        """As long as a remote model is to answer, it is said where one writes."""
        model, shown = self.header.picker.current()
        hint = tr("remote.line_hint", address=shown["path"]) if shown else ""
        self.composer.set_remote(chat_line(model, shown), picture(shown), hint)

    def _finished(self, talk: Conversation, message: Message) -> None:
        stats = message["stats"]
        if talk is self.talk and "context_used" in stats:
            self.header.meter.set_used(stats["context_used"], stats.get("context_size", 0))

    def _count(self) -> None:
        """Ask how full the context is; while an answer is being written its own figures follow."""
        talk = self.talk
        if talk.id and not talk.running:
            params = {"chat": talk.id, "text": self.composer.text()}
            done = partial(self._counted, talk)
            self.desk.client.call("chat.count", params, result=done, owner=self)
        elif not talk.id:
            self.header.meter.set_used(None, 0)

    def _read_ahead(self) -> None:
        """Have the draft read while it is being typed: the answer then begins at once."""
        talk, text = self.talk, self.composer.text()
        if self._reading is not None:
            self.desk.client.cancel(self._reading)
        if text.strip() and not talk.running and self.desk.settings.read_drafts:
            told = {name: talk.chat[name] for name in ("model", "system", "adapters")}
            params = {"chat": talk.id, "text": text, **told}
            self._reading = self.desk.client.call("chat.draft", params, result=self._read, error=self._read, owner=self)

    def _read(self, _: object) -> None:
        self._reading = None

    def _counted(self, talk: Conversation, result: dict[str, Any]) -> None:
        if talk is not self.talk:
            return
        used, size = result["used"], result["size"]
        answer = talk.last_answer()
        if used is None and answer:  # no model is loaded: what the last answer took
            used = answer["stats"].get("context_used")
            size = answer["stats"].get("context_size", size)
        self.header.meter.set_used(used, size)

    def _send_failed(self, talk: Conversation, text: str, error: UserError) -> None:
        if talk is not self.talk:
            talk.draft = "\n\n".join(part for part in (text, talk.draft) if part)
            return
        self.attaching.show()
        if text:
            self.composer.set_text("\n\n".join(part for part in (text, self.composer.text()) if part))
        if error.code != "cancelled":
            self.composer.set_notice(" ".join(part for part in error_text(error) if part))

    def _removed(self, number: int) -> None:
        talk = self.talk
        self.desk.toast(tr("chat.message_deleted"), lambda: self.session.restore_message(talk, number))

    def _edited(self, number: int, text: str) -> None:
        if self.talk.running:
            self.desk.toast(tr("chat.wait_or_stop"))
        else:
            self.session.edit(self.talk, number, text)

    def _unqueue(self, place: int) -> None:
        text = self.talk.dequeue(place)
        if text and not self.composer.text().strip():
            self.composer.set_text(text)

    def _copy(self, number: int) -> None:
        row_widget = self.view.row(number)
        if row_widget:
            QGuiApplication.clipboard().setText(row_widget.copy_text())
            self.desk.toast(tr("chat.copied"))

    def _show_sent(self, number: int) -> None:
        self.desk.client.call(
            "chat.sent", {"message": number}, result=self._sent, error=self.desk.toast_error, owner=self
        )

    def _sent(self, result: dict[str, Any]) -> None:
        self.preview.put_away()
        self.panel.show_sent(result["prompt"], result["sent"])
        self.panel.show()

    def _themed(self) -> None:
        self.view.apply_theme()
        self.empty.apply_theme()
        self.panel.beside.apply_theme()
        self._show_chat()
