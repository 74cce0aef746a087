"""The text of one part of a Word document (the body, a header, a note), in blocks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from engine.documents.block import Block
from engine.documents.office.archive import Archive
from engine.documents.office.drawings import described, drawing_blocks
from engine.documents.office.markup import attribute, child, children, local, whole_number
from engine.documents.office.word_styles import Numbering, Style, is_on, numbered, outline_level
from engine.documents.tables import table_blocks

if TYPE_CHECKING:
    from lxml.etree import _Element

GONE = {"del", "moveFrom", "delText", "instrText", "delInstrText", "rPr", "pPr", "fldData", "Fallback"}
SIGNS = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-", "softHyphen": ""}
MOST_SPAN = 200  # columns one cell may cover
DEEPEST = 40  # text boxes and tables within each other


@dataclass
class Word:
    """What the parts of one document share."""

    archive: Archive
    styles: dict[str, Style]
    numbering: Numbering
    footnotes: dict[str, _Element] = field(default_factory=dict)
    endnotes: dict[str, _Element] = field(default_factory=dict)
    comments: dict[str, _Element] = field(default_factory=dict)
    note_parts: dict[str, str] = field(default_factory=dict)


class Story:
    """One part, read once. `pages`: whether Word has marked where its pages begin."""

    def __init__(self, word: Word, part: str, pages: bool = False, depth: int = 0) -> None:
        self.word = word
        self.part = part
        self.page = 1 if pages else 0
        self.depth = depth
        self._row_page = 0
        self._concealed = False  # by the style of the paragraph, unless a run says otherwise
        self._begins = 0  # the page on which the paragraph has its first words
        self._after: list[_Element] = []  # what a paragraph refers to: read when its text is complete

    def blocks(self, container: _Element) -> Iterator[Block]:
        """Paragraphs and tables in order; notes and drawings follow the paragraph that has them."""
        for one in container:
            name = local(one)
            if name == "p":
                yield from self._paragraph(one)
            elif name == "tbl":
                yield from self._table(one)
            elif name not in GONE and name != "sectPr" and len(one):
                yield from self.blocks(one)

    def _paragraph(self, element: _Element) -> Iterator[Block]:
        self._begins, self._concealed = 0, self._style(element).hidden
        text = self._text(element).strip()
        waiting, self._after = self._after, []
        if text:
            yield self._placed(element, text, self._begins or self.page)
        for one in waiting:
            yield from self._referred(one)

    def _placed(self, element: _Element, text: str, page: int) -> Block:
        """The paragraph as what its style and its list say it is."""
        properties = child(element, "pPr")
        style = self._style(element)
        outline = child(properties, "outlineLvl")
        level = style.level if outline is None else outline_level(outline)
        number, depth = numbered(properties, style)
        mark = self.word.numbering.next(number, depth) if number else ""
        if level:
            return Block("heading", f"{mark if mark != '-' else ''} {text}".strip(), min(level, 6), page)
        if mark:
            return Block("list", f"{'  ' * depth}{mark} {text}", page=page)
        return Block("caption" if style.name.lower() == "caption" else "text", text, page=page)

    def _style(self, paragraph: _Element) -> Style:
        return self.word.styles.get(attribute(child(paragraph, "pPr", "pStyle"), "val"), self.word.styles[""])

    def _text(self, element: _Element) -> str:
        """The text of a paragraph or of something in it; what it refers to is put aside."""
        parts = []
        for one in element:
            name = local(one)
            if name in ("t", "sym"):
                parts.append(one.text or "" if name == "t" else _symbol(one))
                self._begins = self._begins or self.page
            elif name in SIGNS:
                parts.append(SIGNS[name] if attribute(one, "type") not in ("page", "column") else "\n")
            elif name == "lastRenderedPageBreak":
                self.page += bool(self.page)
            elif name == "ruby":
                parts.append(self._text(_inside(one, "rubyBase")))
            elif name in ("footnoteReference", "endnoteReference", "commentReference"):
                parts.append(self._mark(one))
            elif name in ("drawing", "pict", "object"):
                self._after.append(one)
            elif name in ("f", "rad", "sSup", "sSub", "nary"):
                parts.append(self._formula(one))
            elif name not in GONE and not (name == "r" and self._hidden(one)):
                parts.append(self._text(one))
        return "".join(parts)

    def _formula(self, element: _Element) -> str:
        """Fractions, roots and powers as they are typed in one line."""
        said = {local(one): self._text(one) for one in element}
        name = local(element)
        if name == "f":
            return f"({said.get('num', '')})/({said.get('den', '')})"
        if name == "rad":
            return f"√({said.get('e', '')})"
        low, high = said.get("sub", ""), said.get("sup", "")
        script = (f"_{low}" if low else "") + (f"^{high}" if high else "")
        return f"∑{script} {said.get('e', '')}" if name == "nary" else said.get("e", "") + script

    def _hidden(self, run: _Element) -> bool:
        properties = child(run, "rPr")
        style = self.word.styles.get(attribute(child(properties, "rStyle"), "val"))
        return is_on(child(properties, "vanish"), (style is not None and style.hidden) or self._concealed)

    def _mark(self, reference: _Element) -> str:
        self._after.append(reference)
        return "" if local(reference) == "commentReference" else f"[{attribute(reference, 'id')}]"

    def _referred(self, element: _Element) -> Iterator[Block]:
        """A note, a comment, or what is in a drawing."""
        name, key = local(element), attribute(element, "id")
        if name.endswith("Reference"):
            kind = name.removesuffix("Reference") + "s"
            found: dict[str, _Element] = getattr(self.word, kind)
            if key in found:
                yield from self._note(found[key], kind, key)
        elif self.depth < DEEPEST:
            for box in _text_boxes(element):
                yield from self._inner(self.part).blocks(box)
            yield from described(element, self.page)
            yield from drawing_blocks(self.word.archive, self.part, element, self.page)

    def _note(self, element: _Element, kind: str, key: str) -> Iterator[Block]:
        part = self.word.note_parts.get(kind, self.part)
        text = "\n".join(block.text for block in self._inner(part).blocks(element)) if self.depth < DEEPEST else ""
        author = attribute(element, "author").strip()
        before = f"[{key}]" if kind != "comments" else f"Comment ({author}):" if author else "Comment:"
        if text:
            yield Block("note", f"{before} {text}", page=self.page)

    def _inner(self, part: str) -> Story:
        story = Story(self.word, part, depth=self.depth + 1)
        story.page = self.page
        return story

    def _table(self, element: _Element) -> Iterator[Block]:
        """A table; one of a single cell is a frame around ordinary text."""
        cells = [cell for row in _rows(element) for cell in _cells(row)]
        if self.depth >= DEEPEST:
            return
        if len(cells) == 1:
            self.depth += 1
            yield from self.blocks(cells[0])
            self.depth -= 1
            return
        page, aside = self.page, list[Block]()
        yield from table_blocks(self._grid(element, aside), page)
        yield from aside

    def _grid(self, element: _Element, aside: list[Block]) -> Iterator[list[str]]:
        """Rows of texts: a cell merged downwards is said again in each row, one merged sideways once."""
        above: list[str] = []
        for row in _rows(element):
            self._row_page = self.page
            line: list[str] = [""] * min(whole_number(attribute(child(row, "trPr", "gridBefore"), "val")), MOST_SPAN)
            for cell in _cells(row):
                line += self._cell(cell, above, len(line), aside)
            above = line
            yield line

    def _cell(self, cell: _Element, above: list[str], column: int, aside: list[Block]) -> list[str]:
        properties = child(cell, "tcPr")
        merged = child(properties, "vMerge")
        story = self._inner(self.part)
        story.page = self._row_page
        inner = list(story.blocks(cell))
        self.page = max(self.page, story.page)  # a row over two pages says so in each of its cells
        aside += [block for block in inner if block.kind == "note"]
        text = " ".join(_flat(block) for block in inner if block.kind != "note")
        if merged is not None and attribute(merged, "val", "continue") == "continue" and not text:
            text = above[column] if column < len(above) else ""
        span = whole_number(attribute(child(properties, "gridSpan"), "val", "1"), 1)
        return [text, *[""] * min(span - 1, MOST_SPAN)]


def _inside(element: _Element, name: str) -> _Element:
    """A child of that name, the element itself where it has none."""
    found = child(element, name)
    return element if found is None else found


def _rows(table: _Element) -> Iterator[_Element]:
    for one in children(table, "tr", "sdt", "ins", "customXml"):
        yield from [one] if local(one) == "tr" else _rows(_inside(one, "sdtContent"))


def _cells(row: _Element) -> Iterator[_Element]:
    for one in children(row, "tc", "sdt", "customXml"):
        yield from [one] if local(one) == "tc" else _cells(_inside(one, "sdtContent"))


def _text_boxes(element: _Element) -> Iterator[_Element]:
    """The outermost text boxes; of the two shapes of one box (new and old drawing), the first."""
    for one in element:
        name = local(one)
        if name == "txbxContent":
            yield one
        elif name != "Fallback":
            yield from _text_boxes(one)


def _flat(block: Block) -> str:
    """A block as words of a cell: a table in a table loses its lines."""
    if block.kind != "table":
        return block.text
    return " ".join(word for word in block.text.replace("|", " ").split() if word != "---")


def _symbol(element: _Element) -> str:
    """A character of a symbol font: bullets and check marks, mostly."""
    code = attribute(element, "char")
    return {"F0FC": "✓", "F0FE": "☑", "F0A8": "☐", "F0B7": "•", "F0E0": "→"}.get(code.upper(), "")
