"""Collections of documents as a list, and the files of one as a table."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QAbstractListModel, QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt

from desktop.listmodels.chats import Roles
from desktop.text import bytes_text, error_text, tr
from desktop.theme import theme
from desktop.widgets.make import tip
from engine.api.errors import UserError

ANY_INDEX = QModelIndex | QPersistentModelIndex
NOWHERE = QModelIndex()
COLUMNS = ("name", "state", "pages", "size")
STATES = ("indexed", "waiting", "failed", "skipped")
_COLOURS = {"failed": "red", "waiting": "amber", "skipped": "dim"}


class CollectionsModel(QAbstractListModel):
    """Collections by name, each with a line about its state."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[dict[str, Any]] = []

    def set_rows(self, rows: list[dict[str, Any]]) -> None:
        """Show these collections; where they are the same ones, what is selected stays."""
        if [row["id"] for row in rows] == [row["id"] for row in self.rows]:
            self.rows = rows
            self.dataChanged.emit(self.index(0), self.index(max(0, len(rows) - 1)))
            return
        self.beginResetModel()
        self.rows = rows
        self.endResetModel()

    def place(self, collection: str) -> QModelIndex:
        """Where a collection stands; an invalid index for none."""
        numbers = (number for number, row in enumerate(self.rows) if row["id"] == collection)
        return self.index(next(numbers, -1))

    def rowCount(self, parent: ANY_INDEX = NOWHERE) -> int:
        """Part of the model."""
        return 0 if parent.isValid() else len(self.rows)

    def data(self, index: ANY_INDEX, role: int = int(Qt.ItemDataRole.DisplayRole)) -> Any:
        """Part of the model."""
        if not index.isValid():
            return None
        row = self.rows[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return row["name"]
        if role == Roles.kind:
            return "collection"
        if role == Roles.second:
            return counts_words(row)
        if role == Roles.live:
            return bool(row["waiting"])
        if role == Roles.chat_id:
            return row["id"]
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{row['name']}. {counts_words(row)}"
        return None


def counts_words(row: dict[str, Any]) -> str:
    """ "12 documents · 3 waiting · 1 failed"."""
    parts = [tr("documents.count_one" if row["files"] == 1 else "documents.count", count=row["files"])]
    parts += [tr(f"documents.count_{name}", count=row[name]) for name in ("waiting", "failed") if row[name]]
    return " · ".join(parts)


class FilesModel(QAbstractTableModel):
    """Files with their state. `narrow` shows those whose name or folder holds some words."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[dict[str, Any]] = []
        self._all: list[dict[str, Any]] = []
        self._query = ""

    def set_rows(self, rows: list[dict[str, Any]]) -> None:
        """Show these files."""
        same = [row["id"] for row in rows] == [row["id"] for row in self._all]
        self._all = rows
        self._show(keep=same)

    def narrow(self, query: str) -> None:
        """Only files with these words in their path; "" for all."""
        self._query = query.strip().casefold()
        self._show(keep=False)

    def rowCount(self, parent: ANY_INDEX = NOWHERE) -> int:
        """Part of the model."""
        return 0 if parent.isValid() else len(self.rows)

    def columnCount(self, parent: ANY_INDEX = NOWHERE) -> int:
        """Part of the model."""
        return 0 if parent.isValid() else len(COLUMNS)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = 0) -> Any:
        """Part of the model."""
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return tr(f"documents.column_{COLUMNS[section]}")
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(section)
        return None

    def data(self, index: ANY_INDEX, role: int = int(Qt.ItemDataRole.DisplayRole)) -> Any:
        """Part of the model."""
        if not index.isValid():
            return None
        row, column = self.rows[index.row()], COLUMNS[index.column()]
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return _cell(row, column)
        if role == Qt.ItemDataRole.ToolTipRole:
            return tip(state_words(row) if column == "state" else row["path"])
        if role == Qt.ItemDataRole.ForegroundRole:
            colour = _COLOURS.get(row["state"], "text") if column == "state" else "text"
            return theme().colour(colour if column in ("name", "state") else "dim")
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(index.column())
        return None

    def _show(self, *, keep: bool) -> None:
        found = [row for row in self._all if self._query in row["path"].casefold()]
        if keep and len(found) == len(self.rows):
            self.rows = found
            self.dataChanged.emit(self.index(0, 0), self.index(max(0, len(found) - 1), len(COLUMNS) - 1))
            return
        self.beginResetModel()
        self.rows = found
        self.endResetModel()


def state_words(row: dict[str, Any]) -> str:
    """The state of a file, with the reason where it could not be read."""
    state = tr(f"documents.state_{row['state']}")
    if not row["error"]:
        return state
    return f"{state}: {' '.join(part for part in error_text(UserError.from_json(row['error'])) if part)}"


def _cell(row: dict[str, Any], column: str) -> str:
    if column == "name":
        return str(row["name"])
    if column == "state":
        return state_words(row)
    if column == "pages":
        return str(row["pages"] or "")
    return bytes_text(row["bytes"])


def _alignment(column: int) -> int:
    side = Qt.AlignmentFlag.AlignLeft if COLUMNS[column] in ("name", "state") else Qt.AlignmentFlag.AlignRight
    return int(side | Qt.AlignmentFlag.AlignVCenter)
