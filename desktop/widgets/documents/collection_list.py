"""The collections beside the page."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QModelIndex, Signal
from PySide6.QtWidgets import QFrame

from desktop.listmodels.chats import Roles
from desktop.listmodels.documents import CollectionsModel
from desktop.text import tr
from desktop.widgets.chat_list import WIDTH, Rows
from desktop.widgets.make import button, column, label, row


class CollectionList(QFrame):
    """`chosen(id)`, `new_wanted`, `remove_wanted(id)`."""

    chosen = Signal(str)
    new_wanted = Signal()
    remove_wanted = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("kind", "side")
        self.setFixedWidth(WIDTH)
        self.model = CollectionsModel()
        self.list = Rows()
        self.list.setModel(self.model)
        self.list.setAccessibleName(tr("documents.collections"))
        self.new_button = button(tr("documents.new"), self.new_wanted.emit)
        foot = label(tr("documents.local"), "faint", wrap=True)
        top = row(self.new_button, margins=(12, 12, 12, 6), grow=0)
        inside = column(self.list, margins=(12, 0, 11, 0))
        self.setLayout(column(top, inside, row(foot, margins=(20, 4, 12, 14)), spacing=4))
        self.list.opened.connect(self._open)
        self.list.delete_wanted.connect(lambda index: self.remove_wanted.emit(index.data(Roles.chat_id)))

    def show_rows(self, rows: list[dict[str, Any]], current: str) -> None:
        """Show these collections, and mark the one that is open."""
        self.model.set_rows(rows)
        self.list.setCurrentIndex(self.model.place(current))

    def _open(self, index: QModelIndex) -> None:
        self.chosen.emit(index.data(Roles.chat_id))
