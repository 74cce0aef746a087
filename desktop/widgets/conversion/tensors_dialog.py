"""What would be written, tensor by tensor."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt
from PySide6.QtWidgets import QAbstractItemView, QDialog, QHeaderView, QTableView, QWidget

from desktop.text import bytes_text, note_words, tr
from desktop.theme import theme
from desktop.widgets.make import button, column, label, row, tip

ANY_INDEX = QModelIndex | QPersistentModelIndex
NOWHERE = QModelIndex()
COLUMNS = ("tensor", "shape", "type", "size", "note")


class TensorsModel(QAbstractTableModel):
    """The tensors of a preview."""

    def __init__(self, tensors: list[dict[str, Any]]) -> None:
        super().__init__()
        self.rows = tensors

    def rowCount(self, parent: ANY_INDEX = NOWHERE) -> int:
        """Part of the model."""
        return 0 if parent.isValid() else len(self.rows)

    def columnCount(self, parent: ANY_INDEX = NOWHERE) -> int:
        """Part of the model."""
        return 0 if parent.isValid() else len(COLUMNS)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = 0) -> Any:
        """Part of the model."""
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return tr(f"convert_page.tensor_{COLUMNS[section]}")
        left = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        return int(left) if role == Qt.ItemDataRole.TextAlignmentRole else None

    def data(self, index: ANY_INDEX, role: int = int(Qt.ItemDataRole.DisplayRole)) -> Any:
        """Part of the model."""
        if not index.isValid():
            return None
        tensor, column_name = self.rows[index.row()], COLUMNS[index.column()]
        if role == Qt.ItemDataRole.DisplayRole:
            return cell(tensor, column_name)
        if role == Qt.ItemDataRole.ToolTipRole:
            return tip(cell(tensor, column_name))
        if role == Qt.ItemDataRole.ForegroundRole:
            return theme().colour("amber" if tensor.get("fallback") and column_name in ("type", "note") else "text")
        return None


def cell(tensor: dict[str, Any], name: str) -> str:
    """One cell's words."""
    if name == "tensor":
        return str(tensor["name"])
    if name == "shape":
        return " x ".join(str(length) for length in tensor["shape"])
    if name == "type":
        return str(tensor.get("type") or f"{tensor['from']} → {tensor['to']}")
    if name == "size":
        return bytes_text(tensor["bytes"])
    if tensor.get("fallback"):
        return tr("convert.fell_back", wanted=tensor["fallback"])
    return note_words(tensor["told"]) if tensor.get("told") else str(tensor.get("note") or "")


class TensorsDialog(QDialog):
    """The exact preview. Nothing has been written."""

    def __init__(self, parent: QWidget, found: dict[str, Any], kind: str) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("convert_page.preview_title"))
        self.model = TensorsModel(found["tensors"])
        values = {"count": len(found["tensors"]), "size": bytes_text(found["bytes"]), "type": kind}
        bits = f"{found.get('bits') or 0:.2f}"
        self.summary = label(tr("convert_page.preview_summary", bits=bits, **values), "heading", wrap=True)
        notes = "\n".join(filter(None, map(note_words, found.get("notes") or [])))
        self.notes = label(notes, "amber", wrap=True)
        self.notes.setVisible(bool(notes))
        self.table = self._table()
        close = button(tr("frame.close"), self.accept, "main")
        self.setLayout(column(self.summary, self.notes, self.table, row(None, close), margins=(20, 18, 20, 18)))
        wide = min(860, max(560, parent.width() - 60))
        self.resize(wide, min(620, max(380, parent.height() - 60)))

    def _table(self) -> QTableView:
        table = QTableView()
        table.setModel(self.model)
        table.setShowGrid(False)
        table.setWordWrap(False)
        table.setTabKeyNavigation(False)
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.verticalHeader().hide()
        table.verticalHeader().setDefaultSectionSize(28)
        table.setAccessibleName(tr("convert_page.preview_title"))
        header = table.horizontalHeader()
        header.setHighlightSections(False)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(4, QHeaderView.ResizeMode.Stretch)
        for number, width in ((1, 120), (2, 130), (3, 84)):
            table.setColumnWidth(number, width)
        return table
