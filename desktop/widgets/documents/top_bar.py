"""The bar above a collection: its name, how it is searched, and what can be done with it."""

from __future__ import annotations

from functools import partial
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame

from desktop.text import tr
from desktop.widgets.make import button, label, restyle, row


class TopBar(QFrame):
    """`wanted(what)`: chat, sync, settings or remove."""

    wanted = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("kind", "topbar")
        self.setFixedHeight(52)
        self.name, self.badge = label("", "title"), label("", "badge")
        self.name.setMinimumWidth(40)
        buttons = [button(tr(f"documents.{what}"), partial(self.wanted.emit, what)) for what in ("chat", "sync")]
        buttons[1].setToolTip(tr("documents.sync_hint"))
        buttons.append(button(tr("documents.settings"), partial(self.wanted.emit, "settings")))
        remove = partial(self.wanted.emit, "remove")
        buttons.append(button(tr("documents.remove"), remove, "danger", name=tr("documents.action_remove")))
        self.setLayout(row(self.name, self.badge, None, *buttons, margins=(20, 0, 20, 0)))

    def show_collection(self, collection: dict[str, Any]) -> None:
        """Show this one."""
        vectors = bool(collection["embedder"])
        self.name.setText(collection["name"])
        self.name.setToolTip(collection["name"])
        self.badge.setText(tr("documents.with_meaning" if vectors else "documents.words_only"))
        self.badge.setToolTip(_hint(collection))
        restyle(self.badge, "kind", "badge" if vectors else "remote")


def _hint(collection: dict[str, Any]) -> str:
    if not collection["embedder"]:
        return tr("documents.words_only_hint")
    embedder = collection["settings"]["embedder"] or tr("documents.usual")
    return tr("documents.with_meaning_hint", embedder=embedder)
