"""The text of OpenDocument files in blocks: paragraphs, lists, tables, notes, frames, charts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from engine.documents.block import Block
from engine.documents.office.markup import attribute, child, children, descendants, local, whole_number
from engine.documents.office.open_styles import HEADINGS, Styles, items_of
from engine.documents.tables import table_blocks

if TYPE_CHECKING:
    from lxml.etree import _Element

GONE = {"tracked-changes", "sequence-decls", "variable-decls", "user-field-decls", "forms", "note-citation"}
FRAMES = {
    "frame",
    "custom-shape",
    "rect",
    "ellipse",
    "g",
    "line",
    "path",
    "polygon",
    "text-box",
    "connector",
    "caption",
}
MOST_REPEATED = 1000  # cells or rows with text that one element may stand for
MOST_SPACES = 100
DEEPEST = 40


class Story:
    """Reads one body. `embedded(name)` gives the XML of an object within the file, None where there is none."""

    def __init__(self, styles: Styles, embedded: Callable[[str], _Element | None], page: int = 0) -> None:
        self.styles = styles
        self.page = page
        self._embedded = embedded
        self._after: list[_Element] = []
        self._counts: dict[str, dict[int, int]] = {HEADINGS: {}}
        self._depth = 0

    def blocks(self, container: Iterable[_Element]) -> Iterator[Block]:
        """Blocks of what is in a body, a frame, a note or a cell."""
        if self._depth > DEEPEST:
            return
        self._depth += 1
        for one in container:
            name = local(one)
            if name in ("p", "h"):
                yield from self._paragraph(one)
            elif name == "list":
                yield from self._list(one, attribute(one, "style-name"), 1)
            elif name == "table":
                yield from self._table(one)
            elif name in FRAMES or name in ("annotation", "note"):
                yield from self._aside(one)
            elif name == "soft-page-break":
                self.page += bool(self.page)
            elif name not in GONE and len(one):
                yield from self.blocks(one)
        self._depth -= 1

    def _paragraph(self, element: _Element, mark: str = "", depth: int = 0) -> Iterator[Block]:
        page, style = self.page, attribute(element, "style-name")
        text = "" if style in self.styles.hidden else self._text(element).strip()
        waiting, self._after = self._after, []
        if text and local(element) == "h":
            yield self._heading(element, text, page, mark)
        elif text and style in self.styles.titles:
            yield Block("heading", text, 1, page)
        elif text:
            yield Block("list" if mark else "text", f"{'  ' * depth}{mark} {text}" if mark else text, page=page)
        for one in waiting:
            yield from self._aside(one)

    def _heading(self, element: _Element, text: str, page: int, mark: str) -> Block:
        level = min(max(whole_number(attribute(element, "outline-level", "1"), 1), 1), 10)
        if not mark and HEADINGS in self.styles.lists and attribute(element, "is-list-header") != "true":
            mark = self.styles.mark(HEADINGS, level, self._counts[HEADINGS])
        return Block("heading", f"{mark if mark != '-' else ''} {text}".strip(), min(level, 6), page)

    def _text(self, element: _Element) -> str:
        parts = [element.text or ""]
        for one in element:
            name = local(one)
            if name == "s":
                parts.append(" " * min(whole_number(attribute(one, "c", "1"), 1), MOST_SPACES))
            elif name in ("tab", "line-break"):
                parts.append("\t" if name == "tab" else "\n")
            elif name == "soft-page-break":
                self.page += bool(self.page)
            elif name in FRAMES or name in ("annotation", "note"):
                self._after.append(one)
                parts.append(f"[{_citation(one)}]" if name == "note" else "")
            elif name == "ruby":
                parts.append(self._text_of_child(one, "ruby-base"))
            elif name and not self._is_hidden(one):
                parts.append(self._text(one))
            parts.append(one.tail or "")
        # Line ends in the file mean nothing: what breaks a line is an element.
        return "".join(part if part in ("\n", "\t") else part.replace("\n", " ") for part in parts)

    def _text_of_child(self, element: _Element, name: str) -> str:
        found = child(element, name)
        return "" if found is None else self._text(found)

    def _is_hidden(self, element: _Element) -> bool:
        name = local(element)
        if name in ("hidden-text", "hidden-paragraph"):
            return attribute(element, "is-hidden", "true") != "false"
        return name in GONE or attribute(element, "style-name") in self.styles.hidden

    def _aside(self, element: _Element) -> Iterator[Block]:
        """Notes, comments, and what is in frames."""
        name = local(element)
        if name == "note":
            yield from self._note(child(element, "note-body"), f"[{_citation(element)}]")
        elif name == "annotation":
            author = "".join(one.text or "" for one in children(element, "creator"))
            yield from self._note(element, f"Comment ({author}):" if author else "Comment:")
        else:
            yield from self._frame(element)

    def _note(self, element: _Element | None, before: str) -> Iterator[Block]:
        page, waiting, self._after = self.page, self._after, []
        paragraphs = children(element, "p", "list", "h")
        text = "\n".join(block.text for one in paragraphs for block in self.blocks([one]))
        self._after, self.page = waiting, page
        if text:
            yield Block("note", f"{before} {text}", page=page)

    def _frame(self, element: _Element) -> Iterator[Block]:
        for one in children(element, "object"):
            yield from self._object(one)
        # What is said of a picture; a title and a description.
        said = dict.fromkeys((one.text or "").strip() for one in children(element, "title", "desc"))
        yield from (Block("caption", text, page=self.page) for text in said)
        yield from self.blocks(element)

    def _object(self, element: _Element) -> Iterator[Block]:
        """An embedded chart as its titles and its table; anything else as its words."""
        root = next(iter(element), None) if len(element) else self._embedded(attribute(element, "href"))
        chart = next((one for one in descendants(root, "chart") if child(one, "table") is not None), None)
        if chart is None:
            words = "" if root is None else " ".join("".join(_words(root)).split())
            yield Block("text", words, page=self.page)
            return
        titles = [" ".join("".join(_words(one)).split()) for one in descendants(chart, "title", "subtitle")]
        yield Block("caption", " – ".join(dict.fromkeys(title for title in titles if title)), page=self.page)
        for table in children(chart, "table"):
            yield from self._table(table)

    def _list(self, element: _Element, style: str, level: int) -> Iterator[Block]:
        style = attribute(element, "style-name") or style
        goes_on = attribute(element, "continue-numbering") == "true" or attribute(element, "continue-list")
        if level == 1 and not goes_on:
            self._counts[style] = {}
        counts = self._counts.setdefault(style, {})
        for item in items_of(element):
            if attribute(item, "start-value"):
                counts[level] = whole_number(attribute(item, "start-value"), 1) - 1
            yield from self._item(item, style, level, counts)

    def _item(self, item: _Element, style: str, level: int, counts: dict[int, int]) -> Iterator[Block]:
        """The first paragraph has the number; more of them go without, lists within go one deeper."""
        numbered = local(item) == "list-item"
        for one in item:
            name = local(one)
            if name == "list" and level < DEEPEST:
                yield from self._list(one, style, level + 1)
            elif name in ("p", "h"):
                yield from self._paragraph(one, self.styles.mark(style, level, counts) if numbered else "", level - 1)
                numbered = False
            elif name:
                yield from self.blocks([one])

    def _table(self, element: _Element) -> Iterator[Block]:
        page, waiting, self._after = self.page, self._after, []
        yield from table_blocks((list(line.values()) for _, line in self.grid(element, dense=True)), page)
        self._after = waiting

    def grid(self, element: _Element, dense: bool = False) -> Iterator[tuple[int, dict[int, str]]]:
        """Row number, and column -> text. `dense`: every row and column, else only what holds text."""
        number, hanging = 0, dict[int, tuple[int, str]]()
        for row in rows_of(element):
            line = self._line(row, hanging, dense)
            times = max(1, whole_number(attribute(row, "number-rows-repeated", "1"), 1))
            if line:
                for step in range(min(times, MOST_REPEATED if any(line.values()) else 1)):
                    yield number + step + 1, line
            number += times

    def _line(self, row: _Element, hanging: dict[int, tuple[int, str]], dense: bool) -> dict[int, str]:
        line: dict[int, str] = {}
        column = 0
        for cell in children(row, "table-cell", "covered-table-cell"):
            text = self._cell(cell, column, hanging)
            times = max(1, whole_number(attribute(cell, "number-columns-repeated", "1"), 1))
            for step in range(min(times, MOST_REPEATED) if text or dense else 0):
                line[column + step] = text
            column += times
        return line

    def _cell(self, cell: _Element, column: int, hanging: dict[int, tuple[int, str]]) -> str:
        """The text; that of the cell above where this one is merged with it."""
        if local(cell) == "covered-table-cell" and column in hanging:
            left, text = hanging.pop(column)
            if left > 1:
                hanging[column] = (left - 1, text)
            return text
        text = "\n".join(block.text for block in self.blocks(cell))
        below = whole_number(attribute(cell, "number-rows-spanned", "1"), 1) - 1
        if below > 0:
            hanging[column] = (below, text)
        return text


def rows_of(table: _Element) -> Iterator[_Element]:
    """Rows in order, those of header rows and groups too."""
    for one in table:
        if local(one) == "table-row":
            yield one
        elif local(one) in ("table-header-rows", "table-row-group", "table-rows"):
            yield from rows_of(one)


def _citation(note: _Element) -> str:
    return "".join(one.text or "" for one in children(note, "note-citation"))


def _words(element: _Element) -> Iterator[str]:
    """Text below an element, a space after each piece; the styles and settings of an embedded object left out."""
    if local(element) in ("automatic-styles", "styles", "settings", "annotation"):
        return
    yield f"{element.text or ''} "
    for one in element:
        if local(one):
            yield from _words(one)
        yield one.tail or ""
