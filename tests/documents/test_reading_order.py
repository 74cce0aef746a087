"""Pieces of a page come in the order they are read in, however the page was written."""

from __future__ import annotations

import random

import pytest

from engine.documents.pdf.reading_order import in_order
from engine.documents.pdf.segment import Segment, row_of

PROSE = "so many words that nobody takes them for a cell of a table"


def line(name: str, left: float, top: float, width: float = 200.0) -> Segment:
    return Segment(f"{name} {PROSE}", left, top, left + width, top + 10, 10.0, bold=False)


def names(segments: list[Segment]) -> list[str]:
    return [segment.text.split()[0] for segment in segments]


def shuffled(segments: list[Segment], seed: int) -> list[Segment]:
    mixed = list(segments)
    random.Random(seed).shuffle(mixed)
    return mixed


@pytest.mark.parametrize("seed", range(5))
def test_lines_of_one_column_come_from_top_to_bottom(seed: int) -> None:
    column = [line(f"l{number}", 50 + 5 * (number % 2), 15.0 * number, 100 + 20 * (number % 5)) for number in range(40)]
    assert in_order(shuffled(column, seed)) == column


@pytest.mark.parametrize("offset", [0.0, 15.0])
@pytest.mark.parametrize("seed", range(5))
def test_columns_come_one_after_the_other_even_where_no_line_stands_beside_another(seed: int, offset: float) -> None:
    heading = line("heading", 50, 0, 450)
    left = [line(f"left{number}", 50, 40 + 30.0 * number) for number in range(10)]
    right = [line(f"right{number}", 300, 40 + offset + 30.0 * number) for number in range(10)]
    page = [heading, *left, *right]
    assert names(in_order(shuffled(page, seed))) == names(page)


def test_a_row_is_what_its_pieces_are_together() -> None:
    one, two = line("one", 50, 10), line("two", 300, 8)._replace(bold=True, size=12.0)
    assert row_of([one])[1:] == one and row_of([one]).segments == (one,)
    both = row_of([one, two])
    assert both.text == f"{one.text} {two.text}" and both.segments == (one, two)
    assert both[2:] == (50, 8, 500, 20, 12.0, False)
