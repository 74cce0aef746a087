"""The panel beside a page: the place a citation or a passage stands at, marked."""

from __future__ import annotations

from functools import partial
from typing import Any

from PySide6.QtCore import Qt, QTimer, QUrl, Signal
from PySide6.QtGui import QColor, QDesktopServices, QGuiApplication, QResizeEvent, QTextCharFormat, QTextCursor
from PySide6.QtWidgets import QFrame, QPlainTextEdit, QTextEdit, QWidget

from desktop.desk import Desk
from desktop.text import error_text, tr
from desktop.theme import theme, theme_keeper
from desktop.widgets.documents.cited_text import place_words
from desktop.widgets.documents.page_view import PageView
from desktop.widgets.grid import scrolled
from desktop.widgets.make import button, column, icon_button, label, row, tip
from engine.api.errors import UserError

WIDTH, PICTURE_PX = 316, 900
ABOVE = 60  # pixels shown above the marked passage
LONGEST_QUOTE = 320  # characters


class Preview(QFrame):
    """`show_place(place, among)` opens it: {file, name, path, page, start, end, boxes, quote or text, number?}, one of
    several between which one can turn; `opened`, and `closed` when it is put away."""

    opened = Signal()
    closed = Signal()

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.setProperty("kind", "panel")
        self.setFixedWidth(WIDTH)
        self.setAccessibleName(tr("documents.preview"))
        self._desk = desk
        self.place: dict[str, Any] | None = None
        self.shown_page = 0
        self._among: list[dict[str, Any]] = []
        self._pages = 0
        self._title, self._number = label("", "heading"), label("", "dim")
        self._where = label("", "dim", wrap=True)
        self.quote = label("", "", wrap=True)
        self._page_words = label("", "faint")
        self.page, self.text = PageView(), QPlainTextEdit(readOnly=True)
        self.text.setAccessibleName(tr("documents.text_of_file"))
        self.problem = label("", "red", wrap=True)
        self._build()
        theme_keeper().changed.connect(self._mark_text)
        self.hide()

    def show_place(self, place: dict[str, Any], among: list[dict[str, Any]] | None = None) -> None:
        """Open a place: the page's picture where there is one, else the text around it."""
        self.place, self._among, self._pages = place, among or [place], 0
        self._show_head(place)
        self.problem.hide()
        if beside := self.parentWidget():
            self.set_room(beside.width())
        self.show()
        self.opened.emit()
        self._fetch(max(1, int(place["page"] or 1)))

    def turn(self, step: int) -> None:
        """Another page of the same document."""
        if self.place and 1 <= self.shown_page + step <= max(self._pages, 1):
            self._fetch(self.shown_page + step)

    def go(self, step: int) -> None:
        """The next or the previous one of several places."""
        if self.place in self._among:
            following = self._among.index(self.place) + step
            if 0 <= following < len(self._among):
                self.show_place(self._among[following], self._among)

    def put_away(self) -> None:
        """Close the panel."""
        if not self.isHidden():
            self.place = None
            self.hide()
            self.closed.emit()

    def set_room(self, width: int) -> None:
        """How wide the page is that it opens beside."""
        self.setFixedWidth(max(WIDTH, min(460, width * 36 // 100)))

    def resizeEvent(self, event: QResizeEvent) -> None:
        """A wider page is a higher one: the passage stays in sight."""
        super().resizeEvent(event)
        QTimer.singleShot(0, self, self._scroll_to_mark)

    def _build(self) -> None:
        self.back = icon_button("chevron-left", tr("documents.place_before"), lambda: self.go(-1))
        self.forward = icon_button("chevron-right", tr("documents.place_after"), lambda: self.go(1))
        self.before = icon_button("chevron-up", tr("documents.page_before"), lambda: self.turn(-1))
        self.after = icon_button("chevron-down", tr("documents.page_after"), lambda: self.turn(1))
        self.quote.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        close = icon_button("x", tr("frame.close"), self.put_away)
        head = row(self._title, None, self.back, self._number, self.forward, close, spacing=2, margins=(16, 12, 10, 0))
        self._turning = QWidget()
        self._turning.setLayout(row(self._page_words, None, self.before, self.after, margins=(16, 0, 10, 0), spacing=2))
        inner = QWidget()
        inner.setLayout(column(self.page, None, margins=(16, 0, 16, 0)))
        self._scroll = scrolled(inner, tr("documents.preview"))
        told = column(self._where, self.quote, self.problem, margins=(16, 0, 16, 4), spacing=6)
        open_file = button(tr("documents.open_file"), self._open_file)
        copy = button(tr("documents.copy_quote"), self._copy)
        foot = row(open_file, copy, margins=(16, 8, 16, 16), grow=0)
        self._text_box = QWidget()
        self._text_box.setLayout(column(self.text, margins=(16, 0, 16, 0)))
        self.setLayout(column(head, told, self._turning, self._scroll, self._text_box, foot, spacing=4))
        self._text_box.hide()
        self.problem.hide()

    def _show_head(self, place: dict[str, Any]) -> None:
        number, many = place.get("number", 0), len(self._among)
        self._title.setText(tr("documents.citation", number=number) if number else tr("documents.passage"))
        at = self._among.index(place) + 1
        self._number.setText(f"{at} / {many}")
        for part in (self.back, self._number, self.forward):
            part.setVisible(many > 1)
        self.back.setEnabled(at > 1)
        self.forward.setEnabled(at < many)
        self._where.setText(place_words(place))
        self._where.setToolTip(tip(place.get("path", "")))
        words = " ".join(str(place.get("quote") or place.get("text") or "").split())
        self.quote.setText(words if len(words) <= LONGEST_QUOTE else f"{words[:LONGEST_QUOTE]}…")

    def _fetch(self, page: int) -> None:
        if self.place is None:
            return
        self.shown_page = page
        params = {"file": self.place["file"], "page": page, "width_px": PICTURE_PX}
        show = partial(self._show_picture, self.place, page)
        self._desk.client.call("docs.page", params, result=show, error=self._no_picture, owner=self)

    def _show_picture(self, place: dict[str, Any], page: int, result: dict[str, Any]) -> None:
        if place is not self.place or page != self.shown_page:
            return
        if not result.get("png"):
            self._fetch_text()
            return
        self._pages = int(result.get("pages", 0))
        self._show_where(page)
        self._text_box.hide()
        self._scroll.show()
        self.quote.setVisible(not self._boxes(place, page))
        self.page.show_page(result, self._boxes(place, page))
        QTimer.singleShot(0, self, self._scroll_to_mark)

    @staticmethod
    def _boxes(place: dict[str, Any], page: int) -> list[dict[str, Any]]:
        return [box for box in place.get("boxes") or [] if box["page"] == page]

    def _scroll_to_mark(self) -> None:
        self._scroll.verticalScrollBar().setValue(max(0, self.page.first_mark - ABOVE))

    def _no_picture(self, error: UserError) -> None:
        """What was read of it is kept, also where the file itself is gone."""
        self._fetch_text()

    def _fetch_text(self) -> None:
        if self.place is not None:
            show = partial(self._show_text, self.place)
            params = {"file": self.place["file"]}
            self._desk.client.call("docs.text", params, result=show, error=self._no_text, owner=self)

    def _no_text(self, error: UserError) -> None:
        self._scroll.hide()
        self.problem.setText(" ".join(part for part in error_text(error) if part))
        self.problem.show()

    def _show_text(self, place: dict[str, Any], result: dict[str, Any]) -> None:
        if place is not self.place:
            return
        self._pages = 0
        self._show_where(0)
        self._scroll.hide()
        self.quote.hide()
        self.text.setPlainText(result["text"])
        self._text_box.show()
        self._mark_text()

    def _show_where(self, page: int) -> None:
        self._turning.setVisible(self._pages > 1)
        self._page_words.setText(tr("documents.page_of", page=page, pages=self._pages))
        self.before.setEnabled(page > 1)
        self.after.setEnabled(page < self._pages)

    def _mark_text(self) -> None:
        """The passage in amber, and in sight."""
        if self.place is None or self._text_box.isHidden():
            return
        text = self.text.toPlainText()
        length = self.text.document().characterCount() - 1
        cursor = QTextCursor(self.text.document())
        cursor.setPosition(min(utf16(text, int(self.place["start"])), length))
        cursor.setPosition(min(utf16(text, int(self.place["end"])), length), QTextCursor.MoveMode.KeepAnchor)
        form = QTextCharFormat()
        form.setBackground(QColor(theme().amber_soft))
        form.setForeground(QColor(theme().text))
        mark = QTextEdit.ExtraSelection()
        mark.cursor, mark.format = cursor, form
        self.text.setExtraSelections([mark])
        seen = QTextCursor(cursor)
        seen.setPosition(cursor.selectionStart())
        self.text.setTextCursor(seen)
        self.text.centerCursor()

    def marked_text(self) -> str:
        """The words that are marked in the text, "" where a picture is shown."""
        marks = self.text.extraSelections() if not self._text_box.isHidden() else []
        return str(marks[0].cursor.selectedText()).replace("\u2029", "\n") if marks else ""

    def _open_file(self) -> None:
        if self.place:
            QDesktopServices.openUrl(QUrl.fromLocalFile(self.place["path"]))

    def _copy(self) -> None:
        if self.place:
            QGuiApplication.clipboard().setText(str(self.place.get("quote") or self.place.get("text") or ""))
            self._desk.toast(tr("frame.copied"))


def utf16(text: str, at: int) -> int:
    """The place of character `at` as Qt counts: letters beyond the first plane take two."""
    return at + sum(ord(letter) > 0xFFFF for letter in text[:at])
