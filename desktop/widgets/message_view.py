"""The messages of a conversation. Rows are built newest first, older ones as the person scrolls up to them."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QPoint, Qt, QTimer, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QApplication, QScrollArea, QVBoxLayout, QWidget

from desktop.text import tr
from desktop.widgets.make import button
from desktop.widgets.message_row import AnswerRow, MessageRow, QuestionRow, make_row
from engine.api.messages import Message

CHUNK = 20  # rows built at a time
NEAR = 400  # px from the top at which older rows are built
AT_END = 24  # px from the end that still count as being there
COLUMN = 760  # px: longer lines read badly
MARGIN = 34

Branches = Callable[[int], list[int]]


class MessageView(QScrollArea):
    """Shows a path of messages and follows the end only while the person is there."""

    wanted = Signal(str, int)
    edited = Signal(int, str)
    place_wanted = Signal(dict, list)  # a place in a document, one of several

    def __init__(self) -> None:
        super().__init__()
        self._messages: list[Message] = []
        self._branches: Branches = lambda number: [number]
        self._rows: dict[int, MessageRow] = {}
        self._first = 0  # place of the first message that has a row
        self._following = True
        self.unfold_thinking = False
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setAccessibleName(tr("chat.messages_name"))
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._build()
        QApplication.instance().focusChanged.connect(self._focus_moved)  # type: ignore[union-attr]
        bar = self.verticalScrollBar()
        bar.valueChanged.connect(self._scrolled)
        bar.rangeChanged.connect(self._grown)

    def set_path(self, messages: list[Message], branches: Branches) -> None:
        """Show these messages. Rows of messages that stay are kept as they are."""
        old, self._messages, self._branches = self._messages, messages, branches
        same = _common([m["id"] for m in old], [m["id"] for m in messages])
        fresh = same == 0 or same < self._first
        self._drop_rows(old, 0 if fresh else same)
        if fresh:
            self._first = max(0, len(messages) - CHUNK)
            self._following = True
        for message in messages[self._first :]:
            self._show(message)
        if fresh or same < len(messages):
            self.jump_to_end()

    def update_message(self, number: int, message: Message, thought_s: float | None = None) -> None:
        """State, figures or text of one message changed."""
        row = self._rows.get(number)
        if isinstance(row, AnswerRow):
            row.update_message(message, thought_s)

    def append(self, number: int, text: str, thinking: str) -> None:
        """More of an answer arrived."""
        row = self._rows.get(number)
        if isinstance(row, AnswerRow):
            row.append(text, thinking)

    def set_waiting(self, number: int, words: str) -> None:
        """What an answer is waiting for."""
        row = self._rows.get(number)
        if isinstance(row, AnswerRow):
            row.set_waiting(words)

    def row(self, number: int) -> MessageRow | None:
        """The row of a message, None if it is not built."""
        return self._rows.get(number)

    def rows(self) -> list[MessageRow]:
        """All rows that are built, top to bottom."""
        return [self._rows[m["id"]] for m in self._messages if m["id"] in self._rows]

    def show_message(self, number: int) -> None:
        """Scroll to a message, building rows up to it."""
        places = [place for place, m in enumerate(self._messages) if m["id"] == number]
        if places and places[0] < self._first:
            self._build_older(max(0, places[0] - 4))
        row = self._rows.get(number)
        if row is not None:
            self._following = False
            QTimer.singleShot(0, row, lambda: self._scroll_to(row))

    def jump_to_end(self) -> None:
        """Go to the newest words and follow them from now on."""
        self._following = True
        self.verticalScrollBar().setValue(self.verticalScrollBar().maximum())
        self._place_jump()

    @property
    def following(self) -> bool:
        """Whether the view stays at the end while text arrives."""
        return self._following

    def apply_theme(self) -> None:
        """Colours changed."""
        for row in self._rows.values():
            row.apply_theme()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        side = side_margin(self.width())
        bar = self.width() - self.viewport().width()
        self._box.setContentsMargins(side, 22, max(0, side - bar), 16)
        self._place_jump()

    def _build(self) -> None:
        self._column = QWidget()
        self._box = QVBoxLayout(self._column)
        self._box.setSpacing(6)
        self._box.addStretch(1)
        self.setWidget(self._column)
        self.jump = button(tr("chat.jump_to_end"), self.jump_to_end, "jump")
        self.jump.setParent(self)
        self.jump.hide()

    def _focus_moved(self, old: QWidget | None, new: QWidget | None) -> None:
        for widget in (old, new):
            while widget is not None and not isinstance(widget, QuestionRow):
                widget = widget.parentWidget()  # noqa: PLW2901 - up to the row, if it is in one
            if widget is not None:
                widget.show_actions()

    def _show(self, message: Message) -> None:
        row = self._rows.get(message["id"])
        if row is None:
            self._insert(message, self._box.count() - 1)
        else:
            row.set_branches(self._branches(message["id"]))
            if isinstance(row, AnswerRow):
                row.update_message(message)

    def _insert(self, message: Message, place: int) -> None:
        row = make_row(message, self._branches(message["id"]), self.unfold_thinking)
        row.wanted.connect(self.wanted)
        row.edited.connect(self.edited)
        if isinstance(row, AnswerRow):
            row.place_wanted.connect(self.place_wanted)
        self._rows[message["id"]] = row
        self._box.insertWidget(place, row)

    def _drop_rows(self, messages: list[Message], keep: int) -> None:
        for message in messages[keep:]:
            row = self._rows.pop(message["id"], None)
            if row is not None:
                self._box.removeWidget(row)
                row.hide()
                row.deleteLater()

    def _build_older(self, first: int) -> None:
        """Put the rows from place `first` on top; what is being read stays where it is."""
        anchor = self._rows.get(self._messages[self._first]["id"]) if self._first < len(self._messages) else None
        before = anchor.mapTo(self._column, QPoint(0, 0)).y() if anchor else 0
        for place, message in enumerate(self._messages[first : self._first]):
            self._insert(message, place)
        self._first = first
        self._box.activate()
        self._column.adjustSize()
        if anchor is not None:
            moved = anchor.mapTo(self._column, QPoint(0, 0)).y() - before
            self.verticalScrollBar().setValue(self.verticalScrollBar().value() + moved)

    def _scrolled(self, value: int) -> None:
        bar = self.verticalScrollBar()
        # Text that arrives moves the maximum, not the person: only a move away from the end stops the following.
        self._following = value >= bar.maximum() - AT_END
        self._place_jump()
        if value < NEAR and self._first > 0:
            QTimer.singleShot(0, self, self._fill_top)

    def _fill_top(self) -> None:
        if self._first > 0 and self.verticalScrollBar().value() < NEAR:
            self._build_older(max(0, self._first - CHUNK))

    def _grown(self, low: int, high: int) -> None:
        if self._following:
            self.verticalScrollBar().setValue(high)
        self._place_jump()

    def _scroll_to(self, row: MessageRow) -> None:
        self.verticalScrollBar().setValue(max(0, row.mapTo(self._column, QPoint(0, 0)).y() - 40))

    def _place_jump(self) -> None:
        bar = self.verticalScrollBar()
        self.jump.setVisible(bar.value() < bar.maximum() - AT_END)
        self.jump.adjustSize()
        self.jump.move((self.width() - self.jump.width()) // 2, self.height() - self.jump.height() - 8)
        self.jump.raise_()


def side_margin(width: int) -> int:
    """Room left and right of the column in a page of this width."""
    return max(20 if width < 500 else MARGIN, (width - COLUMN) // 2)


def _common(old: list[int], new: list[int]) -> int:
    """How many messages at the start are the same."""
    count = 0
    for left, right in zip(old, new, strict=False):
        if left != right:
            break
        count += 1
    return count
