"""The types a source can be made: a table to choose from, and what is to be known of the one chosen."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QFontMetrics, QPainter, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QDoubleSpinBox,
    QFrame,
    QHeaderView,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
)

from desktop.listmodels.targets import ANY_INDEX, COLUMNS, RECOMMENDED, TargetsModel, type_words
from desktop.text import tr
from desktop.theme import text_font, theme
from desktop.widgets.conversion.choosing import FEW, Row, best_under, expected, instead, raised, recommended, usual
from desktop.widgets.conversion.reading import sentences
from desktop.widgets.make import column, frame, label, row

LINE, MOST_LINES = 32, 12
WIDTHS = {"bits": 66, "size": 82, "fit": 92, "quality": 142, "matrix": 104}
LEAST_TYPE = 170  # px the names need; columns at the end go where there is less
GB = 1e9


class TypeDelegate(QStyledItemDelegate):
    """A type's name, and a word beside the one that is recommended."""

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: ANY_INDEX) -> None:
        super().paint(painter, option, index)
        if not index.data(RECOMMENDED):
            return
        painter.save()
        painter.setFont(text_font(12))
        painter.setPen(theme().colour("accent"))
        name = QFontMetrics(text_font(bold=True)).horizontalAdvance(str(index.data()))
        place = option.rect.adjusted(name + 26, 0, -4, 0)
        words = painter.fontMetrics().elidedText(
            tr("convert_page.recommended"), Qt.TextElideMode.ElideRight, place.width()
        )
        painter.drawText(place, int(Qt.AlignmentFlag.AlignVCenter), words)
        painter.restore()


class TargetsTable(QTableView):
    """One row is chosen, by the mouse or the arrow keys."""

    def __init__(self) -> None:
        super().__init__()
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setTabKeyNavigation(False)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(LINE)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setAccessibleName(tr("convert_page.types"))
        self.setProperty("kind", "inCard")
        self.setItemDelegateForColumn(0, TypeDelegate(self))

    def fit_columns(self) -> None:
        """The type takes what is left; where it is narrow the last columns go."""
        header, left = self.horizontalHeader(), self.viewport().width() - LEAST_TYPE
        header.setHighlightSections(False)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        for number, name in enumerate(COLUMNS[1:], 1):
            width = max(WIDTHS[name], header.sectionSizeHint(number))
            left -= width
            self.setColumnHidden(number, left < 0)
            header.setSectionResizeMode(number, QHeaderView.ResizeMode.Fixed)
            self.setColumnWidth(number, width)

    def fit_height(self) -> None:
        """As high as its rows, up to MOST_LINES."""
        lines = min(MOST_LINES, max(1, self.model().rowCount()))
        self.setFixedHeight(lines * LINE + max(30, self.horizontalHeader().sizeHint().height()) + 2)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.fit_columns()


