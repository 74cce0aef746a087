"""Table rows -> text tables of a dozen rows each: Qt lays a table out as a whole, so a long one is made of several."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtGui import (
    QColor,
    QTextBlockFormat,
    QTextCursor,
    QTextFrameFormat,
    QTextLength,
    QTextTable,
    QTextTableCell,
    QTextTableCellFormat,
    QTextTableFormat,
)

from desktop.widgets.richtext.blocks import Block, Run, text_of
from desktop.widgets.richtext.formats import INDENT, QUOTE, Formats

WriteRuns = Callable[[QTextCursor, tuple[Run, ...], str], None]
_ALIGN = {"right": Qt.AlignmentFlag.AlignRight, "center": Qt.AlignmentFlag.AlignHCenter}


def table_at(cursor: QTextCursor, start: int) -> QTextTable | None:
    """The table a position is in."""
    cursor.setPosition(start)
    return cursor.currentTable()


class TableWriter:
    """Makes and changes the rows at the end of the document."""

    def __init__(self, formats: Formats, write: WriteRuns) -> None:
        self._formats = formats
        self._write = write
        self._wide: list[int] = []
        self._table: QTextTable | None = None  # the last one: asking the document amid a change finds no new tables

    def append(self, cursor: QTextCursor, block: Block, goes_on: bool) -> int:
        """Put a row behind the last one, or begin a table where the cursor stands. Gives the row's first position."""
        table = self._table
        if table is None or not goes_on:
            self._table = table = self._begin(cursor, block)
        else:
            table.appendRows(1)
        row = table.rows() - 1
        for column in range(table.columns()):
            self._fill(table.cellAt(row, column), block, column)
        self._measure(table, block)
        return table.cellAt(row, 0).firstPosition()

    def amend(self, cursor: QTextCursor, start: int, old: Block, new: Block) -> bool:
        """Change the cells of the row at `start` that differ."""
        table = table_at(cursor, start)
        if table is None or (old.aligns, old.first, old.language) != (new.aligns, new.first, new.language):
            return False
        row = table.cellAt(cursor).row()
        for column in range(table.columns()):
            if old.cells[column : column + 1] != new.cells[column : column + 1]:
                self._empty(table.cellAt(row, column))
                self._fill(table.cellAt(row, column), new, column)
        self._measure(table, new)
        return True

    def remove(self, cursor: QTextCursor, start: int) -> None:
        """Take away the row at `start` and everything behind it; the first row of a table takes the table along."""
        table = table_at(cursor, start)
        if table is None:
            return
        row = table.cellAt(cursor).row()
        first = table.firstPosition() - 1
        cursor.setPosition(table.lastPosition() + 1 if row else first)
        cursor.movePosition(QTextCursor.MoveOperation.End, QTextCursor.MoveMode.KeepAnchor)
        cursor.removeSelectedText()
        self._table = table if row else None
        if row:
            table.removeRows(row, table.rows() - row)

    def _begin(self, cursor: QTextCursor, block: Block) -> QTextTable:
        if block.language:
            self._wide = []
        form = QTextTableFormat()
        form.setBorder(0)
        form.setCellSpacing(0)
        form.setCellPadding(0)
        form.setBorderStyle(QTextFrameFormat.BorderStyle.BorderStyle_None)
        form.setWidth(QTextLength(QTextLength.Type.PercentageLength, 100))
        form.setTopMargin(block.gap)
        form.setLeftMargin(block.indent * INDENT + block.quote * QUOTE)
        table = cursor.insertTable(1, max(1, len(block.cells)), form)
        self._put_widths(table)
        return table

    def _fill(self, cell: QTextTableCell, block: Block, column: int) -> None:
        kind = "head" if block.language else "p"
        cursor = cell.firstCursorPosition()
        cursor.setBlockFormat(self._block_format(block, column))
        cursor.setBlockCharFormat(self._formats.char(kind))
        cell.setFormat(self._cell_format(cell, block))
        self._write(cursor, block.cells[column] if column < len(block.cells) else (), kind)

    def _cell_format(self, cell: QTextTableCell, block: Block) -> QTextTableCellFormat:
        # Qt keeps a cell's format and the character format of its first block in one place: this has to come second.
        form = QTextTableCellFormat()
        form.merge(cell.format())
        form.setTopPadding(5)
        form.setBottomPadding(8)
        form.setLeftPadding(10)
        form.setRightPadding(10)
        form.setBottomBorder(1)
        form.setBottomBorderStyle(QTextFrameFormat.BorderStyle.BorderStyle_Solid)
        form.setBottomBorderBrush(QColor(self._formats.colours.line))
        if block.language:
            form.setBackground(QColor(self._formats.colours.code_background))
        return form

    def _block_format(self, block: Block, column: int) -> QTextBlockFormat:
        form = QTextBlockFormat()
        form.setLineHeight(self._formats.line_height("cell"), int(QTextBlockFormat.LineHeightTypes.MinimumHeight.value))
        align = block.aligns[column] if column < len(block.aligns) else ""
        form.setAlignment(_ALIGN.get(align, Qt.AlignmentFlag.AlignLeft))
        return form

    def _empty(self, cell: QTextTableCell) -> None:
        cursor = cell.firstCursorPosition()
        cursor.setPosition(cell.lastPosition(), QTextCursor.MoveMode.KeepAnchor)
        cursor.removeSelectedText()

    def _measure(self, table: QTextTable, block: Block) -> None:
        """Columns share the width by their longest text in the first part of the table; later parts keep to that."""
        columns = table.columns()
        before = list(self._wide)
        if len(self._wide) != columns:
            self._wide = [5] * columns
        if block.part == 0:
            for column, cell in enumerate(block.cells[:columns]):
                self._wide[column] = max(self._wide[column], min(36, _width(text_of(cell)) + 3))
        if self._wide != before:
            self._put_widths(table)

    def _put_widths(self, table: QTextTable) -> None:
        if len(self._wide) != table.columns():
            return
        form = table.format().toTableFormat()
        whole = sum(self._wide)
        lengths = [QTextLength(QTextLength.Type.PercentageLength, 100 * wide / whole) for wide in self._wide]
        form.setColumnWidthConstraints(lengths)
        table.setFormat(form)


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text[:60])
