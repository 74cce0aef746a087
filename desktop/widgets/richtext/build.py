"""Markdown tokens -> units of blocks. A unit is the smallest piece that can be finished on its own:

a top-level block, one item of a top-level list, or one row of a top-level table.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from desktop.widgets.richtext.blocks import Block, Run, clean
from desktop.widgets.richtext.inline import formula_run, runs_of

if TYPE_CHECKING:
    from markdown_it.token import Token

ROWS_IN_A_TABLE = 12
_ABOVE = {"h1": 22, "h2": 20, "h3": 16, "h4": 14, "h5": 14, "h6": 14, "code": 12, "hr": 14, "row": 10, "math": 10}
_TASKS = {"[ ] ": "task", "[x] ": "done", "[X] ": "done"}


@dataclass
class Unit:
    """Blocks that become final together. `line` is where their source begins in what was parsed."""

    line: int
    kind: str
    blocks: list[Block] = field(default_factory=list)
    number: int = 0
    opening: bool = True


@dataclass(frozen=True)
class Before:
    """What the text to be parsed goes on from."""

    block: Block | None = None
    number: int | None = None  # the display number of the list item that the text begins with
    item_opens: bool = True  # whether that item is the first of its list
    row: int | None = None  # the index of the table row that the text begins with; a repeated head comes before it


@dataclass
class _List:
    ordered: bool
    number: int
    opens: bool


class Builder:
    """One pass over tokens; `units` is the result."""

    def __init__(self, before: Before) -> None:
        self.units: list[Unit] = []
        self._before = before
        self._previous = before.block
        self._lists: list[_List] = []
        self._quote = 0
        self._marker = ""
        self._fresh_item = False
        self._row = 0
        self._table_line = 0
        self._cells: list[tuple[Run, ...]] = []
        self._aligns: list[str] = []
        self._kind = "p"

    def build(self, tokens: list[Token]) -> list[Unit]:
        """The units of a document's tokens, in order."""
        for token in tokens:
            if token.level == 0 and token.nesting >= 0:
                self._top(token)
            step = getattr(self, f"_on_{token.type}", None)
            if step:
                step(token)
        return self.units

    def _top(self, token: Token) -> None:
        line = token.map[0] if token.map else 0
        if token.type not in ("bullet_list_open", "ordered_list_open", "table_open"):
            kind = {"paragraph_open": "p", "fence": "fence"}.get(token.type, "other")
            self.units.append(Unit(line, kind))

    def add(self, block: Block) -> None:
        """Put a block at the end, with its place in lists and quotes."""
        block = replace(block, gap=self._gap(block), quote=self._quote, indent=len(self._lists), marker=self._marker)
        self._marker = ""
        self._fresh_item = False
        self._previous = block
        self.units[-1].blocks.append(block)

    def _gap(self, block: Block) -> int:
        """Space above, in px. Nothing above the first; a code block ends with padding of its own."""
        last = self._previous
        if last is None:
            return 0
        if block.kind in ("code", "row") and last.kind == block.kind and not block.first:
            return 0
        after_code = {"code": 12, "row": 4}.get(last.kind, 0)
        if self._fresh_item and not (self._lists[-1].opens and len(self._lists) == 1):
            return after_code + 4
        if last.kind.startswith("h") and last.kind != "hr":
            return 8
        return after_code + _ABOVE.get(block.kind, 8)

    # lists

    def _on_bullet_list_open(self, token: Token) -> None:
        self._open_list(token, False)

    def _on_ordered_list_open(self, token: Token) -> None:
        self._open_list(token, True)

    def _open_list(self, token: Token, ordered: bool) -> None:
        start = token.attrGet("start")
        now = _List(ordered, int(start) if start is not None else 1, True)
        if not self.units and self._before.number is not None:
            now.number, now.opens = self._before.number, self._before.item_opens
        self._lists.append(now)

    def _on_bullet_list_close(self, _token: Token) -> None:
        self._lists.pop()

    _on_ordered_list_close = _on_bullet_list_close

    def _on_list_item_open(self, token: Token) -> None:
        here = self._lists[-1]
        if token.level == 1:
            line = token.map[0] if token.map else 0
            self.units.append(Unit(line, "item", number=here.number, opening=here.opens))
        self._marker = f"{here.number}." if here.ordered else "•"
        self._fresh_item = True

    def _on_list_item_close(self, _token: Token) -> None:
        if self._marker:
            self.add(Block("p"))
        self._lists[-1].number += 1
        self._lists[-1].opens = False

    # quotes, headings, paragraphs

    def _on_blockquote_open(self, _token: Token) -> None:
        self._quote += 1

    def _on_blockquote_close(self, _token: Token) -> None:
        self._quote -= 1

    def _on_heading_open(self, token: Token) -> None:
        self._kind = token.tag

    def _on_paragraph_open(self, _token: Token) -> None:
        self._kind = "p"

    def _on_th_open(self, token: Token) -> None:
        self._kind = "cell"
        if token.type == "th_open":
            style = str(token.attrGet("style") or "")
            self._aligns.append(style.rpartition(":")[2])

    _on_td_open = _on_th_open

    def _on_inline(self, token: Token) -> None:
        runs = runs_of(token.children or [])
        if self._kind == "cell":
            self._cells.append(runs)
            return
        if self._marker == "•" and runs and runs[0].text[:4] in _TASKS and not runs[0].style:
            self._marker = _TASKS[runs[0].text[:4]]
            runs = (replace(runs[0], text=runs[0].text[4:]), *runs[1:])
        self.add(Block(self._kind, runs))

    def _on_formula_block(self, token: Token) -> None:
        self.add(Block("math", (formula_run(clean(token.content), token.markup),)))

    def _on_hr(self, _token: Token) -> None:
        self.add(Block("hr"))

    # code

    def _on_fence(self, token: Token) -> None:
        self.add_code(token.content, language_of(token.info))

    def _on_code_block(self, token: Token) -> None:
        self.add_code(token.content, "")

    def add_code(self, content: str, language: str) -> None:
        """One block a line; an empty fence still shows one line."""
        lines = clean(content).split("\n")
        for index, line in enumerate(lines[:-1] or [""]):
            self.add(Block("code", code_runs(line), language=language, first=index == 0))

    # tables

    def _on_table_open(self, token: Token) -> None:
        self._aligns = []
        self._row = 0
        self._table_line = token.map[0] if token.map else 0

    def _on_tr_open(self, token: Token) -> None:
        self._cells = []
        if token.level == 2 and not self._repeated():
            line = token.map[0] if token.map else self._table_line
            self.units.append(Unit(line if self._row else self._table_line, "row", number=self._number()))

    def _on_tr_close(self, token: Token) -> None:
        if token.level != 2 or not self._repeated():
            number = self._number() if token.level == 2 else self._row
            cells, aligns = tuple(self._cells), tuple(self._aligns)
            opens = number % ROWS_IN_A_TABLE == 0
            head = "head" if number == 0 else ""
            part = number // ROWS_IN_A_TABLE
            self.add(Block("row", cells=cells, aligns=aligns, first=opens, language=head, part=part))
        self._row += 1

    def _goes_on(self) -> bool:
        return self._before.row is not None and self._table_line == 0

    def _repeated(self) -> bool:
        """Whether this row is the head repeated only to have what follows read as a table."""
        return self._goes_on() and self._row == 0

    def _number(self) -> int:
        return self._row - 1 + (self._before.row or 0) if self._goes_on() else self._row


def code_line(previous: Block | None, text: str, language: str, first: bool) -> Block:
    """One line of a top-level code block that comes after `previous`."""
    builder = Builder(Before(previous))
    builder.units.append(Unit(0, "fence"))
    builder.add(Block("code", code_runs(text), language=language, first=first))
    return builder.units[0].blocks[0]


def language_of(info: str) -> str:
    """The language named after a fence, as written."""
    return clean(info.strip().split(" ")[0].split("{")[0])[:30]


def code_runs(line: str) -> tuple[Run, ...]:
    """One line of code as runs."""
    return (Run(line),) if line else ()
