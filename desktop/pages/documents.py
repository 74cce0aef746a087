"""The documents page: collections, their files, and questions to them."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QKeySequence, QResizeEvent, QShortcut
from PySide6.QtWidgets import QButtonGroup, QMessageBox, QPushButton, QStackedWidget, QWidget

from desktop.actions import Action
from desktop.desk import Desk
from desktop.job_cards import JobCards
from desktop.page import Page, PageWidget
from desktop.text import error_text, tr
from desktop.theme import theme
from desktop.widgets.documents.ask_view import AskView
from desktop.widgets.documents.collection_dialog import CollectionDialog
from desktop.widgets.documents.collection_list import CollectionList
from desktop.widgets.documents.drop_area import Beginning
from desktop.widgets.documents.files_view import FilesView
from desktop.widgets.documents.preview import Preview
from desktop.widgets.documents.retrieval_view import RetrievalView
from desktop.widgets.documents.scorecard_view import ScorecardView
from desktop.widgets.documents.top_bar import TopBar
from desktop.widgets.drop_target import dropped_paths
from desktop.widgets.make import button, column, frame, label, row
from engine.api.errors import UserError
from engine.api.messages import JobRow

TABS = ("ask", "files", "retrieval", "scorecard")
MOST_FILES = 5000
SOON_MS = 300  # counts change often while files are read; they are asked for so often at most
NARROW = 900  # px: below this the list makes room for the preview


class DocumentsPage(PageWidget):
    """`opened` fetches; `show_collections` and what it calls draw. `opened` takes `collection`, `tab`, `talks`."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.rows: list[dict[str, Any]] = []
        self.current = ""
        self.side, self.preview = CollectionList(), Preview(desk)
        self.bar, self.beginning = TopBar(), Beginning()
        self.files, self.jobs = FilesView(), JobCards(desk, self._shows_job)
        self.talks: dict[str, list[tuple[str, dict[str, Any]]]] = {}
        self.asking = AskView(desk, self.talks)
        self.retrieval, self.scorecard = RetrievalView(desk), ScorecardView(desk)
        self.tabs: dict[str, QPushButton] = {}
        self._soon = QTimer(self, singleShot=True, interval=SOON_MS)
        self._soon.timeout.connect(self.fetch)
        self.setAcceptDrops(True)
        self._build()
        self._connect()

    def opened(self, **args: Any) -> None:
        """Fetch the collections; with `collection` (an id) and `tab` open that one."""
        self.talks.update(args.get("talks") or {})
        self.current = str(args.get("collection") or self.current)
        if args.get("tab") in TABS:
            self.show_tab(args["tab"])
        self.fetch()
        self.jobs.fetch()
        QTimer.singleShot(0, self, self._focus)

    def state(self) -> dict[str, Any]:
        """What is open and what was asked survive a change of language."""
        return {"collection": self.current, "tab": self.tab, "talks": self.talks}

    @property
    def tab(self) -> str:
        """What is on show of the collection."""
        return TABS[self._stack.currentIndex()]

    @property
    def collection(self) -> dict[str, Any] | None:
        """The collection on show."""
        return next((one for one in self.rows if one["id"] == self.current), None)

    def fetch(self) -> None:
        """Ask the engine for all collections, and for the files of the one on show."""
        self.desk.client.call("docs.collections", result=self._take_rows, error=self.show_error, owner=self)

    def show_collections(self, rows: list[dict[str, Any]]) -> None:
        """Show these collections; the one that was open stays open."""
        self.rows = rows
        if self.collection is None:
            self.current = rows[0]["id"] if rows else ""
        self.side.show_rows(rows, self.current)
        self.side.setVisible(bool(rows))
        self._whole.setCurrentIndex(1 if rows else 0)
        self._show_current()

    def open_collection(self, collection: str) -> None:
        """Show another collection."""
        if collection != self.current:
            self.current = collection
            self.preview.put_away()
            self.problem.hide()
            self.files.show_files([], 0)
            self.show_collections(self.rows)
            self.jobs.fetch()
            self.fetch_files()

    def show_tab(self, name: str) -> None:
        """Ask, files, retrieval or scorecard."""
        self.tabs[name].setChecked(True)
        self._stack.setCurrentIndex(TABS.index(name))
        if name == "files":
            self.fetch_files()

    def fetch_files(self) -> None:
        """Ask for the files of the collection on show."""
        if self.current:
            params = {"collection": self.current, "limit": MOST_FILES, "state": self.files.state}
            show = partial(self._take_files, self.current)
            self.desk.client.call("docs.files", params, result=show, owner=self)

    def new_collection(self) -> CollectionDialog:
        """Ask for a name."""
        return self._dialog(None)

    def edit_collection(self) -> CollectionDialog | None:
        """Name and settings of the collection on show."""
        return self._dialog(self.collection) if self.collection else None

    def add(self, paths: list[str]) -> None:
        """Add files and folders to the collection on show, or to a new one that is called like the first of them."""
        if self.current:
            self._add_to(self.current, paths)
        else:
            name = self._free_name(Path(paths[0]).stem)
            made = partial(self._made_for, paths)
            self.desk.client.call("docs.create", {"name": name}, result=made, error=self.show_error, owner=self)

    def sync(self) -> None:
        """Look at the disk for what changed."""
        self._ask("docs.sync")

    def retry(self, files: list[int]) -> None:
        """Read files again that could not be read."""
        self._ask("docs.retry", files=files)

    def ask_remove(self) -> QMessageBox | None:
        """Delete the collection on show, once the person has read what that means."""
        if (shown := self.collection) is None:
            return None
        words = tr("documents.remove_text", name=shown["name"], count=shown["files"])
        return self._warn(words, tr("documents.remove_hint"), lambda: self._remove(shown))

    def ask_delete(self, files: list[dict[str, Any]]) -> QMessageBox:
        """Delete files from the collection, once the person has read what that means."""
        one = len(files) == 1
        words = tr("documents.delete_one" if one else "documents.delete_many", name=files[0]["name"], count=len(files))
        ids = [file["id"] for file in files]
        return self._warn(words, tr("documents.delete_hint"), lambda: self._delete(ids))

    def show_place(self, place: dict[str, Any], among: list[dict[str, Any]] | None = None) -> None:
        """Open the place of a citation or passage beside the page."""
        self.preview.set_room(self.width())
        self.preview.show_place(place, among)
        self._fit_side()

    def look_at(self, file: dict[str, Any]) -> None:
        """Open a file from its beginning."""
        self.show_place(
            {"file": file["id"], "name": file["name"], "path": file["path"], "page": 1, "start": 0, "end": 0}
        )

    def chat_about(self) -> None:
        """A conversation that is answered from this collection."""
        if shown := self.collection:
            used = {"collection": shown["id"], "name": shown["name"], "files": []}
            self.desk.open_page("chat", documents=[used])

    def show_error(self, error: UserError) -> None:
        """An error of this page stands above it."""
        self._problem_words.setText(" ".join(part for part in error_text(error) if part))
        self.problem.show()

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Files may be dropped anywhere on the page."""
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Add what was dropped."""
        event.acceptProposedAction()
        if paths := dropped_paths(event):
            self.add(paths)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.preview.set_room(self.width())
        self._fit_side()

    def _build(self) -> None:
        self._stack, self._whole = QStackedWidget(), QStackedWidget()
        for view in (self.asking, self.files, self.retrieval, self.scorecard):
            self._stack.addWidget(view)
        self.problem, self._problem_words = frame("problem"), label("", wrap=True)
        away = button(tr("frame.dismiss"), self.problem.hide, "small")
        self.problem.setLayout(row(self._problem_words, away, margins=(12, 8, 8, 8), grow=0))
        self.problem.hide()
        self.jobs.hide()
        above = column(self.problem, self.jobs, margins=(28, 0, 28, 0))
        body = column(self.bar, self._tab_row(), above, self._stack, spacing=8)
        middle = QWidget()
        middle.setLayout(body)
        self._whole.addWidget(self.beginning)
        self._whole.addWidget(middle)
        self._stack.setMinimumWidth(1)
        line = row(self.side, self._whole, self.preview, spacing=0)
        line.setStretch(1, 1)
        self.setLayout(line)
        self.side.hide()

    def _tab_row(self) -> QWidget:
        group = QButtonGroup(self)
        for name in TABS:
            tab = button(tr(f"documents.tab_{name}"), partial(self.show_tab, name), "tab")
            tab.setCheckable(True)
            group.addButton(tab)
            self.tabs[name] = tab
        self.tabs["ask"].setChecked(True)
        holder = QWidget()
        holder.setLayout(row(*self.tabs.values(), None, margins=(28, 0, 28, 0), spacing=0))
        return holder

    def _connect(self) -> None:
        wishes = {
            "chat": self.chat_about,
            "sync": self.sync,
            "settings": self.edit_collection,
            "remove": self.ask_remove,
        }
        self.bar.wanted.connect(lambda what: wishes[what]())
        self.side.chosen.connect(self.open_collection)
        self.side.new_wanted.connect(self.new_collection)
        self.side.remove_wanted.connect(lambda _: self.ask_remove())
        for source in (self.files, self.beginning.drop):
            source.given.connect(self.add)
        self.files.opened.connect(self.look_at)
        self.files.retry_wanted.connect(self.retry)
        self.files.delete_wanted.connect(self.ask_delete)
        self.files.state_chosen.connect(lambda _: self.fetch_files())
        for view in (self.asking, self.retrieval):
            view.place_wanted.connect(self.show_place)
        self.preview.closed.connect(self._fit_side)
        self.jobs.changed.connect(lambda: self.jobs.setVisible(bool(self.jobs.cards)))
        self.desk.client.broadcast.connect(self._on_broadcast)
        escape = QShortcut(QKeySequence(Qt.Key.Key_Escape), self)
        escape.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        escape.activated.connect(self.preview.put_away)

    def _focus(self) -> None:
        """Where one goes on: the question, or the list."""
        place = self.asking.field if self.tab == "ask" and self.rows else self.side.list
        place.setFocus(Qt.FocusReason.OtherFocusReason)

    def _do(self, what: str) -> None:
        wishes = {"chat": self.chat_about, "sync": self.sync, "settings": self.edit_collection}
        wishes.get(what, self.ask_remove)()

    def _take_rows(self, result: dict[str, Any]) -> None:
        self.show_collections(result["collections"])
        if self.tab == "files":
            self.fetch_files()

    def _take_files(self, collection: str, result: dict[str, Any]) -> None:
        if collection == self.current:
            self.files.show_files(result["files"], result["total"])

    def _show_current(self) -> None:
        shown = self.collection
        if shown is None:
            return
        self.bar.show_collection(shown)
        self.tabs["files"].setText(f"{tr('documents.tab_files')} {shown['files']}")
        self.files.show_counts(shown)
        self.asking.show_collection(shown)
        self.retrieval.show_collection(shown)
        self.scorecard.show_collection(shown)
        if not shown["files"] and self.tab == "ask":
            self.show_tab("files")

    def _fit_side(self) -> None:
        crowded = self.width() < NARROW and not self.preview.isHidden()
        self.side.setVisible(bool(self.rows) and not crowded)

    def _shows_job(self, job: JobRow) -> bool:
        mine = job["kind"] == "index" and job["params"].get("collection") == self.current
        return mine and job["state"] in ("queued", "running", "interrupted", "failed")

    def _on_broadcast(self, event: dict[str, Any]) -> None:
        index = event.get("event") == "job" and event.get("kind") == "index" and event.get("state") == "done"
        if (event.get("event") == "documents" or index) and self.isVisible() and not self._soon.isActive():
            self._soon.start()

    def _dialog(self, collection: dict[str, Any] | None) -> CollectionDialog:
        dialog = CollectionDialog(self.desk, self.window(), collection)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.finished_with.connect(self._saved)
        dialog.open()
        return dialog

    def _saved(self, collection: dict[str, Any]) -> None:
        self.current = collection["id"]
        self.fetch()

    def _made_for(self, paths: list[str], collection: dict[str, Any]) -> None:
        self.current = collection["id"]
        self._add_to(self.current, paths)

    def _add_to(self, collection: str, paths: list[str]) -> None:
        self.show_tab("files")
        params = {"collection": collection, "paths": paths}
        self.desk.client.call("docs.add", params, result=lambda _: self.fetch(), error=self.show_error, owner=self)

    def _free_name(self, wanted: str) -> str:
        taken = {one["name"] for one in self.rows}
        names = (wanted if not number else f"{wanted} {number + 1}" for number in range(len(taken) + 1))
        return next(name for name in names if name not in taken) or tr("documents.page")

    def _ask(self, name: str, **params: Any) -> None:
        if self.current:
            params = {"collection": self.current, **params}
            self.desk.client.call(name, params, error=self.show_error, owner=self)

    def _remove(self, collection: dict[str, Any]) -> None:
        self.talks.pop(collection["id"], None)
        said = tr("documents.removed", name=collection["name"])
        params = {"collection": collection["id"]}
        self.preview.put_away()
        self.desk.client.call(
            "docs.remove", params, result=lambda _: self._gone(said), error=self.show_error, owner=self
        )

    def _delete(self, ids: list[int]) -> None:
        self.preview.put_away()
        self._forget_asked(set(ids))
        self._ask("docs.delete", files=ids)

    def _forget_asked(self, files: set[int]) -> None:
        """Answers that rest on a deleted file go as well."""
        talk = self.talks.get(self.current, [])
        kept = [one for one in talk if not any(hit["file"] in files for hit in one[1]["hits"])]
        if len(kept) != len(talk):
            self.talks[self.current] = kept
            self.asking.show_talk()

    def _gone(self, said: str) -> None:
        self.desk.toast(said)
        self.fetch()

    def _warn(self, words: str, hint: str, act: Any) -> QMessageBox:
        box = QMessageBox(self.window())
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.setTextFormat(Qt.TextFormat.PlainText)
        box.setText(words)
        box.setInformativeText(hint)
        yes = box.addButton(tr("documents.delete"), QMessageBox.ButtonRole.DestructiveRole)
        yes.setStyleSheet(f"color: {theme().red}")
        box.setDefaultButton(box.addButton(tr("frame.cancel"), QMessageBox.ButtonRole.RejectRole))
        box.buttonClicked.connect(lambda chosen: act() if chosen is yes else None)
        box.open()
        return box


def _on_page(do: Any) -> Any:
    def run(desk: Desk) -> None:
        page = desk.page("documents")
        if isinstance(page, DocumentsPage):
            do(page)

    return run


def _action(name: str, shortcut: str, do: Any) -> Action:
    return Action(f"documents.{name}", shortcut, _on_page(do), page="documents")


PAGE = Page("documents", "file-text", 20, DocumentsPage, shortcut="Ctrl+2")
ACTIONS = [
    _action("new", "Ctrl+Shift+N", lambda page: page.new_collection()),
    _action("add_folder", "Ctrl+Shift+F", lambda page: page.files.drop.choose_folder()),
    _action("ask", "Ctrl+Shift+A", lambda page: (page.show_tab("ask"), page.asking.field.setFocus())),
    _action("retrieval", "", lambda page: page.show_tab("retrieval")),
    _action("scorecard", "", lambda page: page.show_tab("scorecard")),
    _action("sync", "", lambda page: page.sync()),
    _action("settings", "", lambda page: page.edit_collection()),
    _action("chat", "", lambda page: page.chat_about()),
    _action("remove", "", lambda page: page.ask_remove()),
]
