"""Excel workbooks: a page is a sheet; its tables, charts, comments, text boxes, headers and footers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from engine.documents.block import Block, Limits
from engine.documents.office.archive import Archive, opened
from engine.documents.office.drawings import described, drawing_blocks, text_of
from engine.documents.office.margin_codes import plain_margin
from engine.documents.office.markup import attribute, child, children, descendants, local, whole_number
from engine.documents.office.sheet_cells import Book, cell_formats, rich_text, row_cells, shared_strings, streamed
from engine.documents.refusals import too_large, unreadable
from engine.documents.sheets import sheet_tables

if TYPE_CHECKING:
    from lxml.etree import _Element

SUFFIXES = (".xlsx", ".xlsm", ".xltx", ".xltm")


def read(path: Path, limits: Limits) -> Iterator[Block]:
    """Raises UserError unreadable_document, protected_document, too_large_document."""
    with opened(path, limits) as archive:
        named = [target for kind, target in archive.relations("").values() if kind == "officeDocument"]
        part = named[0] if named else "xl/workbook.xml"
        root = archive.tree(part)
        if root is None or local(root) != "workbook":
            raise unreadable(path)
        book = _book(archive, part, root)
        sheets = list(_sheets(archive, part, root))
        if len(sheets) > limits.pages:
            raise too_large(path)
        for page, (name, sheet) in enumerate(sheets, 1):
            if sheet:
                yield Block("heading", name, 1, page)
                yield from _sheet(archive, sheet, book, page)


def _book(archive: Archive, part: str, root: _Element) -> Book:
    parts = dict(archive.relations(part).values())
    strings = parts.get("sharedStrings", "")
    return Book(
        shared_strings(archive, strings) if archive.find(strings) else [],
        cell_formats(archive.tree(parts["styles"])) if "styles" in parts else [],
        attribute(child(root, "workbookPr"), "date1904") in ("1", "true"),
    )


def _sheets(archive: Archive, part: str, root: _Element) -> Iterator[tuple[str, str]]:
    """Name and part of each sheet; the part is "" for a hidden one, which keeps its number."""
    relations = archive.relations(part)
    for one in children(child(root, "sheets"), "sheet"):
        key = next((str(value) for key, value in one.attrib.items() if str(key).endswith("}id")), "")
        target = relations.get(key, ("", ""))[1]
        hidden = attribute(one, "state") in ("hidden", "veryHidden") or not archive.find(target)
        yield attribute(one, "name"), "" if hidden else target


def _sheet(archive: Archive, part: str, book: Book, page: int) -> Iterator[Block]:
    aside: list[Block] = []
    yield from sheet_tables(_rows(archive, part, book, page, aside), page)
    yield from aside
    for kind, target in archive.relations(part).values():
        if kind == "comments":
            yield from _comments(archive.tree(target), page)
        elif kind == "drawing":
            yield from _drawing(archive, target, page)


def _rows(
    archive: Archive, part: str, book: Book, page: int, aside: list[Block]
) -> Iterator[tuple[int, dict[int, str]]]:
    """Row numbers with their cells; the sheet's header and footer, which come after them, go to `aside`."""
    number = 0
    for element in streamed(archive, part, "row", "headerFooter"):
        if local(element) == "headerFooter":
            aside += _margins(element, page)
            continue
        number = whole_number(attribute(element, "r"), 0) or number + 1
        yield number, row_cells(element, book)


def _margins(element: _Element, page: int) -> Iterable[Block]:
    said = set()
    for one in element:
        text = plain_margin(one.text or "")
        if text and text not in said:
            said.add(text)
            yield Block("header" if local(one).endswith("Header") else "footer", text, page=page)


def _comments(root: _Element | None, page: int) -> Iterator[Block]:
    for one in descendants(root, "comment"):
        yield Block("note", f"{attribute(one, 'ref')}: {rich_text(one).strip()}", page=page)


def _drawing(archive: Archive, part: str, page: int) -> Iterator[Block]:
    root = archive.tree(part)
    if root is None:
        return
    for body in descendants(root, "txBody"):
        yield Block("text", text_of(body), page=page)
    yield from described(root, page)
    yield from drawing_blocks(archive, part, root, page)
