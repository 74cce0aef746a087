"""Tables of a page, found by how their cells line up."""

from __future__ import annotations

from collections.abc import Sequence

from engine.documents.pdf.line_joining import joined
from engine.documents.pdf.segment import Row, Segment, row_of, rows_of
from engine.documents.tables import markdown

MOST_LINES = 6  # of a cell: longer pieces side by side are columns of prose


def table_rows(segments: Sequence[Segment]) -> list[Row]:
    """Rows of the page; cells of several lines, written one after the other, stand in one row."""
    rows: list[Row] = []
    band: list[list[Segment]] = []
    for segment in segments:
        if band and _goes_on(band[-1], segment):
            band[-1].append(segment)
        elif band and _is_next_cell(band, segment):
            band.append([segment])
        else:
            rows += _closed(band)
            band = [[segment]]
    return rows + _closed(band)


def _goes_on(cell: list[Segment], segment: Segment) -> bool:
    """Whether the segment is the next line of the cell."""
    last = cell[-1]
    close = -0.5 * last.size < segment.top - last.bottom < 0.5 * last.size
    return close and min(last.right, segment.right) > max(last.left, segment.left)


def _is_next_cell(band: list[list[Segment]], segment: Segment) -> bool:
    right = max(line.right for line in band[-1])
    top, bottom = band[0][0].top, max(line.bottom for cell in band for line in cell)
    return segment.left >= right - 0.5 * segment.size and top - 0.6 * segment.size < segment.top < bottom


def _closed(band: list[list[Segment]]) -> list[Row]:
    """One row of whole cells if it was a table's, else its lines as they are."""
    if len(band) > 1 and all(len(cell) <= MOST_LINES for cell in band):
        return [row_of([_cell(cell) for cell in band])]
    return rows_of([line for cell in band for line in cell])


def _cell(lines: list[Segment]) -> Segment:
    if len(lines) == 1:
        return lines[0]
    return Segment(
        joined(line.text for line in lines),
        min(line.left for line in lines),
        min(line.top for line in lines),
        max(line.right for line in lines),
        max(line.bottom for line in lines),
        lines[0].size,
        all(line.bold for line in lines),
    )


def table_at(rows: Sequence[Row], start: int) -> int:
    """How many rows from `start` on make a table, 0 if none begins there."""
    end = start
    while end < len(rows) and len(rows[end].segments) > 1 and (end == start or _follows(rows[end - 1], rows[end])):
        end += 1
    count = end - start
    if count < 2 or (count == 2 and max(len(row.segments) for row in rows[start:end]) < 3):
        return 0
    return count if len(_columns(rows[start:end])) > 1 else 0


def table_text(rows: Sequence[Row]) -> str:
    """The rows as Markdown."""
    columns = _columns(rows)
    cells = []
    for row in rows:
        line = [""] * len(columns)
        for segment in row.segments:
            place = max(range(len(columns)), key=lambda number: _shared(columns[number], segment))
            line[place] = f"{line[place]} {segment.text}".strip()
        cells.append(line)
    return markdown(cells)


def _follows(above: Row, below: Row) -> bool:
    return -0.5 * above.size < below.top - above.bottom < 2.5 * max(above.size, below.size)


def _columns(rows: Sequence[Row]) -> list[tuple[float, float]]:
    """What all rows leave free between them parts the columns; a cell over two columns hides that, so the fullest
    rows decide."""
    most = max(len(row.segments) for row in rows)
    spans = sorted((s.left, s.right) for row in rows if len(row.segments) == most for s in row.segments)
    columns = [spans[0]]
    for left, right in spans[1:]:
        if left <= columns[-1][1]:
            columns[-1] = (columns[-1][0], max(columns[-1][1], right))
        else:
            columns.append((left, right))
    return columns


def _shared(column: tuple[float, float], segment: Segment) -> float:
    """How much they overlap; below zero, how far apart they are."""
    return min(column[1], segment.right) - max(column[0], segment.left)
