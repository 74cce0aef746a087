"""The command palette: every action by a few letters of its name, in either language."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QObject, QPoint, QSize, Qt
from PySide6.QtGui import QKeyEvent, QKeySequence
from PySide6.QtWidgets import QDialog, QLineEdit, QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from desktop.actions import Action
from desktop.text import LANGUAGES, tr, words
from desktop.widgets.make import frame, label, row

if TYPE_CHECKING:
    from desktop.desk import Desk

MOST_ROWS = 10
MOVES = (Qt.Key.Key_Up, Qt.Key.Key_Down, Qt.Key.Key_PageUp, Qt.Key.Key_PageDown)


class Palette(QDialog):
    """Type, choose with the arrows, Enter does it, Esc leaves."""

    def __init__(self, desk: Desk, parent: QWidget) -> None:
        super().__init__(parent, Qt.WindowType.Popup | Qt.WindowType.FramelessWindowHint)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setAccessibleName(tr("frame.palette"))
        self._desk = desk
        self.field = QLineEdit(placeholderText=tr("frame.palette_prompt"))
        self.field.setAccessibleName(tr("frame.palette_prompt"))
        self.list = QListWidget()
        self.list.setProperty("kind", "palette")
        self.list.setAccessibleName(tr("frame.palette_list"))
        self.list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._empty = label(tr("frame.palette_empty"), "dim")
        self._build(parent)
        self.field.textChanged.connect(self._filter)
        self.field.installEventFilter(self)
        self.list.itemClicked.connect(self._run)
        self._filter("")

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Arrows and Enter work while the keyboard stays in the field."""
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            if event.key() in MOVES:
                self.list.event(event)
                return True
            if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
                self._run(self.list.currentItem())
                return True
        return super().eventFilter(watched, event)

    def _build(self, parent: QWidget) -> None:
        card = frame("card")
        box = QVBoxLayout(card)
        box.setContentsMargins(8, 8, 8, 8)
        for widget in (self.field, self._empty, self.list):
            box.addWidget(widget)
        self.setLayout(row(card))
        width = min(560, parent.width() - 64)
        self.setFixedWidth(width)
        self.move(parent.mapToGlobal(QPoint((parent.width() - width) // 2, 64)))

    def _filter(self, query: str) -> None:
        self.list.clear()
        ranked = sorted(
            (-score, number, action)
            for number, action in enumerate(self._desk.actions)
            if action.id != "frame.palette" and (score := max(match(query, name) for name in names(action))) > 0
        )
        for *_, action in ranked:
            self._add(action)
        self.list.setCurrentRow(0)
        self._empty.setVisible(not ranked)
        height = self.list.sizeHintForRow(0) * min(len(ranked), MOST_ROWS) + 4 if ranked else 0
        self.list.setFixedHeight(height)
        self.adjustSize()

    def _add(self, action: Action) -> None:
        item = QListWidgetItem()
        item.setData(Qt.ItemDataRole.UserRole, action)
        item.setData(Qt.ItemDataRole.AccessibleTextRole, action.label)
        keys = QKeySequence(action.shortcut).toString(QKeySequence.SequenceFormat.NativeText)
        line = QWidget()
        line.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        line.setLayout(row(label(action.label), None, label(keys, "faint"), margins=(10, 4, 10, 4)))
        item.setSizeHint(QSize(0, line.sizeHint().height() + 6))
        self.list.addItem(item)
        self.list.setItemWidget(item, line)

    def _run(self, item: QListWidgetItem | None) -> None:
        if item is not None:
            action = item.data(Qt.ItemDataRole.UserRole)
            self.close()
            self._desk.run(action)


def names(action: Action) -> list[str]:
    """What an action may be called by: its words in every language."""
    area, _, name = action.id.partition(".")
    found = [words(language).get(f"{area}.action_{name}", "") for language in LANGUAGES]
    return [action.label, *(name for name in found if name)]


def match(query: str, name: str) -> float:
    """How well the letters of `query` are found in `name`, in order: 0 not at all, more is better."""
    query, name = "".join(query.lower().split()), name.lower()
    score, at = 1.0, -1
    for letter in query:
        found = name.find(letter, at + 1)
        if found < 0:
            return 0.0
        next_to = at >= 0 and found == at + 1
        begins = found == 0 or not name[found - 1].isalnum()
        score += 3.0 if next_to else 2.0 if begins else 0.5
        at = found
    return score + (len(query) / (len(name) + 1))
