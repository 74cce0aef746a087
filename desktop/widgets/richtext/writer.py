"""Blocks -> the text document, changing only what differs from what is there."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from PySide6.QtGui import (
    QTextBlockFormat,
    QTextCharFormat,
    QTextCursor,
    QTextDocument,
)

from desktop.widgets.richtext.blocks import CODE, Begun, Block, Run, merged, units16
from desktop.widgets.richtext.formats import Formats, Mark
from desktop.widgets.richtext.tables import TableWriter

OBJECT = "\ufffc"
LONG_PART = 900  # UTF-16 units


@dataclass
class Placed:
    """A block and where it stands. `own` tells that a block separator was made for it.

    `splits` are places, in UTF-16 units of its text, where a long paragraph is in parts while it grows.
    """

    block: Block
    start: int
    own: bool
    code_id: int = 0
    splits: list[int] = field(default_factory=list)

    def position(self, units: int) -> int:
        """Where a place in the block's text is in the document."""
        return self.start + units + bisect_right(self.splits, units)


class Writer:
    """Keeps a document equal to the blocks given. `written` counts characters put in, for tests of flat cost."""

    def __init__(self, document: QTextDocument, formats: Formats) -> None:
        self.formats = formats
        self.written = 0
        self.codes: dict[int, tuple[int, str]] = {}  # code id -> where it begins, its language
        self._document = document
        self._cursor = QTextCursor(document)
        self._tables = TableWriter(formats, self._write)
        self._open: list[Placed] = []
        self._last: Placed | None = None
        self._code_id = 0
        self.final_code = 0  # code blocks up to this id are final

    def clear(self) -> None:
        """An empty document."""
        self._document.clear()
        self._cursor = QTextCursor(self._document)
        self._tables = TableWriter(self.formats, self._write)
        self._open, self._last = [], None
        self.codes = {}
        self.final_code = self._code_id

    def show(self, done: list[Block], pending: list[Block]) -> None:
        """Let the blocks after the final ones be `done`, now final too, and `pending`."""
        wanted = [*done, *pending]
        same = self._same(wanted)
        if same < len(self._open) or same < len(wanted):
            self._cursor.beginEditBlock()
            if same < len(self._open) and same < len(wanted) and self._amend(self._open[same], wanted[same], same):
                same += 1
            self._remove_from(same)
            if same < len(wanted):
                self.join_open()  # before anything stands behind it whose place would shift
            for block in wanted[same:]:
                self._append(block)
            self._cursor.endEditBlock()
        if done:
            self.final_code = max(self.final_code, *(placed.code_id for placed in self._open[: len(done)]))
            for placed in self._open[: len(done)]:
                self._join(placed)
            self._last = self._open[len(done) - 1]
            self._open = self._open[len(done) :]
        if self._open and self._open[-1].block.kind == "p":
            self._split(self._open[-1])

    def codes_after(self, code: int) -> dict[int, tuple[int, str]]:
        """The code blocks with greater ids; the time it takes does not depend on how many others there are."""
        found = {}
        for one in reversed(self.codes):
            if one <= code:
                break
            found[one] = self.codes[one]
        return dict(reversed(found.items()))

    @property
    def live_code(self) -> int:
        """The code block at the very end, 0 if something else stands there."""
        before = self._before()
        return before.code_id if before else 0

    @property
    def ends_in_code(self) -> bool:
        """Whether a code block, which has padding below, comes last."""
        return self.live_code > 0

    def _same(self, wanted: list[Block]) -> int:
        for index, (placed, block) in enumerate(zip(self._open, wanted, strict=False)):
            if placed.block != block:
                return index
        return min(len(self._open), len(wanted))

    # changing the last block

    def _amend(self, placed: Placed, block: Block, index: int) -> bool:
        """Change a block in place where only its text differs; only the last can be, others have text behind them."""
        old = placed.block
        if index < len(self._open) - 1:
            return False
        if old.kind == "row":
            changed = block.kind == "row" and self._tables.amend(self._cursor, placed.start, old, block)
        else:
            changed = replace(block, runs=(), begun=None) == replace(old, runs=(), begun=None)
            changed = changed and self._amend_text(placed, block)
        if changed:
            placed.block = block
        return changed

    def _amend_text(self, placed: Placed, block: Block) -> bool:
        begun, old, new = _aligned(placed.block, block)
        kept, units, rest = _common(old, new, self._units)
        units += self._begun_units(begun)
        if placed.splits and units < placed.splits[-1]:
            return False
        self._cursor.setPosition(placed.position(units))
        self._cursor.movePosition(QTextCursor.MoveOperation.End, QTextCursor.MoveMode.KeepAnchor)
        self._cursor.removeSelectedText()
        self._write(self._cursor, (*rest, *new[kept:]), block.kind)
        return True

    def _begun_units(self, begun: Begun | None) -> int:
        if begun is None:
            return 0
        if begun.units < 0:
            begun.units = self._begun_units(begun.parent) + sum(self._units(run) for run in begun.added)
        return begun.units

    # Qt lays a paragraph out as a whole at every change, so one that grows long is kept in parts, each ending where
    # a line ends anyway; it is joined when it is complete.

    def _split(self, placed: Placed) -> None:
        block = self._document.lastBlock()
        if block.length() < LONG_PART:
            return
        self._document.documentLayout().documentSize()  # has the lines made
        lines = block.layout().lineCount()
        if lines < 6:
            return
        at = block.position() + block.layout().lineAt(lines - 3).textStart()
        self._cursor.setPosition(at)
        part = self.formats.block(replace(placed.block, gap=0, marker=""), 0)
        part.setProperty(Mark.JOINED, True)
        self._cursor.insertBlock(part)
        placed.splits.append(at - placed.start - len(placed.splits))

    def _join(self, placed: Placed) -> None:
        if not placed.splits:
            return
        self._cursor.beginEditBlock()
        for units in reversed(placed.splits):
            self._cursor.setPosition(placed.position(units))
            placed.splits.pop()
            self._cursor.deletePreviousChar()
        self._cursor.setBlockFormat(self.formats.block(placed.block, 0))
        self._cursor.endEditBlock()

    def join_open(self) -> None:
        """Make open paragraphs whole, as a new width needs it: their parts end where lines ended."""
        for placed in self._open:
            self._join(placed)

    def _units(self, run: Run) -> int:
        return 1 if self.formats.drawing(run) else units16(run.text)

    # taking away and putting in, always at the end

    def _remove_from(self, index: int) -> None:
        if index >= len(self._open):
            return
        placed = self._open[index]
        for gone in self._open[index:]:
            if gone.block.kind == "code" and gone.block.first:
                del self.codes[gone.code_id]
        del self._open[index:]
        if placed.block.kind == "row":
            self._tables.remove(self._cursor, placed.start)
            return
        self._cursor.setPosition(placed.start - (1 if placed.own else 0))
        self._cursor.movePosition(QTextCursor.MoveOperation.End, QTextCursor.MoveMode.KeepAnchor)
        self._cursor.removeSelectedText()
        self._mend_format(placed)

    def _before(self) -> Placed | None:
        return self._open[-1] if self._open else self._last

    def _mend_format(self, gone: Placed) -> None:
        """Qt may give a joined block the format of the one taken away."""
        before = self._before()
        if gone.own and before and before.block.kind != "row":
            self._cursor.setBlockFormat(self.formats.block(before.block, before.code_id))
        else:
            self._cursor.setBlockFormat(QTextBlockFormat())
            self._cursor.setBlockCharFormat(QTextCharFormat())

    def _append(self, block: Block) -> None:
        before = self._before()
        self._cursor.movePosition(QTextCursor.MoveOperation.End)
        if block.kind == "row":
            goes_on = before is not None and before.block.kind == "row" and not block.first
            self._open.append(Placed(block, self._tables.append(self._cursor, block, goes_on), False))
            return
        own = before is not None  # behind a table too: Qt gives the first block there no space above
        placed = Placed(block, 0, own, self._code_of(block, before))
        if own:
            self._cursor.insertBlock(self.formats.block(block, placed.code_id), self.formats.char(block.kind))
        else:
            self._cursor.setBlockFormat(self.formats.block(block, placed.code_id))
            self._cursor.setBlockCharFormat(self.formats.char(block.kind))
        placed.start = self._cursor.position()
        if block.kind == "code" and block.first:
            self.codes[placed.code_id] = (placed.start, block.language)
        self._open.append(placed)
        self._write(self._cursor, block.all_runs(), block.kind)

    def _code_of(self, block: Block, before: Placed | None) -> int:
        if block.kind != "code":
            return 0
        if before and not block.first:
            return before.code_id
        self._code_id += 1
        return self._code_id

    def _write(self, cursor: QTextCursor, runs: tuple[Run, ...], kind: str) -> None:
        for run in runs:
            self.written += len(run.text)
            if self.formats.drawing(run):
                cursor.insertText(OBJECT, self.formats.formula_char(run))
            else:
                style = run.style | CODE if run.math else run.style
                cursor.insertText(run.text, self.formats.char(kind, style, run.link))


def _aligned(old: Block, new: Block) -> tuple[Begun | None, tuple[Run, ...], tuple[Run, ...]]:
    """The beginning that both share, and the runs of each behind it."""
    if old.begun is new.begun:
        return old.begun, old.runs, new.runs
    if new.begun and new.begun.parent is old.begun:
        return old.begun, old.runs, merged([*new.begun.added, *new.runs])
    return None, old.all_runs(), new.all_runs()


def _common(old: tuple[Run, ...], new: tuple[Run, ...], size: Callable[[Run], int]) -> tuple[int, int, tuple[Run, ...]]:
    """How many of the new runs are there already, at least in part; the places they take; and the rest of the last."""
    units = 0
    for index, run in enumerate(new):
        there = old[index] if index < len(old) else None
        if there == run:
            units += size(run)
        elif there and there.same_style(run):
            same = _alike(there.text, run.text)
            return index + 1, units + units16(run.text[:same]), (replace(run, text=run.text[same:]),)
        else:
            return index, units, ()
    return len(new), units, ()


def _alike(old: str, new: str) -> int:
    """How many characters two texts begin with alike."""
    if new.startswith(old):
        return len(old)
    return next((at for at, (one, other) in enumerate(zip(old, new, strict=False)) if one != other), len(new))
