"""What a message is made of once parsed: blocks of runs. Plain values, so that two states can be compared cheaply."""

from __future__ import annotations

import re
from dataclasses import dataclass

BOLD, ITALIC, STRIKE, CODE = 1, 2, 4, 8

# Characters with a meaning of their own in Qt's documents (frame marks, separators, objects), and lone surrogates.
_FOREIGN = re.compile("[\ufdd0\ufdd1\ufffc\ud800-\udfff\x00-\x08\x0b\x0c\x0e-\x1f]")
_BREAKS = re.compile("[\u2029\x85]")


@dataclass(frozen=True, slots=True)
class Run:
    """A stretch of text in one style. `math` holds LaTeX (then `text` is its source as written)."""

    text: str
    style: int = 0
    link: str = ""
    math: str = ""
    display: bool = False

    def same_style(self, other: Run) -> bool:
        """Whether both could be one run."""
        return self.style == other.style and self.link == other.link and not self.math and not other.math


@dataclass(eq=False, slots=True)
class Begun:
    """The beginning of a long paragraph that still grows. Compared by identity, so that its length costs nothing."""

    parent: Begun | None
    added: tuple[Run, ...]
    units: int = -1  # places it takes in the document, once counted

    def runs(self) -> list[Run]:
        """All runs from the paragraph's first on."""
        parts: list[Begun] = [self]
        while parts[-1].parent:
            parts.append(parts[-1].parent)
        return [run for part in reversed(parts) for run in part.added]


@dataclass(frozen=True, slots=True)
class Block:
    """One line-breaking unit. kind: p, h1-h6, code, hr or row; `gap` is the space above in px."""

    kind: str
    runs: tuple[Run, ...] = ()
    gap: int = 0
    indent: int = 0
    quote: int = 0
    marker: str = ""
    language: str = ""
    first: bool = False
    cells: tuple[tuple[Run, ...], ...] = ()
    aligns: tuple[str, ...] = ()
    begun: Begun | None = None
    part: int = 0  # which part of a long table a row is in

    @property
    def text(self) -> str:
        """The text as shown; cells are parted by tabs."""
        if self.kind == "row":
            return "\t".join(text_of(cell) for cell in self.cells)
        return text_of(self.all_runs())

    def all_runs(self) -> tuple[Run, ...]:
        """The runs, a beginning set aside included."""
        return merged([*self.begun.runs(), *self.runs]) if self.begun else self.runs


def text_of(runs: tuple[Run, ...]) -> str:
    """The text of runs, formulas by their source."""
    return "".join(run.text for run in runs)


def clean(text: str) -> str:
    """The text without characters that would break a Qt document. Lone surrogates become U+FFFD."""
    return _BREAKS.sub("\n", _FOREIGN.sub("\ufffd", text))


def units16(text: str) -> int:
    """Length in UTF-16 units, which is what Qt counts in."""
    if text.isascii():
        return len(text)
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def merged(runs: list[Run]) -> tuple[Run, ...]:
    """Neighbouring runs of one style joined, empty ones dropped."""
    kept: list[Run] = []
    parts: list[str] = []
    for run in runs:
        if not run.text:
            continue
        if kept and kept[-1].same_style(run):
            parts.append(run.text)
            continue
        _close(kept, parts)
        kept.append(run)
        parts = [run.text]
    _close(kept, parts)
    return tuple(kept)


def _close(kept: list[Run], parts: list[str]) -> None:
    if kept and len(parts) > 1:
        last = kept[-1]
        kept[-1] = Run("".join(parts), last.style, last.link, last.math, last.display)
