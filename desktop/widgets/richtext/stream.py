"""Text in pieces -> blocks that are final and blocks that may still change.

Only the source since the last final unit is parsed again. Units are final once a complete line has begun the next one:
in CommonMark a closed block never changes, and the grammar here has no construct that reaches back.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from desktop.widgets.richtext.blocks import Begun, Block, Run, clean, merged
from desktop.widgets.richtext.build import Before, Builder, Unit, code_line, language_of
from desktop.widgets.richtext.grammar import grammar
from desktop.widgets.richtext.inline import BREAK

LONG_PARAGRAPH = 500
PATIENCE = 1500  # from this many open characters on, parse again only when they have grown by an eighth
_FENCE = re.compile(r"( {0,3})(`{3,}|~{3,})(.*)")
_PLACE_TO_CUT = re.compile(r"[ \n](?=\w)|[。！？；，](?=\w)")
_OPEN_MARK = re.compile(r"\*(?!\s)|(?<!\s)\*|(?<!\w)_|_(?!\w)|~~|`|\[|\$|\\[(\[]|<")


@dataclass
class _Fence:
    indent: int
    mark: str
    language: str
    lines: int = 0

    def closed_by(self, line: str) -> bool:
        """Whether this line ends the block."""
        body = line.rstrip(" \t")
        marks = body.lstrip(" ")
        return len(body) - len(marks) < 4 and len(marks) >= len(self.mark) and not marks.strip(self.mark[0])

    def inside(self, line: str) -> str:
        """The line without the indentation that the fence itself has."""
        spaces = len(line) - len(line.lstrip(" "))
        return line[min(spaces, self.indent) :]


@dataclass(frozen=True)
class _Cut:
    """The beginning of a long paragraph, set aside: its source and what it is shown as."""

    source: str
    begun: Begun


class Stream:
    """The state of one message. `parsed` counts the characters given to the parser so far."""

    def __init__(self) -> None:
        self.open: list[Block] = []
        self.parsed = 0
        self._tail = ""
        self._last: Block | None = None
        self._before = Before()
        self._head = ""  # a table's head, repeated before the tail when that begins with a later row
        self._fence: _Fence | None = None
        self._cut: _Cut | None = None
        self._cut_from = LONG_PARAGRAPH
        self._settled = 0  # so many characters of the tail have been looked at as complete lines
        self._parse_from = 0
        self._shown = 0

    def feed(self, text: str, final: bool = False) -> list[Block]:
        """Take a piece; gives the blocks that became final. With `final` everything does."""
        self._tail += text
        done: list[Block] = []
        if not final and not self._fence and len(self._tail) < self._parse_from:
            self._extend()
            return done
        while self._fence_lines(done, final) if self._fence else self._settle(done, final):
            pass
        self.open = [] if final else self._open_blocks(done)
        self._shown = size = len(self._tail)
        self._parse_from = size + size // 8 if size > PATIENCE and not self._fence else 0
        return done

    def _extend(self) -> None:
        """Show what came without parsing it; it gets its form when enough has come."""
        new = clean(self._tail[self._shown :]).replace("\n", BREAK)
        self._shown = len(self._tail)
        if new and self.open and self.open[-1].kind not in ("row", "math", "hr"):
            self.open = [*self.open[:-1], replace(self.open[-1], runs=merged([*self.open[-1].runs, Run(new)]))]

    # parsing

    def _units(self, source: str) -> list[Unit] | None:
        """Units of a source that begins where the tail does. None if a cut paragraph is no longer one."""
        head = "x " if self._cut else self._head
        self.parsed += len(head) + len(source)
        units = Builder(self._before).build(grammar().parse(head + source, {}))
        for unit in units:
            unit.line = max(0, unit.line - head.count("\n"))
        return units if self._restore(units) else None

    def _restore(self, units: list[Unit]) -> bool:
        """Put the beginning of a cut paragraph back; False where that cannot be done."""
        if not self._cut:
            return True
        block = units[0].blocks[0] if units and units[0].kind == "p" else None
        if block is None or block.runs[0] == Run("x") or not block.runs[0].same_style(Run("")):
            return False
        rest = [Run(block.runs[0].text[2:]), *block.runs[1:]]
        units[0].blocks[0] = replace(block, runs=merged(rest), begun=self._cut.begun)
        return True

    def _uncut(self) -> None:
        if self._cut:
            self._tail = self._cut.source + self._tail
        self._cut = None
        self._settled = 0
        self._cut_from = 2 * len(self._tail)

    def _settle(self, done: list[Block], final: bool) -> bool:
        """Make final what complete lines have closed. True if there is more to look at."""
        end = len(self._tail) if final else self._tail.rfind("\n") + 1
        if end <= self._settled and not final:
            return False
        units = self._units(self._tail[:end])
        if units is None or (self._cut and (final or len(units) > 1)):
            # A paragraph that was set aside in parts is read once as a whole before it becomes final.
            self._uncut()
            return True
        if not units:
            self._tail = self._tail[end:]
            return False
        if units[-1].kind == "fence":
            self._finish_units(units[:-1], done)
            self._enter_fence(units[-1].line)
            return True
        self._finish_units(units if final else units[:-1], done)
        self._begin_at(units, end)
        return False

    def _finish_units(self, units: list[Unit], done: list[Block]) -> None:
        for unit in units:
            done += unit.blocks
            self._last = unit.blocks[-1] if unit.blocks else self._last

    def _begin_at(self, units: list[Unit], end: int) -> None:
        """Let the tail begin with the last unit."""
        unit = units[-1]
        offset = _offset(self._tail, unit.line)
        if unit.kind == "row" and unit.number:
            self._head = self._table_head(units)
            self._before = Before(self._last, row=unit.number)
        else:
            self._head = ""
            number = unit.number if unit.kind == "item" else None
            self._before = Before(self._last, number=number, item_opens=unit.opening)
        if offset:
            self._cut_from = LONG_PARAGRAPH
        self._tail = self._tail[offset:]
        self._settled = end - offset

    def _table_head(self, units: list[Unit]) -> str:
        heads = [unit.line for unit in units if unit.kind == "row" and unit.number == 0]
        if not heads:
            return self._head
        return self._tail[_offset(self._tail, heads[-1]) : _offset(self._tail, heads[-1] + 2)]

    def _open_blocks(self, done: list[Block]) -> list[Block]:
        """The blocks of the tail as it stands, its last line unfinished."""
        if self._fence:
            return self._open_code(self._fence)
        units = self._units(self._tail)
        if units is None:
            self._uncut()
            return self._open_blocks(done)
        if len(units) > 1 and self._begun_for_sure(units[-1]):
            self._finish_units(units[:-1], done)
            self._begin_at(units, _offset(self._tail, units[-1].line))
            units = units[-1:]
        if len(units) == 1 and units[0].kind == "p" and len(self._tail) > self._cut_from:
            self._try_cut()
        return [block for unit in units for block in unit.blocks]

    def _begun_for_sure(self, unit: Unit) -> bool:
        """Whether an unfinished last line is a paragraph of its own whatever it goes on with.

        No mark at a line's beginning is 40 characters long, but a formula there depends on the whole line.
        """
        line = self._tail[self._tail.rfind("\n") + 1 :]
        if self._cut or unit.kind != "p" or unit.line != self._tail.count("\n"):
            return False
        return len(line) > 40 and not line.lstrip().startswith(("$$", "\\["))

    def _try_cut(self) -> None:
        """Set aside the beginning of a long paragraph, up to a place where no mark is left open."""
        places = [found.end() for found in _PLACE_TO_CUT.finditer(self._tail, 0, len(self._tail) - 40)]
        self._cut_from = len(self._tail) + len(self._tail) // 4
        if not places:
            return
        source = self._tail[: places[-1]]
        units = self._units(source)
        if not units or len(units) > 1 or _open_mark(units[0].blocks[0].runs):
            return
        blank = source[len(source.rstrip(" \n")) :]
        runs = merged([*units[0].blocks[0].runs, Run(BREAK if "\n" in blank else blank)])
        before, begun = (self._cut.source, self._cut.begun) if self._cut else ("", None)
        self._cut = _Cut(before + source, Begun(begun, runs))
        self._tail = self._tail[len(source) :]
        self._settled = max(0, self._settled - len(source))
        self._cut_from = LONG_PARAGRAPH

    # code

    def _enter_fence(self, line: int) -> None:
        start = _offset(self._tail, line)
        end = _offset(self._tail, line + 1)
        found = _FENCE.match(self._tail, start)
        indent, mark, info = found.groups() if found else ("", "```", "")
        self._fence = _Fence(len(indent), mark, language_of(info))
        self._tail = self._tail[end:]
        self._before, self._head, self._settled = Before(), "", 0

    def _fence_lines(self, done: list[Block], final: bool) -> bool:
        """Take the complete lines of an open fence. True if text behind its end remains."""
        fence = self._fence
        lines = self._tail.split("\n")
        taken = len(lines) if final and lines[-1] else len(lines) - 1
        for index in range(taken if fence else 0):
            if fence and fence.closed_by(lines[index]):
                self._leave_fence(fence, done)
                self._tail = "\n".join(lines[index + 1 :])
                return True
            if fence:
                self._take_line(fence, lines[index], done)
        self._tail = "" if final else lines[-1]
        if final and fence:
            self._leave_fence(fence, done)
        return False

    def _take_line(self, fence: _Fence, line: str, done: list[Block]) -> None:
        block = code_line(self._last, clean(fence.inside(line)), fence.language, fence.lines == 0)
        fence.lines += 1
        self._last = block
        done.append(block)

    def _leave_fence(self, fence: _Fence, done: list[Block]) -> None:
        if not fence.lines:
            self._take_line(fence, "", done)
        self._fence = None
        self._before = Before(self._last)
        self._settled = 0

    def _open_code(self, fence: _Fence) -> list[Block]:
        line = clean(fence.inside(self._tail))
        maybe_end = not line.strip().strip(fence.mark[0])
        if maybe_end and fence.lines:
            return []
        return [code_line(self._last, "" if maybe_end else line, fence.language, fence.lines == 0)]


def _offset(text: str, line: int) -> int:
    """Where a line begins."""
    at = 0
    for _ in range(line):
        at = text.find("\n", at) + 1
        if at == 0:
            return len(text)
    return at


def _open_mark(runs: tuple[Run, ...]) -> bool:
    """Whether a mark stands as text that later text could still pair with."""
    return any(_OPEN_MARK.search(run.text) for run in runs if not (run.style & 8 or run.math or run.link))
