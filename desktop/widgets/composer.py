"""Where a person writes: grows with the text, Enter sends, Shift+Enter breaks the line."""

from __future__ import annotations

from PySide6.QtCore import QBuffer, QEvent, QIODevice, QMimeData, Qt, Signal
from PySide6.QtGui import QFocusEvent, QImage, QInputMethodEvent, QKeyEvent, QResizeEvent
from PySide6.QtWidgets import QFileDialog, QFrame, QHBoxLayout, QPlainTextEdit, QWidget

from desktop.text import tr
from desktop.widgets.attachments import SUFFIXES, AttachmentStrip, picture_files
from desktop.widgets.documents.chips import DocumentChips
from desktop.widgets.make import Picture, button, clear, column, frame, icon_button, label, restyle, row
from engine.api.messages import Attachment

MAX_LINES = 9
ENTER = (Qt.Key.Key_Return, Qt.Key.Key_Enter)


class ComposerText(QPlainTextEdit):
    """A text field as tall as its text. `submitted` comes for Enter outside of an input method's composition."""

    submitted = Signal()
    cancelled = Signal()  # Esc
    focus_changed = Signal(bool)
    files_given = Signal(list)  # image files that were pasted or dropped
    picture_given = Signal(bytes)  # a picture that was pasted, as PNG

    def __init__(self, max_lines: int = MAX_LINES) -> None:
        super().__init__()
        self.takes_pictures = False
        self._composing = False
        self._max_lines = max_lines
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setTabChangesFocus(True)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.document().setDocumentMargin(2)
        self.textChanged.connect(self._fit)
        self._fit()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        breaks_line = event.modifiers() & (Qt.KeyboardModifier.ShiftModifier | Qt.KeyboardModifier.AltModifier)
        if event.key() in ENTER and not breaks_line:
            event.accept()
            if not self._composing:
                self.submitted.emit()
        elif event.key() == Qt.Key.Key_Escape and not self._composing:
            event.accept()
            self.cancelled.emit()
        else:
            super().keyPressEvent(event)

    def inputMethodEvent(self, event: QInputMethodEvent) -> None:
        # Some input methods let the Enter through that ends their composition: it must not send.
        self._composing = bool(event.preeditString())
        super().inputMethodEvent(event)
        self._fit()

    def canInsertFromMimeData(self, source: QMimeData) -> bool:
        pictured = self.takes_pictures and (source.hasImage() or bool(picture_files(source)))
        return pictured or super().canInsertFromMimeData(source)

    def insertFromMimeData(self, source: QMimeData) -> None:
        """Pasted or dropped: images go with the message, words go into it. A cell of a table is both: words."""
        if self.takes_pictures and (files := picture_files(source)):
            self.files_given.emit(files)
        elif self.takes_pictures and source.hasImage() and not source.hasText():
            self.picture_given.emit(png_of(QImage(source.imageData())))
        else:
            super().insertFromMimeData(source)

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self.focus_changed.emit(True)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        self._composing = False
        super().focusOutEvent(event)
        self.focus_changed.emit(False)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self._fit()

    def _fit(self) -> None:
        # QPlainTextDocumentLayout counts its height in lines.
        lines = max(1, round(self.document().size().height()))
        shown = min(lines, self._max_lines)
        height = round(shown * self.fontMetrics().lineSpacing() + 2 * self.document().documentMargin()) + 4
        policy = Qt.ScrollBarPolicy
        self.setVerticalScrollBarPolicy(policy.ScrollBarAsNeeded if lines > shown else policy.ScrollBarAlwaysOff)
        if height != self.height():
            self.setFixedHeight(height)


class QueueStrip(QWidget):
    """Messages that wait until the answer being written is whole; each can be taken back."""

    removed = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self._box = column(spacing=4)
        self.setLayout(self._box)
        self.hide()

    def set_texts(self, texts: list[str]) -> None:
        """Show these waiting messages, in order."""
        clear(self._box)
        for place, text in enumerate(texts):
            self._box.addWidget(self._line(place, text))
        self.setVisible(bool(texts))

    def _line(self, place: int, text: str) -> QWidget:
        first = text.strip().splitlines()[0][:80] if text.strip() else ""
        words = label(tr("chat.queued", text=first), "dim")
        words.setToolTip(text)
        words.setMinimumWidth(10)
        take_back = button(
            tr("chat.queue_remove"),
            lambda: self.removed.emit(place),
            "quiet",
            name=tr("chat.queue_remove_name", text=first),
        )
        line = frame("queued")
        line.setLayout(row(words, None, take_back, margins=(12, 2, 4, 2)))
        return line


