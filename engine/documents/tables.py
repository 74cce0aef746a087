"""Rows of cells as Markdown tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from engine.documents.block import Block

ROWS = 100  # of one block: a longer table becomes several, each with the header row


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, its first row the header; "" for no text at all. Columns without any text are left out."""
    width = max((len(row) for row in rows), default=0)
    kept = [column for column in range(width) if any(column < len(row) and row[column].strip() for row in rows)]
    lines = [[_cell(row[column]) if column < len(row) else "" for column in kept] for row in rows]
    lines = [line for line in lines if any(line)]
    if not lines:
        return ""
    written = [f"| {' | '.join(line)} |" for line in lines]
    written.insert(1, f"|{' --- |' * len(kept)}")
    return "\n".join(written)


def table_blocks(rows: Iterable[Sequence[str]], page: int = 0) -> Iterator[Block]:
    """A table of any length, in blocks of at most ROWS rows; every one begins with the header row."""
    stream = (row for row in rows if any(cell.strip() for cell in row))
    header = next(stream, None)
    if header is None:
        return
    first = list(islice(stream, ROWS))
    yield Block("table", markdown([header, *first]), page=page)
    while more := list(islice(stream, ROWS)):
        yield Block("table", markdown([header, *more]), page=page)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
