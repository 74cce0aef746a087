"""Excel 97-2003 workbooks, through xlrd; a page is a sheet."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from engine.documents.block import Block, Limits
from engine.documents.office.archive import OLE_MAGIC
from engine.documents.office.number_formats import shown
from engine.documents.old_office.ole import opened, stream
from engine.documents.old_office.sheet_margins import sheet_extras
from engine.documents.refusals import protected, too_large, unreadable
from engine.documents.sheets import sheet_tables

if TYPE_CHECKING:
    from xlrd import Book
    from xlrd.sheet import Cell, Sheet

SUFFIXES = (".xls", ".xlt")
FACTOR = 10  # bytes of memory that one byte takes


def read(path: Path, limits: Limits) -> Iterator[Block]:
    """Raises UserError unreadable_document, protected_document, too_large_document."""
    with path.open("rb") as file:
        head = file.read(64)
    if head.startswith(b"PK") or b"<" in head[:16]:
        yield from _other_format(path, head, limits)
        return
    if path.stat().st_size > limits.memory // FACTOR:
        raise too_large(path)
    book = _opened(path)
    extras = list(dict.fromkeys(_extras(path)))
    for page, name in enumerate(book.sheet_names(), 1):
        sheet = book.sheet_by_index(page - 1)
        if sheet.visibility == 0:
            yield Block("heading", name, 1, page)
            yield from sheet_tables(_rows(book, sheet), page)
            notes = list(_notes(sheet, page))
            yield from notes
            yield from (one for one in extras if one.page == page and not any(one.text in note.text for note in notes))


def _other_format(path: Path, head: bytes, limits: Limits) -> Iterator[Block]:
    """Many a .xls is a web page or an XLSX in truth."""
    from engine.documents.readers import excel_xlsx, web_html

    return excel_xlsx.read(path, limits) if head.startswith(b"PK") else web_html.read(path, limits)


def _opened(path: Path) -> Book:
    import io

    import xlrd
    from xlrd.biffh import XLRDError
    from xlrd.compdoc import CompDocError
    from xlrd.formula import FormulaError

    said = io.StringIO()  # xlrd writes its doubts to stdout
    faults = (XLRDError, CompDocError, FormulaError, struct.error, ValueError, LookupError, TypeError, OSError)
    try:
        return xlrd.open_workbook(str(path), logfile=said, formatting_info=True, ragged_rows=True)
    except (*faults, AssertionError, AttributeError, OverflowError) as error:
        raise protected(path) if "encrypted" in str(error).lower() else unreadable(path) from error


def _extras(path: Path) -> Iterator[Block]:
    """Headers, text boxes and charts; files so old that they are no OLE files have none."""
    with path.open("rb") as file:
        if file.read(8) != OLE_MAGIC:
            return
    with opened(path) as ole:
        yield from sheet_extras(stream(ole, "Workbook") or stream(ole, "Book"))


def _rows(book: Book, sheet: Sheet) -> Iterator[tuple[int, dict[int, str]]]:
    for row in range(sheet.nrows):
        cells = {column: _text(book, cell) for column, cell in enumerate(sheet.row(row))}
        yield row + 1, {column: text for column, text in cells.items() if text.strip()}


def _text(book: Book, cell: Cell) -> str:
    import xlrd

    value = cell.value
    if cell.ctype == xlrd.XL_CELL_BOOLEAN:
        return "TRUE" if value else "FALSE"
    if cell.ctype == xlrd.XL_CELL_ERROR:
        return str(xlrd.error_text_from_code.get(int(value), "#N/A"))
    if cell.ctype not in (xlrd.XL_CELL_NUMBER, xlrd.XL_CELL_DATE):
        return str(value)
    style = book.xf_list[cell.xf_index] if cell.xf_index is not None else None
    look = book.format_map.get(style.format_key) if style is not None else None
    try:
        return shown(float(value), (look.format_str or "") if look else "", book.datemode == 1)
    except (ValueError, OverflowError):
        return str(value)


def _notes(sheet: Sheet, page: int) -> Iterator[Block]:
    for (row, column), note in sorted(sheet.cell_note_map.items()):
        from xlrd import colname

        yield Block("note", f"{colname(column)}{row + 1}: {note.text}", page=page)
