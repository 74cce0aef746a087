"""The types a source can be made, as a table."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt
from PySide6.QtGui import QColor, QFont, QPainter, QPixmap

from desktop.model_words import TONES
from desktop.text import bytes_text, language, tr
from desktop.theme import text_font, theme
from desktop.widgets.conversion.choosing import Row, expected, grade, raised
from desktop.widgets.conversion.reading import figure_text
from desktop.widgets.make import tip

ANY_INDEX = QModelIndex | QPersistentModelIndex
NOWHERE = QModelIndex()
COLUMNS = ("type", "bits", "size", "fit", "quality", "matrix")
RIGHT = ("bits", "size")
DOT = 8  # px
LEAST_KL = 1e-4  # what is less is nothing
RECOMMENDED = int(Qt.ItemDataRole.UserRole)  # whether this is the type to begin with
GRADE_TONES = {"good": "accent", "usable": "amber", "damaged": "red", "": "faint"}
FIT_TONES = {"good": "accent", "amber": "amber", "red": "red", "dim": "faint"}


class TargetsModel(QAbstractTableModel):
    """Rows of `convert.targets`; `matrix` tells whether an importance matrix will be used."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[Row] = []
        self.matrix = False
        self.recommended = ""

    def set_rows(self, rows: list[Row], recommended: str, *, matrix: bool) -> None:
        """Show these types."""
        self.beginResetModel()
        self.rows, self.recommended, self.matrix = rows, recommended, matrix
        self.endResetModel()

    def place(self, kind: str) -> int:
        """The row of a type, -1 for none."""
        return next((number for number, row in enumerate(self.rows) if row["type"] == kind), -1)

    def rowCount(self, parent: ANY_INDEX = NOWHERE) -> int:
        """Part of the model."""
        return 0 if parent.isValid() else len(self.rows)

    def columnCount(self, parent: ANY_INDEX = NOWHERE) -> int:
        """Part of the model."""
        return 0 if parent.isValid() else len(COLUMNS)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = 0) -> Any:
        """Part of the model."""
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return tr(f"convert_page.column_{COLUMNS[section]}")
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.ToolTipRole:
            return tip(tr(f"convert_page.column_{COLUMNS[section]}_hint"))
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(section)
        return None

    def data(self, index: ANY_INDEX, role: int = int(Qt.ItemDataRole.DisplayRole)) -> Any:
        """Part of the model."""
        if not index.isValid():
            return None
        row, column = self.rows[index.row()], COLUMNS[index.column()]
        if role == Qt.ItemDataRole.DisplayRole:
            return self._cell(row, column)
        if role == RECOMMENDED:
            return row["type"] == self.recommended
        if role == Qt.ItemDataRole.AccessibleTextRole:
            mark = f", {tr('convert_page.recommended')}" if row["type"] == self.recommended and column == "type" else ""
            return f"{tr(f'convert_page.column_{column}')}: {self._cell(row, column)}{mark}"
        if role == Qt.ItemDataRole.ToolTipRole:
            return tip(type_words(row))
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(index.column())
        if role == Qt.ItemDataRole.DecorationRole:
            return self._dot(row, column)
        return self._look(row, column, role)

    def _look(self, row: Row, column: str, role: int) -> QFont | QColor | None:
        if role == Qt.ItemDataRole.FontRole and column == "type":
            return text_font(bold=True)
        if role == Qt.ItemDataRole.ForegroundRole:
            return theme().colour("amber" if column == "bits" and raised(row) else "text")
        return None

    def _cell(self, row: Row, column: str) -> str:
        if column == "type":
            return str(row["type"])
        if column == "bits":
            return f"{row['bits']:.2f}"
        if column == "size":
            return bytes_text(row["bytes"])
        if column == "fit":
            return tr(f"convert_page.fit_{row['fit'] if row['fit'] in TONES else 'unknown'}")
        return self._quality(row) if column == "quality" else tr(f"convert_page.matrix_{row['imatrix']}")

    def _quality(self, row: Row) -> str:
        value = expected(row, self.matrix)
        if value is None:
            return tr("convert_page.quality_unknown")
        word = tr(f"convert_page.quality_{grade(row, self.matrix)}")
        return f"{word} · {figure_text('kl_mean', value)}" if value >= LEAST_KL else word

    def _dot(self, row: Row, column: str) -> QPixmap | None:
        if column == "fit":
            return dot(FIT_TONES[TONES.get(row["fit"], "dim")])
        return dot(GRADE_TONES[grade(row, self.matrix)]) if column == "quality" else None


def type_words(row: Row) -> str:
    """What a type is for, in the language of the window; "" where nobody has said."""
    words = row.get("words") or {}
    return str(words.get(language()) or words.get("en") or "")


def dot(colour: str) -> QPixmap:
    """A small filled circle in a colour of the theme."""
    picture = QPixmap(2 * DOT, 2 * DOT)
    picture.setDevicePixelRatio(2.0)
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(theme().colour(colour))
    painter.drawEllipse(0, 0, DOT, DOT)
    painter.end()
    return picture


def _alignment(column: int) -> int:
    side = Qt.AlignmentFlag.AlignRight if COLUMNS[column] in RIGHT else Qt.AlignmentFlag.AlignLeft
    return int(side | Qt.AlignmentFlag.AlignVCenter)
