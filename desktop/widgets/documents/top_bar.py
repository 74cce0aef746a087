"""The bar above a collection: its name, how it is searched, and what can be done with it."""

from __future__ import annotations

from functools import partial
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFrame, QMenu, QSizePolicy

from desktop.text import tr
from desktop.widgets.make import button, icon_button, label, restyle, row, tip

NARROW = 560  # px: below this the badge has no room


class TopBar(QFrame):
    """`wanted(what)`: chat, sync, settings, new or remove."""

    wanted = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("kind", "topbar")
        self.setFixedHeight(52)
        self.name, self.badge = label("", "title"), label("", "badge")
        self.name.setMinimumWidth(40)
        self.name.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.badge.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.chat = button(tr("documents.chat"), partial(self.wanted.emit, "chat"))
        self.settings = button(tr("documents.settings"), partial(self.wanted.emit, "settings"))
        self.more = icon_button("ellipsis", tr("documents.more"), self._open_menu)
        items = (self.name, self.badge, self.chat, self.settings, self.more)
        self.setLayout(row(*items, margins=(20, 0, 16, 0), grow=0))

    def show_collection(self, collection: dict[str, Any]) -> None:
        """Show this one."""
        vectors = bool(collection["embedder"])
        self.name.setText(collection["name"])
        self.name.setToolTip(tip(collection["name"]))
        self.badge.setText(tr("documents.with_meaning" if vectors else "documents.words_only"))
        self.badge.setToolTip(tip(_hint(collection)))
        restyle(self.badge, "kind", "badge" if vectors else "remote")

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.badge.setVisible(self.width() >= NARROW)

    def _open_menu(self) -> None:
        menu = QMenu(self)
        menu.setToolTipsVisible(True)
        menu.addAction(tr("documents.sync"), partial(self.wanted.emit, "sync")).setToolTip(tr("documents.sync_hint"))
        menu.addSeparator()
        menu.addAction(tr("documents.action_remove"), partial(self.wanted.emit, "remove"))
        menu.aboutToHide.connect(menu.deleteLater)
        menu.popup(self.more.mapToGlobal(self.more.rect().bottomLeft()))


def _hint(collection: dict[str, Any]) -> str:
    if not collection["embedder"]:
        return tr("documents.words_only_hint")
    embedder = collection["settings"]["embedder"] or tr("documents.usual")
    return tr("documents.with_meaning_hint", embedder=embedder)
