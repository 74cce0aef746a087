"""Cells of one worksheet, row by row, without ever holding the sheet."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from engine.documents.office.archive import Archive
from engine.documents.office.markup import (
    attribute,
    child,
    children,
    descendants,
    local,
    refuse_entities,
    whole_number,
)
from engine.documents.office.number_formats import BUILTIN, shown

if TYPE_CHECKING:
    from lxml.etree import _Element

CELL = re.compile("([A-Z]{1,3})([0-9]{1,7})$")
MOST_COLUMNS = 16_384
MOST_STRING = 40_000  # Excel's own limit is 32767 characters


@dataclass
class Book:
    """What the sheets of a workbook share. `formats`: the number format code of each cell style."""

    strings: list[str] = field(default_factory=list)
    formats: list[str] = field(default_factory=list)
    since_1904: bool = False


def shared_strings(archive: Archive, part: str) -> list[str]:
    """All shared strings, phonetic readings left out."""
    found = []
    for element in streamed(archive, part, "si"):
        found.append(rich_text(element))
    return found


def rich_text(element: _Element) -> str:
    """A string of one or several runs."""
    parts = [one.text or "" for one in descendants(element, "t") if local(_above(one)) != "rPh"]
    return "".join(parts)[:MOST_STRING]


def _above(element: _Element) -> _Element:
    parent = element.getparent()
    return element if parent is None else parent


def cell_formats(root: _Element | None) -> list[str]:
    """The number format code of each cell style of styles.xml."""
    own = {attribute(one, "numFmtId"): attribute(one, "formatCode") for one in descendants(root, "numFmt")}
    styles = [attribute(one, "numFmtId") for one in children(child(root, "cellXfs"), "xf")]
    return [own.get(one, BUILTIN.get(whole_number(one), "")) for one in styles]


def streamed(archive: Archive, part: str, *names: str) -> Iterator[_Element]:
    """Elements of a part as they are complete; each is emptied after use, so that no tree grows."""
    from lxml import etree

    with archive.stream(part) as file:
        events = etree.iterparse(
            file, tag=["{*}" + name for name in names], resolve_entities=False, no_network=True, huge_tree=False
        )
        for number, (_, element) in enumerate(events):
            if not number:
                refuse_entities(element)
            yield element
            element.clear()
            while element.getprevious() is not None and element.getparent() is not None:
                del element.getparent()[0]


def row_cells(row: _Element, book: Book) -> dict[int, str]:
    """Column (from 0) -> text of the cells of a row that have any."""
    cells: dict[int, str] = {}
    column = -1
    for cell in children(row, "c"):
        place = CELL.match(attribute(cell, "r"))
        column = column_of(place[1]) if place else column + 1
        text = cell_text(cell, book)
        if text.strip() and column < MOST_COLUMNS:
            cells[column] = text
    return cells


def column_of(letters: str) -> int:
    """A -> 0, Z -> 25, AA -> 26."""
    place = 0
    for letter in letters:
        place = place * 26 + ord(letter) - 64
    return place - 1


def cell_text(cell: _Element, book: Book) -> str:
    """A cell as it is shown; a formula that was never calculated as the formula."""
    kind = attribute(cell, "t")
    if kind == "inlineStr":
        return rich_text(cell)
    value = child(cell, "v")
    text = (value.text or "") if value is not None else ""
    formula = child(cell, "f")
    if not text and formula is not None and formula.text:
        return f"={formula.text}"
    if kind == "s":
        place = whole_number(text, -1)
        return book.strings[place] if 0 <= place < len(book.strings) else ""
    if kind == "b":
        return "TRUE" if text == "1" else "FALSE" if text else ""
    return text if kind in ("str", "e", "d") else _number(text, attribute(cell, "s", "0"), book)


def _number(text: str, style: str, book: Book) -> str:
    place = whole_number(style)
    code = book.formats[place] if 0 <= place < len(book.formats) else ""
    try:
        return shown(float(text), code, book.since_1904)
    except (ValueError, OverflowError):
        return text