class Composer(QWidget):
    """The writing place at the foot of a conversation. Signals what is wanted; sends nothing itself."""

    submitted = Signal(str)
    stop_wanted = Signal()
    panel_wanted = Signal()
    text_changed = Signal()
    unqueue_wanted = Signal(int)
    files_given = Signal(list)  # paths of images
    picture_given = Signal(bytes)  # PNG
    unattach_wanted = Signal(int)
    documents_wanted = Signal()  # the menu of collections

    def __init__(self) -> None:
        super().__init__()
        self._running = False
        self._blocked = False
        self.queue = QueueStrip()
        self.queue.removed.connect(self.unqueue_wanted)
        self.attachments = AttachmentStrip()
        self.attachments.removed.connect(self.unattach_wanted)
        self.documents = DocumentChips()
        self.notice = label("", "red", wrap=True)
        self.notice.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.notice.hide()
        self.field = ComposerText()
        self.field.setProperty("kind", "bare")
        self.field.setPlaceholderText(tr("chat.placeholder"))
        self.field.setAccessibleName(tr("chat.composer_name"))
        self.field.submitted.connect(self._submit)
        self.field.cancelled.connect(self._escape)
        self.field.textChanged.connect(self._changed)
        self.field.focus_changed.connect(self._mark_focus)
        self.field.files_given.connect(self.files_given)
        self.field.picture_given.connect(self.picture_given)
        self._build()
        self._show_state()

    def text(self) -> str:
        """What is written."""
        return self.field.toPlainText()

    def set_text(self, text: str) -> None:
        """Replace what is written; the cursor goes to its end."""
        self.field.setPlainText(text)
        cursor = self.field.textCursor()
        cursor.movePosition(cursor.MoveOperation.End)
        self.field.setTextCursor(cursor)

    def set_running(self, running: bool) -> None:
        """While an answer is being written the button stops it, and what is sent waits its turn."""
        self._running = running
        self._show_state()

    def set_blocked(self, blocked: bool) -> None:
        """Nothing can be sent now, e.g. no model is there. Writing stays possible."""
        self._blocked = blocked
        self._show_state()

    def set_queue(self, texts: list[str]) -> None:
        """The messages that wait."""
        self.queue.set_texts(texts)

    def set_sees(self, sees: bool) -> None:
        """Whether the model that answers can look at images."""
        self.field.takes_pictures = sees
        self.attach_button.setVisible(sees)

    def set_attachments(self, items: list[Attachment]) -> None:
        """The images that go with the next message."""
        self.attachments.set_items(items)
        self._show_state()

    def set_notice(self, text: str) -> None:
        """A line above the field that says why something was not sent; "" takes it away."""
        self.notice.setText(text)
        self.notice.setVisible(bool(text))

    def set_remote(self, words: str, picture: str = "cloud", hint: str = "") -> None:
        """A line that stays as long as what is written goes elsewhere; "" takes it away."""
        self.remote_words.setText(words)
        self.remote.setToolTip(hint)
        self.remote.setAccessibleName(words)
        self.remote_picture.show_picture(picture)
        self.remote.setVisible(bool(words))

    def focus(self) -> None:
        """Put the cursor into the field."""
        self.field.setFocus(Qt.FocusReason.OtherFocusReason)

    def _build(self) -> None:
        self.frame = frame("composer")
        self.frame.setLayout(
            column(self.documents, self.attachments, self.field, self._buttons(), spacing=10, margins=(14, 12, 9, 11))
        )
        self.remote = frame("remote")
        self.remote_picture = Picture("cloud", "amber", 16)
        self.remote_words = label("", "remoteLine", wrap=True)
        self.remote.setLayout(row(self.remote_picture, self.remote_words, margins=(12, 5, 12, 5), spacing=8, grow=1))
        self.remote.hide()
        self.setLayout(column(self.notice, self.queue, self.remote, self.frame))

    def _buttons(self) -> QHBoxLayout:
        self.panel_button = button(
            tr("chat.sampling_button"), self.panel_wanted.emit, "small", name=tr("chat.action_panel")
        )
        self.attach_button = icon_button("image", tr("chat.attach"), self._choose_files)
        self.attach_button.hide()
        self.documents_button = icon_button("file-text", tr("documents.attach_hint"), self.documents_wanted.emit)
        self.hint = label(tr("chat.enter_hint"), "faint")
        self.hint.setToolTip(tr("chat.enter_hint_long"))
        self.stop_button = button(tr("chat.stop"), self.stop_wanted.emit)
        self.stop_button.setToolTip(tr("chat.stop_hint"))
        self.send_button = button(tr("chat.send"), self._submit, "main")
        return row(
            self.panel_button,
            self.attach_button,
            self.documents_button,
            None,
            self.hint,
            self.stop_button,
            self.send_button,
        )

    def _submit(self) -> None:
        text = self.text()
        if (text.strip() or self.attachments.items) and not self._blocked:
            self.set_notice("")
            self.submitted.emit(text)

    def _choose_files(self) -> None:
        kinds = f"{tr('chat.images')} ({' '.join('*' + suffix for suffix in SUFFIXES)})"
        files, _ = QFileDialog.getOpenFileNames(self.window(), tr("chat.attach"), "", kinds)
        if files:
            self.files_given.emit(files)

    def _escape(self) -> None:
        if self._running:
            self.stop_wanted.emit()

    def _changed(self) -> None:
        self._show_state()
        self.text_changed.emit()

    def _mark_focus(self, focused: bool) -> None:
        restyle(self.frame, "focused", focused)

    def _show_state(self) -> None:
        written = bool(self.text().strip() or self.attachments.items)
        self.stop_button.setVisible(self._running)
        self.send_button.setVisible(written or not self._running)
        self.send_button.setEnabled(written and not self._blocked)
        self.send_button.setText(tr("chat.queue_add") if self._running else tr("chat.send"))


def png_of(image: QImage) -> bytes:
    """A picture of the clipboard as a file's bytes."""
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    image.save(buffer, "PNG")  # type: ignore[call-overload]  # the stubs know bytes only, Qt's documentation text
    return bytes(buffer.data().data())
