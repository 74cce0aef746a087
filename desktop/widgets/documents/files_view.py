"""The files of a collection: where they are dropped, how each of them is, what can be done about it."""

from __future__ import annotations

from functools import partial
from typing import Any

from PySide6.QtCore import QModelIndex, QPoint, Qt, QUrl, Signal
from PySide6.QtGui import QDesktopServices, QKeyEvent
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QLineEdit, QMenu, QPushButton, QTableView, QWidget

from desktop.listmodels.documents import STATES, FilesModel
from desktop.text import tr
from desktop.widgets.documents.drop_area import DropArea
from desktop.widgets.flow import Flow
from desktop.widgets.make import button, column, label, row


class FilesTable(QTableView):
    """A table whose rows are chosen whole: Enter opens, Delete takes away."""

    opened = Signal()
    delete_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setTabKeyNavigation(False)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(34)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.setAccessibleName(tr("documents.files"))
        self.doubleClicked.connect(lambda _: self.opened.emit())

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.opened.emit()
        elif event.key() == Qt.Key.Key_Delete:
            self.delete_wanted.emit()
        else:
            super().keyPressEvent(event)


class FilesView(QWidget):
    """Signals what is wanted; the page asks the engine. `opened(file row)` for a look at it."""

    given = Signal(list)  # paths
    opened = Signal(dict)
    retry_wanted = Signal(list)  # ids, [] for all
    delete_wanted = Signal(list)  # file rows
    state_chosen = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.model = FilesModel()
        self.table = FilesTable()
        self.table.setModel(self.model)
        self.drop = DropArea()
        self.search = QLineEdit(placeholderText=tr("documents.filter"), clearButtonEnabled=True)
        self.search.setAccessibleName(tr("documents.filter"))
        self.states: dict[str, QPushButton] = {}
        self.more = label("", "faint")
        self._build()
        self.search.textChanged.connect(self._narrow)
        self.drop.given.connect(self.given)
        self.table.opened.connect(self._open)
        self.table.delete_wanted.connect(self._delete)
        self.table.customContextMenuRequested.connect(self._menu)
        self.table.selectionModel().selectionChanged.connect(self._show_buttons)
        self.model.modelReset.connect(self._show_buttons)

    def show_files(self, rows: list[dict[str, Any]], total: int) -> None:
        """Show these files, of `total` there are."""
        self.model.set_rows(rows)
        self.more.setText(tr("documents.more_files", shown=len(rows), total=total) if total > len(rows) else "")
        self.more.setVisible(total > len(rows))
        self._show_buttons()

    def show_counts(self, collection: dict[str, Any]) -> None:
        """How many files there are of each state."""
        for state, chip in self.states.items():
            chip.setText(f"{tr(f'documents.state_{state}')} {collection[state]}")
            chip.setVisible(bool(collection[state]) or chip.isChecked())
        self.retry_all.setVisible(bool(collection["failed"]))
        self.drop.set_small(bool(collection["files"]))
        for part in (self.table, self.search):
            part.setVisible(bool(collection["files"]))

    @property
    def state(self) -> str:
        """The one state that is shown, "" for all."""
        return next((name for name, chip in self.states.items() if chip.isChecked()), "")

    def selected(self) -> list[dict[str, Any]]:
        """The files chosen."""
        return [self.model.rows[index.row()] for index in self.table.selectionModel().selectedRows()]

    def _build(self) -> None:
        for state in STATES:
            self.states[state] = button("", partial(self._choose_state, state), "chip", name=_state_name(state))
        self.look = button(tr("documents.look"), self._open, "small")
        self.retry = button(tr("documents.retry"), self._retry, "small")
        self.remove = button(tr("documents.remove_files"), self._delete, "small")
        self.retry_all = button(tr("documents.retry_all"), lambda: self.retry_wanted.emit([]), "small")
        tools = Flow(self.search, *self.states.values(), first_width=260)
        below = row(self.look, self.retry, self.remove, None, self.more, self.retry_all)
        self.setLayout(column(self.drop, tools, self.table, below, None, spacing=12, margins=(28, 4, 28, 20)))
        self.layout().setStretch(2, 100)  # type: ignore[union-attr]  # a column is a box
        header = self.table.horizontalHeader()
        header.setHighlightSections(False)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)
        for column_number, width in ((2, 70), (3, 84)):
            header.setSectionResizeMode(column_number, QHeaderView.ResizeMode.Fixed)
            self.table.setColumnWidth(column_number, width)

    def _narrow(self, query: str) -> None:
        self.model.narrow(query)

    def _choose_state(self, state: str) -> None:
        for name, chip in self.states.items():
            chip.setChecked(name == state and chip.isChecked())
        self.state_chosen.emit(self.state)

    def _show_buttons(self, *_: object) -> None:
        chosen = self.selected()
        for shown in (self.look, self.remove):
            shown.setVisible(bool(chosen))
        self.look.setEnabled(len(chosen) == 1)
        self.retry.setVisible(any(row["state"] in ("failed", "skipped") for row in chosen))

    def _open(self) -> None:
        for chosen in self.selected()[:1]:
            self.opened.emit(chosen)

    def _retry(self) -> None:
        self.retry_wanted.emit([one["id"] for one in self.selected() if one["state"] in ("failed", "skipped")])

    def _delete(self) -> None:
        if chosen := self.selected():
            self.delete_wanted.emit(chosen)

    def _menu(self, place: QPoint) -> None:
        index: QModelIndex = self.table.indexAt(place)
        if not index.isValid():
            return
        file = self.model.rows[index.row()]
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addAction(tr("documents.look"), self._open)
        menu.addAction(tr("documents.open_file"), partial(_open_file, file["path"]))
        if file["state"] in ("failed", "skipped"):
            menu.addAction(tr("documents.retry"), self._retry)
        menu.addSeparator()
        menu.addAction(tr("documents.remove_files"), self._delete)
        menu.popup(self.table.viewport().mapToGlobal(place))


def _state_name(state: str) -> str:
    return tr("documents.only_state", state=tr(f"documents.state_{state}"))


def _open_file(path: str) -> None:
    QDesktopServices.openUrl(QUrl.fromLocalFile(path))
