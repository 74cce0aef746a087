"""What xlrd leaves out of an Excel 97-2003 file: headers, footers, text boxes and the titles of charts."""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Iterator

from engine.documents.block import Block, Kind
from engine.documents.office.margin_codes import plain_margin

SHEET, HEADER, FOOTER, CHART_TEXT, BOX, CONTINUED = 0x0085, 0x0014, 0x0015, 0x100D, 0x01B6, 0x003C
MARGINS: dict[int, Kind] = {HEADER: "header", FOOTER: "footer"}


def sheet_extras(data: bytes) -> Iterator[Block]:
    """Blocks of the stream "Workbook", each with the page (the sheet's number) it belongs to."""
    starts: list[int] = []
    order: dict[int, int] = {}
    before = 0
    for place, kind, content in _records(data):
        if kind == SHEET and len(content) > 4:
            start = struct.unpack_from("<I", content)[0]
            order[start] = len(order) + 1
            starts = sorted(order)
        text = _text(kind, before, content)
        before = kind
        number = bisect_right(starts, place) - 1
        if text and number >= 0:
            page = order[starts[number]]
            yield Block(MARGINS.get(kind, "caption" if kind == CHART_TEXT else "text"), text, page=page)


def _records(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    at = 0
    while at + 4 <= len(data):
        kind, size = struct.unpack_from("<HH", data, at)
        yield at, kind, data[at + 4 : at + 4 + size]
        at += 4 + size


def _text(kind: int, before: int, content: bytes) -> str:
    if kind in MARGINS and len(content) > 3:
        return plain_margin(_string(content[2:], struct.unpack_from("<H", content)[0]))
    if kind == CHART_TEXT and len(content) > 4:
        return _string(content[3:], content[2]).strip()
    # The text of a box is in the record after it.
    return _string(content, len(content)).strip() if kind == CONTINUED and before == BOX else ""


def _string(content: bytes, length: int) -> str:
    """A byte that says how wide the characters are, then the characters."""
    if content[:1] == b"\x01":
        return content[1 : 1 + 2 * length].decode("utf-16-le", "replace")
    return content[1 : 1 + length].decode("latin-1")
