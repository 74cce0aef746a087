"""PowerPoint presentations: a page is a slide; titles, lists, tables, charts, diagrams, notes and comments."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from engine.documents.block import Block, Limits
from engine.documents.office.archive import Archive, opened
from engine.documents.office.drawings import described, drawing_blocks, paragraph_text, text_of
from engine.documents.office.list_numbers import written
from engine.documents.office.markup import attribute, child, children, descendants, local, whole_number
from engine.documents.refusals import too_large, unreadable
from engine.documents.tables import table_blocks

if TYPE_CHECKING:
    from lxml.etree import _Element

SUFFIXES = (".pptx", ".pptm", ".ppsx", ".ppsm", ".potx", ".potm")
TITLES = ("title", "ctrTitle")
MARGINS = {"hdr": "header", "ftr": "footer", "dt": "footer"}
AUTO = {
    "arabic": "decimal",
    "alphaLc": "a",
    "alphaUc": "A",
    "romanLc": "i",
    "romanUc": "I",
    "ea1Chs": "一",
    "ea1Cht": "一",
}


def read(path: Path, limits: Limits) -> Iterator[Block]:
    """Raises UserError unreadable_document, protected_document, too_large_document."""
    with opened(path, limits) as archive:
        named = [target for kind, target in archive.relations("").values() if kind == "officeDocument"]
        part = named[0] if named else "ppt/presentation.xml"
        root = archive.tree(part)
        if root is None or local(root) != "presentation":
            raise unreadable(path)
        relations = archive.relations(part)
        asked = [_relation(one) for one in children(child(root, "sldIdLst"), "sldId")]
        slides = [relations[one][1] for one in asked if one in relations]
        if len(slides) > limits.pages:
            raise too_large(path)
        for number, slide in enumerate(slides, 1):
            yield from _slide(archive, slide, number)


def _relation(element: _Element) -> str:
    """r:id of an element that has an id of its own too."""
    return next((str(value) for key, value in element.attrib.items() if str(key).endswith("}id")), "")


def _slide(archive: Archive, part: str, page: int) -> Iterator[Block]:
    root = archive.tree(part)
    if root is None:
        return
    shapes = list(_shapes(child(root, "cSld", "spTree")))
    shapes.sort(key=lambda shape: _placeholder(shape) not in TITLES)
    for shape in shapes:
        yield from _shape(archive, part, shape, page)
    for kind, target in archive.relations(part).values():
        if kind == "notesSlide":
            yield from _notes(archive.tree(target), page)
        elif kind == "comments":
            yield from _comments(archive.tree(target), page)


def _shapes(tree: _Element | None) -> Iterator[_Element]:
    """Visible shapes, those of groups too; of two shapes of one thing (new and old), the first."""
    for one in children(tree, "sp", "graphicFrame", "pic", "grpSp", "cxnSp", "AlternateContent"):
        name = local(one)
        if name == "AlternateContent":
            yield from _shapes(next(iter(one), None))
        elif attribute(next(descendants(one, "cNvPr"), None), "hidden") in ("1", "true"):
            continue
        elif name == "grpSp":
            yield from _shapes(one)
        else:
            yield one


def _placeholder(shape: _Element) -> str:
    """ "title", "body", "ftr" …; "" for a shape that fills no place of the layout."""
    place = next(descendants(shape, "ph"), None)
    return "" if place is None else attribute(place, "type", "body")


def _shape(archive: Archive, part: str, shape: _Element, page: int) -> Iterator[Block]:
    place = _placeholder(shape)
    if place == "sldNum":
        return
    if place in TITLES:
        title = " ".join(text_of(child(shape, "txBody")).split())
        yield Block("heading", title, 1, page)
    elif place in MARGINS:
        yield Block("header" if place == "hdr" else "footer", text_of(child(shape, "txBody")), page=page)
    elif local(shape) == "graphicFrame":
        for table in descendants(shape, "tbl"):
            yield from table_blocks(_grid(table), page)
        yield from drawing_blocks(archive, part, shape, page)
        yield from described(shape, page)
    else:
        yield from _paragraphs(child(shape, "txBody"), page)
        yield from described(shape, page)


def _paragraphs(body: _Element | None, page: int) -> Iterator[Block]:
    """Paragraphs of a shape; numbered ones with the number PowerPoint counts for them."""
    counts: dict[int, int] = {}
    for paragraph in children(body, "p"):
        text = paragraph_text(paragraph)
        if not text:
            continue
        properties = child(paragraph, "pPr")
        level = min(max(whole_number(attribute(properties, "lvl")), 0), 8)
        mark = _mark(properties, level, counts)
        if mark or level:
            yield Block("list", f"{'  ' * level}{mark or '-'} {text}", page=page)
        else:
            yield Block("text", text, page=page)


def _mark(properties: _Element | None, level: int, counts: dict[int, int]) -> str:
    for deeper in [one for one in counts if one > level]:
        del counts[deeper]
    auto = child(properties, "buAutoNum")
    if auto is None:
        counts.pop(level, None)
        return "-" if child(properties, "buChar") is not None else ""
    start = whole_number(attribute(auto, "startAt", "1"), 1)
    counts[level] = counts[level] + 1 if level in counts else start
    return numbered(counts[level], attribute(auto, "type", "arabicPeriod"))


def numbered(value: int, kind: str) -> str:
    """A number as a scheme like alphaLcParenBoth writes it: (a)."""
    name = next((name for name in AUTO if kind.startswith(name)), "arabic")
    number = written(value, AUTO[name])
    if kind.endswith("ParenBoth"):
        return f"({number})"
    return number + (")" if kind.endswith("ParenR") else "." if kind.endswith("Period") else "")


def _grid(table: _Element) -> Iterator[list[str]]:
    """Rows of texts: a cell merged downwards is said again in each row, one merged sideways once."""
    above: list[str] = []
    for row in children(table, "tr"):
        line = []
        for column, cell in enumerate(children(row, "tc")):
            text = text_of(child(cell, "txBody"))
            below = attribute(cell, "vMerge") in ("1", "true")
            line.append(above[column] if below and not text and column < len(above) else text)
        above = line
        yield line


def _notes(root: _Element | None, page: int) -> Iterator[Block]:
    for shape in _shapes(child(root, "cSld", "spTree")):
        text = text_of(child(shape, "txBody")) if _placeholder(shape) not in ("sldNum", "sldImg", "dt") else ""
        if text:
            yield Block("note", f"Notes: {text}", page=page)


def _comments(root: _Element | None, page: int) -> Iterator[Block]:
    """Comments of both kinds: the old ones hold plain text, the new ones paragraphs, and answers."""
    for one in descendants(root, "cm", "reply"):
        text = text_of(child(one, "txBody")) or "".join(part.text or "" for part in children(one, "text"))
        if text:
            yield Block("note", f"Comment: {text}", page=page)
