"""HTML as blocks: what a person would read on the page, in order.

Scripts, styles, hidden parts and link lists for moving about are left out; everything else stays. The tree is walked
without recursion: strangers nest elements a thousand deep.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from engine.documents.block import Block, Kind
from engine.documents.office.list_numbers import written
from engine.documents.office.markup import local, whole_number
from engine.documents.tables import markdown

if TYPE_CHECKING:
    from lxml.etree import _Element

SILENT = {
    *("script", "style", "template", "noscript", "head", "iframe", "object", "embed", "audio", "video", "canvas"),
    *("map", "annotation", "rp", "rt", "dialog"),
}
BREAKS = {
    *("html", "body", "main", "article", "section", "header", "footer", "aside", "nav", "address", "center"),
    "hgroup",
    *(
        "div",
        "p",
        "blockquote",
        "pre",
        "hr",
        "figure",
        "figcaption",
        "details",
        "summary",
        "fieldset",
        "legend",
        "form",
    ),
    *("table", "caption", "thead", "tbody", "tfoot", "tr", "td", "th", "ul", "ol", "menu", "li", "dl", "dt", "dd"),
    *("h1", "h2", "h3", "h4", "h5", "h6", "title", "textarea", "select", "option"),
}
HEADINGS = {f"h{level}": level for level in range(1, 7)}
LANDMARKS = {"header", "footer"}
CONTENT = {"main", "article", "section", "li", "td", "blockquote", "figure"}  # a header in one of these belongs to it
HIDDEN_STYLE = re.compile(r"(display\s*:\s*none|visibility\s*:\s*hidden)", re.IGNORECASE)
LINKS = 0.6  # so much of a nav's text is links, or it is content
SPACE = re.compile(r"[ \t\r\n\f]+")
LAYOUT = ["h1", "h2", "h3", "h4", "h5", "h6", "table", "ul", "ol", "pre", "p", "div"]


def blocks_of(root: _Element, page: int = 0) -> Iterator[Block]:
    """Blocks of a parsed page; its title is a heading where the page has none of its own."""
    from lxml import etree

    title = root.find(".//{*}title")
    has_heading = any(words(one) for one in root.iter("{*}h1"))
    if title is not None and title.text and not has_heading:
        yield Block("heading", " ".join(title.text.split()), 1, page)
    flow = Flow(page)
    walk = etree.iterwalk(root, events=("start", "end", "comment", "pi"))
    for event, element in walk:
        if event == "start":
            if not flow.begin(element):
                walk.skip_subtree()
        elif event == "end":
            flow.end(element)
        else:
            flow.say(element.tail)
        yield from flow.take()
    flow.flush()
    yield from flow.take()


@dataclass
class _List:
    ordered: bool
    next: int
    step: int
    kind: str


@dataclass
class Flow:
    """Where the walk stands: what is written so far of the block, and what it is within."""

    page: int = 0
    parts: list[str] = field(default_factory=list)
    done: list[Block] = field(default_factory=list)
    lists: list[_List] = field(default_factory=list)
    mark: str = ""
    level: int = 0
    within: list[str] = field(default_factory=list)
    read: list[bool] = field(default_factory=list)  # of the elements the walk is in: whether they are read
    verbatim: int = 0

    def take(self) -> list[Block]:
        """The blocks that are complete, once."""
        done, self.done = self.done, []
        return done

    def say(self, text: str | None) -> None:
        """Text of the current block."""
        if text:
            self.parts.append(text if self.verbatim else SPACE.sub(" ", text))

    def begin(self, element: _Element) -> bool:
        """Enter an element; False if nothing of it is to be read."""
        name = local(element)
        self.read.append(True)
        if name in SILENT or is_hidden(element) or (name == "nav" and is_navigation(element)):
            return self._pass_over(element)
        if name == "table" and not is_layout(element):
            self.flush()
            self._table(element)
            return self._pass_over(element)
        self._open(name, element)
        if name == "br":
            self.parts.append("\n")
        elif name == "img":
            self.say(f" {element.get('alt') or ''} ")
        elif name == "input" and element.get("type") in (None, "text", "submit", "button"):
            self.say(f" {element.get('value') or element.get('placeholder') or ''} ")
        self.say(element.text)
        return True

    def _pass_over(self, element: _Element) -> bool:
        self.read[-1] = False
        return False

    def end(self, element: _Element) -> None:
        """Leave an element, and read what follows it."""
        if self.read.pop():
            self._close(local(element))
        self.say(element.tail)

    def _open(self, name: str, element: _Element) -> None:
        if name in BREAKS:
            self.flush()
            self.within.append(name)
        if name in ("ul", "ol", "menu"):
            self._open_list(name, element)
        elif name == "li":
            self._open_item(element)
        elif name in HEADINGS:
            self.level = HEADINGS[name]
        elif name == "pre":
            self.verbatim += 1

    def _close(self, name: str) -> None:
        if name in BREAKS:
            self.flush()
            if self.within:
                self.within.pop()
        if name in ("ul", "ol", "menu") and self.lists:
            self.lists.pop()
        elif name == "li":
            self.mark = ""
        elif name in HEADINGS:
            self.level = 0
        elif name == "pre":
            self.verbatim -= 1

    def _open_list(self, name: str, element: _Element) -> None:
        backwards = element.get("reversed") is not None
        items = sum(local(one) == "li" for one in element) if backwards else 1
        start = whole_number(element.get("start") or "", items)
        self.lists.append(_List(name == "ol", start, -1 if backwards else 1, element.get("type") or "1"))

    def _open_item(self, element: _Element) -> None:
        around = self.lists[-1] if self.lists else _List(False, 1, 1, "1")
        if not around.ordered:
            self.mark = "-"
            return
        value = whole_number(element.get("value") or "", around.next)
        around.next = value + around.step
        self.mark = f"{written(value, around.kind)}."

    def flush(self) -> None:
        """The block is complete: give it its kind."""
        raw, self.parts = "".join(self.parts), []
        text = raw.strip("\n") if self.verbatim else "\n".join(SPACE.sub(" ", line).strip() for line in raw.split("\n"))
        if not text.strip():
            return
        if self.level:
            self.done.append(Block("heading", " ".join(text.split()), self.level, self.page))
        elif self.mark and not self.verbatim:
            indent = "  " * max(0, len(self.lists) - 1)
            self.done.append(Block("list", f"{indent}{self.mark} {text.strip()}", page=self.page))
            self.mark = ""
        else:
            self.done.append(Block(self._kind(), text if self.verbatim else text.strip(), page=self.page))

    def _kind(self) -> Kind:
        if self.verbatim:
            return "code"
        for name in reversed(self.within):
            if name in CONTENT:
                break
            if name in LANDMARKS:
                return "header" if name == "header" else "footer"
        return "caption" if self.within and self.within[-1] in ("figcaption", "caption") else "text"

    def _table(self, element: _Element) -> None:
        for caption in element.iterchildren("{*}caption"):
            self.done.append(Block("caption", words(caption), page=self.page))
        self.done.append(Block("table", markdown(grid(element)), page=self.page))


def is_hidden(element: _Element) -> bool:
    """Whether the page itself says not to show it."""
    return element.get("hidden") is not None or bool(HIDDEN_STYLE.search(element.get("style") or ""))


def is_navigation(element: _Element) -> bool:
    """A nav that is mostly links; one that holds real text stays."""
    everything = len(words(element))
    links = sum(len(words(one)) for one in element.iter("{*}a"))
    return links >= LINKS * everything


def is_layout(table: _Element) -> bool:
    """Whether a table only places things on the page: it holds tables or headings, or a single column of blocks."""
    inside = any(
        local(one) in ("table", *HEADINGS)
        for one in table.iterdescendants("{*}table", *(f"{{*}}{h}" for h in HEADINGS))
    )
    if inside or table.get("role") in ("presentation", "none"):
        return True
    widths = [sum(local(one) in ("td", "th") for one in row) for row in table.iter("{*}tr")]
    return max(widths, default=0) < 2 and any(True for _ in table.iterdescendants(*(f"{{*}}{n}" for n in LAYOUT)))


def grid(table: _Element) -> list[list[str]]:
    """Rows of texts: a cell that spans rows is said again in each, one that spans columns once."""
    rows: list[list[str]] = []
    hanging: dict[int, tuple[int, str]] = {}  # column -> rows still to fill, and their text
    for row in table.iter("{*}tr"):
        line: list[str] = []
        for cell in row:
            if local(cell) in ("td", "th") and not is_hidden(cell):
                _fill(line, hanging)
                _place(cell, line, hanging)
        _fill(line, hanging)
        rows.append(line)
    return rows


def _fill(line: list[str], hanging: dict[int, tuple[int, str]]) -> None:
    while len(line) in hanging:
        left, text = hanging.pop(len(line))
        if left > 1:
            hanging[len(line)] = (left - 1, text)
        line.append(text)


def _place(cell: _Element, line: list[str], hanging: dict[int, tuple[int, str]]) -> None:
    text = words(cell)
    down = min(whole_number(cell.get("rowspan") or "1", 1), 1000)
    for column in range(min(max(whole_number(cell.get("colspan") or "1", 1), 1), 100)):
        said = text if column == 0 else ""
        if down > 1:
            hanging[len(line)] = (down - 1, said)
        line.append(said)


def words(element: _Element) -> str:
    """All visible words of an element in one line."""
    from lxml import etree

    parts: list[str] = []
    depth = 0
    walk = etree.iterwalk(element, events=("start", "end"))
    for event, one in walk:
        name = local(one)
        gap = " " if name in BREAKS or name == "br" else ""
        if event == "end":
            depth -= 1
            parts += [gap, one.tail or "" if depth else ""]
            continue
        depth += 1
        if name in SILENT or is_hidden(one):
            walk.skip_subtree()
        else:
            parts += [gap, one.text or "", one.get("alt") or "" if name == "img" else ""]
    return " ".join("".join(parts).split())
