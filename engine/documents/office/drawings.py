"""Text in drawings: DrawingML paragraphs, charts as tables, diagrams as lists."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from engine.documents.block import Block
from engine.documents.office.archive import Archive
from engine.documents.office.markup import attribute, child, children, descendants, local, whole_number
from engine.documents.office.number_formats import shown
from engine.documents.tables import table_blocks

if TYPE_CHECKING:
    from lxml.etree import _Element

MOST_POINTS = 10_000  # of one series: more is a measurement, no text
POINTS = ("cat", "xVal", "val", "yVal", "bubbleSize")


def paragraph_text(paragraph: _Element) -> str:
    """What an a:p says, its line breaks kept; formulas as their characters."""
    parts = []
    for one in descendants(paragraph, "t", "br", "tab"):
        name = local(one)
        parts.append("\n" if name == "br" else "\t" if name == "tab" else one.text or "")
    return "".join(parts).strip()


def text_of(element: _Element | None) -> str:
    """All paragraphs below an element, one a line."""
    lines = [paragraph_text(paragraph) for paragraph in descendants(element, "p")]
    return "\n".join(line for line in lines if line)


def drawing_blocks(archive: Archive, part: str, element: _Element, page: int = 0) -> Iterator[Block]:
    """Charts and diagrams that an element of `part` refers to, and what is said of its pictures."""
    relations = archive.relations(part)
    for one in descendants(element, "chart", "relIds"):
        name = "dm" if local(one) == "relIds" else "id"
        _, target = relations.get(attribute(one, name), ("", ""))
        if target and local(one) == "relIds":
            yield from diagram_blocks(archive.tree(target), page)
        elif target:
            yield from chart_blocks(archive.tree(target), page)


def described(element: _Element, page: int = 0) -> Iterator[Block]:
    """The alternative text of pictures below an element."""
    visible = (one for one in descendants(element, "docPr", "cNvPr") if attribute(one, "hidden") not in ("1", "true"))
    for text in dict.fromkeys(attribute(one, "descr").strip() for one in visible):
        yield Block("caption", text, page=page)


def diagram_blocks(root: _Element | None, page: int = 0) -> Iterator[Block]:
    """The texts of a SmartArt's data part, in the order they were written."""
    for point in descendants(root, "pt"):
        text = text_of(child(point, "t"))
        if text:
            yield Block("list", f"- {text}", page=page)


def chart_blocks(root: _Element | None, page: int = 0) -> Iterator[Block]:
    """A chart's title and axis titles, then its data as a table: a row each category, a column each series."""
    titles = [_words(title) for title in descendants(root, "title")]
    said = " – ".join(dict.fromkeys(title for title in titles if title))
    yield Block("caption", said, page=page)
    series = list(descendants(root, "ser"))
    shared: dict[str, dict[int, str]] = {}
    for one in series:
        names = _points(child(one, "cat")) or _points(child(one, "xVal"))
        shared.setdefault("", names)
        column = _words(child(one, "tx")) or f"{len(shared)}"
        column = column if column not in shared else f"{column} ({len(shared)})"
        shared[column] = _points(child(one, "val")) or _points(child(one, "yVal"))
    yield from table_blocks(_rows(shared), page)
    yield from _newer_chart(root, page)


def _rows(columns: dict[str, dict[int, str]]) -> Iterator[list[str]]:
    places = sorted({place for points in columns.values() for place in points})
    if places:
        yield [name or "–" for name in columns]
    for place in places[:MOST_POINTS]:
        yield [points.get(place, "") for points in columns.values()]


def _words(element: _Element | None) -> str:
    """A title or a series' name: rich text, or the cell it was taken from."""
    rich = " ".join(text_of(element).split())
    return rich or " ".join(value.text or "" for value in descendants(element, "v")).strip()


def _points(element: _Element | None) -> dict[int, str]:
    """Place -> text of the cached points; categories of several levels are joined, the outermost first."""
    levels = list(descendants(element, "lvl")) or ([element] if element is not None else [])
    found: dict[int, str] = {}
    for level in levels:
        code = next((one.text or "" for one in descendants(level, "formatCode")), "")
        for point in list(descendants(level, "pt"))[:MOST_POINTS]:
            place = whole_number(attribute(point, "idx"))
            text = _value(point, code)
            found[place] = f"{text} {found[place]}" if place in found else text
    return found


def _value(point: _Element, code: str) -> str:
    value = child(point, "v")
    text = "" if value is None else (value.text or "").strip()
    try:
        return shown(float(text), attribute(point, "formatCode") or code)
    except (ValueError, OverflowError):
        return text


def _newer_chart(root: _Element | None, page: int) -> Iterator[Block]:
    """Waterfall, treemap and the other kinds of 2016 keep their data apart from their series."""
    for data in descendants(root, "data"):
        dimensions = {attribute(one, "type"): _level(one) for one in children(data, "strDim", "numDim")}
        yield from table_blocks(_rows(dimensions), page)


def _level(dimension: _Element) -> dict[int, str]:
    points = descendants(dimension, "pt")
    return {whole_number(attribute(point, "idx")): (point.text or "").strip() for point in points}