class TargetsView(QFrame):
    """`chosen(type)`."""

    chosen = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("kind", "card")
        self.found: dict[str, Any] = {"targets": [], "dtype": "", "parameters": 0, "bytes": 0}
        self.matrix = False
        self.model, self.table = TargetsModel(), TargetsTable()
        self.table.setModel(self.model)
        self.every = QCheckBox(tr("convert_page.all_types"))
        self.budget = QCheckBox(tr("convert_page.budget"))
        self.limit = QDoubleSpinBox(decimals=2, minimum=0.01, maximum=2000.0, singleStep=0.5, suffix=" GB")
        self.limit.lineEdit().setTextMargins(8, 0, 0, 0)
        self.limit.setAccessibleName(tr("convert_page.budget"))
        self.words, self.fallback = label("", "dim", wrap=True), label("", "amber", wrap=True)
        self.fallback.setAccessibleName(tr("convert_page.column_bits"))
        self._build()

    def show_targets(self, found: dict[str, Any], wanted: str = "") -> None:
        """Show the types of a source; `wanted` or the recommended one is chosen."""
        self.found = found
        rows = found["targets"]
        sizes = [row["bytes"] for row in rows if row["type"] == recommended(found)]
        self.limit.setValue(max(sizes, default=GB) / GB + 0.005)
        self.budget.setChecked(False)
        known = {row["type"] for row in rows}
        kind = wanted if wanted in known else recommended(found)
        self.every.setChecked(kind not in {row["type"] for row in usual(rows, found["dtype"])})
        self._show_rows(kind)

    def set_matrix(self, matrix: bool) -> None:
        """Whether an importance matrix will be used: less is lost then."""
        if matrix != self.matrix:
            self.matrix = matrix
            self._show_rows(self.type)

    @property
    def row(self) -> Row | None:
        """The row that is chosen."""
        number = self.table.currentIndex().row()
        return self.model.rows[number] if 0 <= number < len(self.model.rows) else None

    @property
    def type(self) -> str:
        """The type that is chosen, "" for none."""
        return str(self.row["type"]) if self.row else ""

    @property
    def limit_bytes(self) -> int:
        """What the result may take at most, 0 where that is not asked for."""
        return round(self.limit.value() * GB) if self.budget.isChecked() else 0

    def choose(self, kind: str) -> None:
        """Choose a type."""
        if self.model.place(kind) < 0 and any(row["type"] == kind for row in self.found["targets"]):
            self.every.setChecked(True)
        if (number := self.model.place(kind)) >= 0:
            self.table.selectRow(number)
            self.table.setCurrentIndex(self.model.index(number, 0))

    def _build(self) -> None:
        head = row(label(tr("convert_page.becomes"), "heading"), None, self.every, margins=(18, 0, 18, 0))
        tools = row(self.budget, self.limit, None)
        below = column(self.words, self.fallback, tools, margins=(18, 4, 18, 0), spacing=6)
        self.setLayout(column(head, self.table, below, margins=(1, 14, 1, 14), spacing=10))
        self.fallback.hide()
        self.every.toggled.connect(lambda _: self._show_rows(self.type))
        self.budget.toggled.connect(self._find_best)
        self.limit.valueChanged.connect(self._find_best)
        self.table.selectionModel().currentRowChanged.connect(self._row_changed)

    def _show_rows(self, kind: str) -> None:
        rows = self.found["targets"]
        shown = rows if self.every.isChecked() else usual(rows, self.found["dtype"])
        self.model.set_rows(shown, recommended(self.found), matrix=self.matrix)
        self.table.fit_columns()
        self.table.fit_height()
        self.choose(kind if self.model.place(kind) >= 0 else recommended(self.found))
        self._row_changed()

    def _find_best(self, *_: object) -> None:
        self.limit.setEnabled(self.budget.isChecked())
        if self.budget.isChecked():
            kind = best_under(self.found["targets"], self.limit_bytes, self.matrix)
            if kind:
                self.choose(kind)
        self._row_changed()

    def _row_changed(self, *_: object) -> None:
        chosen = self.row
        self.words.setText(self._type_words(chosen) if chosen else "")
        self.words.setVisible(bool(self.words.text()))
        self.fallback.setText(self._fallback_words(chosen) if chosen else "")
        self.fallback.setVisible(bool(self.fallback.text()))
        self.limit.setEnabled(self.budget.isChecked())
        if chosen:
            self.chosen.emit(chosen["type"])

    def _type_words(self, chosen: Row) -> str:
        if self.limit_bytes and self.found.get("kind") == "gguf":
            return tr("convert_page.mixes")
        small = self.found["parameters"] < FEW and expected(chosen, self.matrix)
        return sentences([type_words(chosen), tr("convert_page.small_lose") if small else ""])

    def _fallback_words(self, chosen: Row) -> str:
        mixed = bool(self.limit_bytes) and self.found.get("kind") == "gguf"
        parts = []
        if self.limit_bytes and chosen["bytes"] > self.limit_bytes:
            parts.append(tr("convert_page.over_budget"))
        if mixed:
            return sentences(parts)
        if raised(chosen):
            values = {"type": chosen["type"], "bits": f"{chosen['bits']:.2f}", "all": chosen["tensor_count"]}
            values |= {"count": chosen["fallback_tensors"], "into": tr("convert_page.comma").join(instead(chosen))}
            parts.append(tr("convert_page.fell_back", **values))
        if chosen["requantized"] and not raised(chosen):
            parts.append(tr("convert_page.requantized", type=self.found["dtype"]))
        return sentences(parts)


def card_of(*parts: Any) -> QFrame:
    """A card with parts one below the other."""
    made = frame("card")
    made.setLayout(column(*parts, margins=(18, 14, 18, 16), spacing=12))
    return made
