"""Rows of a page as blocks: headings, paragraphs, list items, captions, tables."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from engine.documents.block import Block, Box, Kind
from engine.documents.pdf.line_joining import is_cjk, joined
from engine.documents.pdf.page_tables import table_at, table_rows, table_text
from engine.documents.pdf.segment import Row, Segment, row_of

BULLETS = "•‣◦▪●○■□·–—*-"
MARK = re.compile(
    rf"(?:[{BULLETS}]\s|\.\d{{1,2}}\s|[•‣◦▪●○■□]|\(?\d{{1,2}}[.)、](?!\d)|\(?[a-zA-Z][.)]\s|[①-⑳]|[（(](?:[一二三四五六七八九十]{{1,3}}|\d{{1,2}})[）)])\s*\S"
)
MARK_ALONE = re.compile(rf"(?:[{BULLETS}]|\.\d{{1,2}}|\(?\d{{1,3}}[.)、]|\(?[a-zA-Z][.)])$")
NUMBERED = re.compile(r"(\d{1,2}(?:\.\d{1,2}){1,4})\.?\s+\S")
CHINESE_PART = re.compile(r"第[一二三四五六七八九十百零\d]{1,5}([篇编部章节])")
CAPTION = re.compile(r"(?:Figure|Fig\.|Table|Chart)\s+\d|[图表]\s*\d")
HEADING_LINES = 4
ENDS = '.。!！?？:：;；…”"'


@dataclass(frozen=True)
class Body:
    """What most of a document is set in."""

    size: float
    bold: bool


def page_blocks(segments: Sequence[Segment], page: int, body: Body) -> Iterator[Block]:
    """The blocks of one page, from segments in reading order."""
    rows = [_with_its_mark(row) for row in table_rows(segments)]
    at = 0
    while at < len(rows):
        count = table_at(rows, at)
        if count:
            yield Block(
                "table", table_text(rows[at : at + count]), page=page, boxes=_boxes(rows[at : at + count], page)
            )
        else:
            count = _paragraph(rows, at, body)
            yield _block(rows[at : at + count], page, body)
        at += count


def _with_its_mark(row: Row) -> Row:
    """A number or bullet set apart from its item belongs to it."""
    if len(row.segments) == 2 and MARK_ALONE.fullmatch(row.segments[0].text):
        mark, item = row.segments
        return row_of([item._replace(text=f"{mark.text} {item.text}", left=mark.left, top=row.top, bottom=row.bottom)])
    return row


def _paragraph(rows: Sequence[Row], start: int, body: Body) -> int:
    """How many rows from `start` on are one paragraph."""
    end = start + 1
    while end < len(rows) and len(rows[end].segments) == 1 and _continues(rows[start:end], rows[end], body):
        end += 1
    return end - start


def _continues(lines: Sequence[Row], line: Row, body: Body) -> bool:
    """Whether a line belongs to the paragraph before it."""
    first, last, size = lines[0], lines[-1], lines[-1].size
    gap = line.top - last.bottom
    if not 0.85 < line.size / size < 1.18 or line.bold != first.bold or len(first.segments) > 1:
        return False
    if not -0.9 * size < gap < _most_gap(lines, line) or _is_mark(line.text):
        return False
    if not _has_words(last.text) or not _has_words(line.text):
        return False
    if min(last.right, line.right) <= max(last.left, line.left):
        return False
    if (
        len(lines) < HEADING_LINES
        and _level(joined(row.text for row in lines), first, body)
        and _ends_early(last, line)
    ):
        return False
    indented = line.left > last.left + 0.9 * size and len(lines) > 1
    return not indented and not (_ends_early(last, line) and last.text[-1] in ENDS)


def _most_gap(lines: Sequence[Row], line: Row) -> float:
    """How far below the last line the next one of a paragraph may be: wide spacing is known by its full lines."""
    size = lines[0].size
    if len(lines) > 1:
        return lines[1].top - lines[0].bottom + 0.45 * size
    return 0.8 * size if _ends_early(lines[0], line) else 1.3 * size


def _is_mark(text: str) -> bool:
    return bool(MARK.match(text))


def _has_words(text: str) -> bool:
    """False for a line drawn with dashes."""
    return any(character.isalnum() for character in text)


def _ends_early(last: Row, line: Row) -> bool:
    """Whether the next line's first word would have had room after the last one."""
    word = line.text.split(" ", 1)[0]
    room = line.size if is_cjk(word[:1] or " ") else 0.5 * line.size * (len(word) + 1)
    return last.right + room < line.right


def _block(rows: Sequence[Row], page: int, body: Body) -> Block:
    text = joined(row.text for row in rows)
    level = _level(text, rows[0], body)
    kind: Kind = "heading" if level else "list" if _is_mark(text) else "caption" if CAPTION.match(text) else "text"
    return Block(kind, text, level, page, _boxes(rows, page))


def _level(text: str, row: Row, body: Body) -> int:
    """1 to 6 for what looks like a heading, 0 for what does not."""
    if len(text) > 160 or "…" in text or not any(character.isalpha() for character in text) or len(row.segments) > 1:
        return 0
    ratio = row.size / body.size
    if ratio > 1.12 and not (text[-1] in ".。;；," and ratio < 1.5):
        return 1 if ratio > 1.55 else 2 if ratio > 1.25 else 3
    if text[-1] in ".。;；,，、" or len(text) > 100 or CAPTION.match(text):
        return 0
    part, numbered = CHINESE_PART.match(text), NUMBERED.match(text)
    if part and len(text) < 40:
        return 2 if part.group(1) != "节" else 3
    if numbered and len(text) < 80 and text[numbered.end() - 1].isupper():
        return min(6, numbered.group(1).count(".") + 1)
    return 4 if row.bold and not body.bold and not text.endswith((":", "：")) else 0


def _boxes(rows: Sequence[Row], page: int) -> tuple[Box, ...]:
    return tuple(Box(page, row.left, row.top, row.right, row.bottom) for row in rows)
