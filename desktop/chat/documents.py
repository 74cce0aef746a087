"""Which documents the conversation on show is answered from: chosen in a menu, shown as chips."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QMenu

from desktop.chat.conversation import Conversation
from desktop.chat.session import ChatSession
from desktop.desk import Desk
from desktop.text import tr
from desktop.widgets.composer import Composer
from engine.api.messages import DocumentUse

MOST_FILES = 40  # offered one by one in a menu


class ChatDocuments(QObject):
    """Belongs to a composer."""

    def __init__(self, desk: Desk, composer: Composer, shown: Callable[[], Conversation], session: ChatSession) -> None:
        super().__init__(composer)
        self._desk, self._composer, self._shown, self._session = desk, composer, shown, session
        self.menu = QMenu(composer)
        composer.documents_wanted.connect(self.open_menu)
        composer.documents.removed.connect(self.remove)

    def show(self) -> None:
        """Show what the conversation on show is answered from."""
        self._composer.documents.set_used(self.used())

    def used(self) -> list[DocumentUse]:
        """What the conversation on show is answered from."""
        return list(self._shown().chat.get("documents") or [])

    def remove(self, place: int) -> None:
        """No longer answer from one of them."""
        used = self.used()
        del used[place]
        self._use(used)

    def toggle(self, collection: dict[str, Any]) -> None:
        """Answer from all of a collection, or no longer from it."""
        used = self.used()
        rest = [one for one in used if one["collection"] != collection["id"]]
        whole = any(one["collection"] == collection["id"] and not one["files"] for one in used)
        fresh = DocumentUse(collection=collection["id"], name=collection["name"], files=[])
        self._use(rest if whole else [*rest, fresh])

    def toggle_file(self, collection: dict[str, Any], file: int) -> None:
        """Answer from one file of a collection, or no longer from it."""
        used = self.used()
        known = next((one for one in used if one["collection"] == collection["id"]), None)
        files = [one for one in (known["files"] if known else []) if one != file]
        if known is None or file not in known["files"]:
            files.append(file)
        rest = [one for one in used if one["collection"] != collection["id"]]
        fresh = DocumentUse(collection=collection["id"], name=collection["name"], files=files)
        self._use([*rest, fresh] if files else rest)

    def open_menu(self) -> None:
        """Show the collections there are."""
        self._desk.client.call("docs.collections", result=self._show_menu, error=self._desk.toast_error, owner=self)

    def _show_menu(self, result: dict[str, Any]) -> None:
        self.menu.clear()
        for collection in result["collections"]:
            self._add_collection(collection)
        if not result["collections"]:
            self.menu.addAction(tr("documents.attach_none")).setEnabled(False)
        self.menu.addSeparator()
        self.menu.addAction(tr("documents.attach_manage"), partial(self._desk.open_page, "documents"))
        button = self._composer.documents_button
        above = button.mapToGlobal(button.rect().topLeft())
        above.setY(above.y() - self.menu.sizeHint().height())
        self.menu.popup(above)

    def _add_collection(self, collection: dict[str, Any]) -> None:
        inner = self.menu.addMenu(collection["name"].replace("&", "&&"))
        known = next((one for one in self.used() if one["collection"] == collection["id"]), None)
        whole = inner.addAction(tr("documents.attach_all"), partial(self.toggle, collection))
        whole.setCheckable(True)
        whole.setChecked(known is not None and not known["files"])
        inner.aboutToShow.connect(partial(self._fetch_files, inner, collection))

    def _fetch_files(self, inner: QMenu, collection: dict[str, Any]) -> None:
        params = {"collection": collection["id"], "limit": MOST_FILES, "state": "indexed"}
        fill = partial(self._add_files, inner, collection)
        self._desk.client.call("docs.files", params, result=fill, owner=inner)

    def _add_files(self, inner: QMenu, collection: dict[str, Any], result: dict[str, Any]) -> None:
        if len(inner.actions()) > 1:
            return
        inner.addSeparator()
        chosen = [file for one in self.used() if one["collection"] == collection["id"] for file in one["files"]]
        for file in result["files"]:
            action = inner.addAction(file["name"].replace("&", "&&"), partial(self.toggle_file, collection, file["id"]))
            action.setCheckable(True)
            action.setChecked(file["id"] in chosen)

    def _use(self, used: list[DocumentUse]) -> None:
        self._session.update(self._shown(), documents=used)
        self.show()
