"""The tables of a sheet: blank rows part them, a line alone above one is its title."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice

from engine.documents.block import Block
from engine.documents.tables import table_blocks

Row = tuple[int, dict[int, str]]
TITLES = 3  # lines of one cell that may stand over a table; more of them are a table of one column
SEEN = 200  # rows


def sheet_tables(rows: Iterable[Row], page: int) -> Iterator[Block]:
    """Blocks of a sheet. `rows`: row number, and column -> text; numbers rise, empty rows may be left out."""
    stream = _Regions(rows)
    while stream.more():
        yield from _region(stream.region(), page)


class _Regions:
    """Cuts the rows at gaps; holds one row only, however many there are."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._rows = (row for row in rows if row[1])
        self._next = next(self._rows, None)

    def more(self) -> bool:
        return self._next is not None

    def region(self) -> Iterator[dict[int, str]]:
        """Rows that follow each other without a gap."""
        while self._next is not None:
            number, cells = self._next
            self._next = next(self._rows, None)
            yield cells
            if self._next is not None and self._next[0] > number + 1:
                return


def _region(rows: Iterator[dict[int, str]], page: int) -> Iterator[Block]:
    """A few lines of one cell at the top are text; what follows is a table."""
    lines = list(islice(rows, 1))
    while len(lines[-1]) == 1 and len(lines) <= TITLES:
        following = next(rows, None)
        if following is None:
            break
        lines.append(following)
    titles = [] if len(lines) > TITLES and len(lines[-1]) == 1 else lines[: -1 if len(lines[-1]) > 1 else len(lines)]
    for cells in titles:
        yield Block("text", next(iter(cells.values())), page=page)
    yield from table_blocks(_wide(chain(lines[len(titles) :], rows)), page)


def _wide(rows: Iterator[dict[int, str]]) -> Iterator[list[str]]:
    """Rows as lists, without columns that are empty: a cell far to the right costs no more than others.

    Which columns there are is seen from the first rows; others come after them, as they are met.
    """
    first = list(islice(rows, SEEN))
    places = {column: place for place, column in enumerate(sorted({column for cells in first for column in cells}))}
    for cells in chain(first, rows):
        for column in cells:
            places.setdefault(column, len(places))
        line = [""] * len(places)
        for column, text in cells.items():
            line[places[column]] = text
        yield line
