"""The structure of a Word 97-2003 file ([MS-DOC]): where its text lies, and which properties its paragraphs have."""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

WORD_97 = 193  # nFib; files before it have another layout
STYLES, HEADERS, CHARACTERS, PARAGRAPHS, PIECES = 1, 11, 12, 13, 33  # places in the table of the file's parts
STORIES = ("text", "footnote", "header", "macro", "comment", "endnote", "textbox")
IN_TABLE, ROW_END, OUTLINE, ITEM_LEVEL, ITEM_LIST = 0x2416, 0x2417, 0x2640, 0x260A, 0x460B
DELETED, HIDDEN = 0x0800, 0x083C
FKP = 512
OPERAND_BYTES = (1, 1, 2, 4, 2, 2, 0, 3)
TABLE_SPRM, TABS_SPRM = 0xD608, 0xC615


@dataclass(frozen=True)
class Paragraph:
    """What the file says of a paragraph: style number, properties by their code."""

    style: int = 0
    properties: dict[int, int] = field(default_factory=dict)


@dataclass
class Piece:
    """Characters from `start` on lie at `offset` of the main stream, `width` bytes each."""

    start: int
    end: int
    offset: int
    width: int


class WordFile:
    """A file's parts. Raises ValueError, struct.error, IndexError on damaged ones."""

    def __init__(self, main: bytes, table: bytes) -> None:
        self._main = main
        self._table = table
        self.pieces = list(self._pieces())
        self._runs = Runs(self._paragraphs())
        self._hidden = Runs(self._hidden_runs())
        self.headings = dict(self._headings())

    def stories(self) -> dict[str, tuple[int, int]]:
        """Name -> first character and the one after the last, of the body and the notes, headers …"""
        lengths = struct.unpack_from("<7i", self._main, 76)
        at, found = 0, {}
        for name, length in zip(STORIES, lengths, strict=True):
            found[name] = (at, at + max(0, length))
            at += max(0, length)
        return found

    def text(self, start: int, end: int) -> str:
        """The visible characters from `start` to `end`; hidden ones are \\0, so that places stay."""
        return "".join(character for _, character in self.characters(start, end))

    def characters(self, start: int, end: int) -> Iterator[tuple[int, str]]:
        """Place in the main stream, and character."""
        for piece in self.pieces:
            first, last = max(start, piece.start), min(end, piece.end)
            if first >= last:
                continue
            offset = piece.offset + (first - piece.start) * piece.width
            data = self._main[offset : offset + (last - first) * piece.width]
            text = data.decode("cp1252" if piece.width == 1 else "utf-16-le", "replace")
            for number, character in enumerate(text):
                place = offset + number * piece.width
                yield place, "\0" if self._hidden.at(place) and character not in "\r\x07\x0c" else character

    def paragraph(self, place: int) -> Paragraph:
        """The properties of the paragraph whose last character lies there."""
        found = self._runs.at(place)
        return found if isinstance(found, Paragraph) else Paragraph()

    def parts(self, number: int) -> bytes:
        """A part of the table stream by its place in the file's list of them."""
        start, size = struct.unpack_from("<II", self._main, 154 + 8 * number)
        return self._table[start : start + size]

    def _pieces(self) -> Iterator[Piece]:
        data, at = self.parts(PIECES), 0
        while data[at : at + 1] == b"\x01":
            at += 3 + struct.unpack_from("<H", data, at + 1)[0]
        size = struct.unpack_from("<I", data, at + 1)[0]
        plc = data[at + 5 : at + 5 + size]
        count = (len(plc) - 4) // 12
        places = struct.unpack_from(f"<{count + 1}I", plc, 0)
        for number in range(count):
            offset = struct.unpack_from("<I", plc, 4 * (count + 1) + 8 * number + 2)[0]
            narrow = bool(offset & 0x40000000)
            offset &= 0x3FFFFFFF
            yield Piece(places[number], places[number + 1], offset // 2 if narrow else offset, 1 if narrow else 2)

    def _pages(self, part: int) -> Iterator[tuple[bytes, tuple[int, ...]]]:
        """Pages of properties: the page, and the places in the main stream where its runs begin and end."""
        plc = self.parts(part)
        count = (len(plc) - 4) // 8
        for number in range(max(0, count)):
            at = (struct.unpack_from("<I", plc, 4 * (count + 1) + 4 * number)[0] & 0x3FFFFF) * FKP
            page = self._main[at : at + FKP]
            if len(page) == FKP and page[-1] <= 101:
                yield page, struct.unpack_from(f"<{page[-1] + 1}I", page, 0)

    def _paragraphs(self) -> Iterator[tuple[int, int, Paragraph]]:
        for page, places in self._pages(PARAGRAPHS):
            for number in range(len(places) - 1):
                at = 2 * page[4 * len(places) + 13 * number]
                if at:
                    yield places[number], places[number + 1], _paragraph(page, at)

    def _hidden_runs(self) -> Iterator[tuple[int, int, bool]]:
        for page, places in self._pages(CHARACTERS):
            for number in range(len(places) - 1):
                at = 2 * page[4 * len(places) + number]
                properties = sprms(page[at + 1 : at + 1 + page[at]]) if at else {}
                if properties.get(HIDDEN) == 1 or properties.get(DELETED) == 1:
                    yield places[number], places[number + 1], True

    def _headings(self) -> Iterator[tuple[int, int]]:
        """Style number -> heading level 1-9; the built-in styles are known by their number, whatever their name."""
        data = self.parts(STYLES)
        if len(data) < 4:
            return
        at, count = 2 + struct.unpack_from("<H", data, 0)[0], struct.unpack_from("<H", data, 2)[0]
        for number in range(count):
            if at + 4 > len(data):
                return
            size, kind = struct.unpack_from("<HH", data, at)
            if size and (1 <= kind & 0xFFF <= 9 or kind & 0xFFF == 62):
                yield number, kind & 0xFFF if kind & 0xFFF <= 9 else 1
            at += 2 + size + size % 2


class Runs:
    """Stretches of the main stream and what is said of them."""

    def __init__(self, runs: Iterator[tuple[int, int, object]]) -> None:
        self._runs = sorted(runs, key=lambda run: run[0])
        self._starts = [run[0] for run in self._runs]

    def at(self, place: int) -> object:
        """What is said of a place, None for nothing."""
        number = bisect_right(self._starts, place) - 1
        return self._runs[number][2] if number >= 0 and place < self._runs[number][1] else None


def _paragraph(page: bytes, at: int) -> Paragraph:
    size = 2 * page[at] - 1 if page[at] else 2 * page[at + 1]
    start = at + 1 if page[at] else at + 2
    data = page[start : start + size]
    style = struct.unpack_from("<H", data, 0)[0] if len(data) >= 2 else 0
    return Paragraph(style, sprms(data[2:]))


def sprms(data: bytes) -> dict[int, int]:
    """Property code -> value, of those whose value is a number."""
    found, at = {}, 0
    while at + 2 < len(data):
        code = struct.unpack_from("<H", data, at)[0]
        at += 2
        size = OPERAND_BYTES[code >> 13]
        if size:
            found[code] = int.from_bytes(data[at : at + size], "little")
        elif code == TABLE_SPRM:
            size = int.from_bytes(data[at : at + 2], "little") + 1
        elif code == TABS_SPRM and data[at] == 255:
            return found  # its length is in itself; nothing that is asked for follows
        else:
            size = 1 + data[at]
        at += size
    return found
