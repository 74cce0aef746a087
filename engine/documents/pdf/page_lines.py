"""The text of one PDF page with its places, in the order the page was written in."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from engine.documents.pdf.segment import Segment

GAP = 1.0  # of the font's height: wider ones part the cells of a table, or columns
BREAK = re.compile(r"\r\n|\r|\n|\ufffe|\x02")
LEADERS = re.compile(r"(?: ?[.·]){5,} ?")  # between a title and its page
FLAT = 0.1  # points: pdfium gives letters without height 0.02
HYPHENS = "\ufffe\x02"  # how pdfium tells of a word that goes on in the next line
Place = tuple[float, float, float, float]


class PageText:
    """A page's characters. `close` it: pdfium frees nothing by itself."""

    def __init__(self, page: Any) -> None:
        import pypdfium2.raw as pdfium

        self._pdfium = pdfium
        self._text = page.get_textpage()
        self._count = max(0, pdfium.FPDFText_CountChars(self._text))
        self._numbers = [ctypes.c_double() for _ in range(4)]
        self._turn = Turn(page)
        self.characters = self._read()

    def close(self) -> None:
        """Free the page's text."""
        self._text.close()

    def segments(self) -> list[Segment]:
        """Lines, cut where wide gaps are."""
        return [segment for begin, end, hyphen in self._lines() for segment in self._line(begin, end, hyphen)]

    def _read(self) -> str:
        """All characters, one a place, so that an index in the text is pdfium's own."""
        text = str(self._text.get_text_range()) if self._count else ""
        if len(text) == self._count:
            return text
        codes = (self._pdfium.FPDFText_GetUnicode(self._text, index) for index in range(self._count))
        return "".join("\ufffd" if 0xD800 <= code < 0xE000 or code > 0x10FFFF else chr(code) for code in codes)

    def _lines(self) -> Iterator[tuple[int, int, bool]]:
        begin = 0
        for found in BREAK.finditer(self.characters):
            yield begin, found.start(), found.group() in HYPHENS
            begin = found.end()
        yield begin, len(self.characters), False

    def _line(self, begin: int, end: int, hyphen: bool) -> Iterator[Segment]:
        text = self.characters[begin:end]
        if not text.strip():
            return
        start = begin + len(text) - len(text.lstrip())
        size, bold = self._font(start, begin + len(text.rstrip()) - 1)
        places = self._rectangles(begin, end)
        if not places:
            return
        last = "-" if hyphen else ""
        stretched = _is_stretched(places, text, size)
        if not stretched and _is_whole(places, size):
            yield Segment(_clean(text) + last, *_around(places), size, bold)
            return
        by_parts = not stretched and all(one[2] <= two[0] + size for one, two in pairwise(places))
        pieces = list(self._parts(begin, end, places, size) if by_parts else self._pieces(begin, end, size))
        for number, (piece, place) in enumerate(pieces):
            yield Segment(piece + (last if number == len(pieces) - 1 else ""), *place, size, bold)

    def _rectangles(self, begin: int, end: int) -> list[Place]:
        """Where the line stands, in pdfium's own few pieces: a call a character would take ten times as long."""
        count = self._pdfium.FPDFText_CountRects(self._text, begin, end - begin)
        places = []
        left, top, right, bottom = self._numbers
        for index in range(min(count, end - begin)):
            if self._pdfium.FPDFText_GetRect(self._text, index, left, top, right, bottom):
                places.append(self._place(begin))
        return places

    def _pieces(self, begin: int, end: int, size: float) -> Iterator[tuple[str, Place]]:
        """The line's text cut at wide gaps, looked at character by character."""
        text, places = "", list[Place]()
        for index in range(begin, end):
            character = self.characters[index]
            place = self._character(index)
            blank = character.isspace() or place is None
            if not blank and places and place and _is_apart(places[-1], place, size):
                yield _clean(text), _around(places)
                text, places = "", []
            text += character
            if not blank and place:
                places.append(place)
        if places:
            yield _clean(text), _around(places)

    def _parts(self, begin: int, end: int, places: list[Place], size: float) -> Iterator[tuple[str, Place]]:
        """As `_pieces`, by pdfium's own pieces: where each begins in the text is found by halving."""
        group = [places[0]]
        for one, two in pairwise(places):
            if _is_apart(one, two, size):
                cut = self._first_right_of((one[2] + two[0]) / 2, begin, end)
                yield _clean(self.characters[begin:cut]), _around(group)
                begin, group = cut, []
            group.append(two)
        yield _clean(self.characters[begin:end]), _around(group)

    def _first_right_of(self, x: float, begin: int, end: int) -> int:
        while begin < end:
            middle = (begin + end) // 2
            seen = middle
            while seen < end and self.characters[seen].isspace():
                seen += 1
            place = self._character(seen) if seen < end else None
            if place is None or place[0] >= x:
                end = middle
            else:
                begin = seen + 1
        return begin

    def _character(self, index: int) -> Place | None:
        left, top, right, bottom = self._numbers
        if not self._pdfium.FPDFText_GetCharBox(self._text, index, left, right, bottom, top):
            return None
        return self._place(index)

    def _place(self, index: int) -> Place:
        """What pdfium told last, of the character `index` or some from there on. Without a font to draw them with (it
        is not in the file, nor on this machine) letters have no height: then it is the line's."""
        numbers = self._numbers
        left, top, right, bottom = numbers[0].value, numbers[1].value, numbers[2].value, numbers[3].value
        if top - bottom < FLAT:
            box = self._pdfium.FS_RECTF()
            if self._pdfium.FPDFText_GetLooseCharBox(self._text, index, box):
                top, bottom = box.top, box.bottom
        return self._turn.place(left, top, right, bottom)

    def _font(self, first: int, last: int) -> tuple[float, bool]:
        """(height in points, whether it is bold from its first to its last character) of a line."""
        box = self._pdfium.FS_RECTF()
        size = 0.0
        if self._pdfium.FPDFText_GetLooseCharBox(self._text, first, box):
            place = self._turn.place(box.left, box.top, box.right, box.bottom)
            size = place[3] - place[1]
        return size or 10.0, self._is_bold(first) and self._is_bold(last)

    def _is_bold(self, index: int) -> bool:
        return self._pdfium.FPDFText_GetFontWeight(self._text, index) >= 600 or "bold" in self._font_name(index).lower()

    def _font_name(self, index: int) -> str:
        name = ctypes.create_string_buffer(128)
        flags = ctypes.c_int()
        length = self._pdfium.FPDFText_GetFontInfo(self._text, index, name, len(name), flags)
        return name.value.decode("latin-1") if 0 < length <= len(name) else ""


class Turn:
    """From the page's own coordinates to points from the top left of the page as it is shown."""

    def __init__(self, page: Any) -> None:
        import pypdfium2.raw as pdfium

        self.width, self.height = page.get_size()
        fine = 1000 if max(self.width, self.height) < 1_000_000 else 1
        x, y = ctypes.c_int(), ctypes.c_int()
        width, height = int(self.width * fine), int(self.height * fine)

        def shown(at_x: float, at_y: float) -> tuple[float, float]:
            pdfium.FPDF_PageToDevice(page, 0, 0, width, height, 0, at_x, at_y, x, y)
            return x.value / fine, y.value / fine

        self._zero = shown(0, 0)
        self._right, self._up = shown(100, 0), shown(0, 100)
        moved = (self._right[0] - self._zero[0], self._right[1] - self._zero[1], self._up[1] - self._zero[1])
        self._upright = max(abs(moved[0] - 100), abs(moved[1]), abs(moved[2] + 100)) < 0.01

    def place(self, left: float, top: float, right: float, bottom: float) -> Place:
        """A rectangle as (left, top, right, bottom), top above bottom."""
        if self._upright:
            x, y = self._zero
            return x + left, y - top, x + right, y - bottom
        one, two = self._point(left, top), self._point(right, bottom)
        return min(one[0], two[0]), min(one[1], two[1]), max(one[0], two[0]), max(one[1], two[1])

    def _point(self, x: float, y: float) -> tuple[float, float]:
        (x0, y0), (xr, yr), (xu, yu) = self._zero, self._right, self._up
        return x0 + (x * (xr - x0) + y * (xu - x0)) / 100, y0 + (x * (yr - y0) + y * (yu - y0)) / 100


def _is_apart(one: Place, next_one: Place, size: float) -> bool:
    """Whether a gap or a jump lies between two characters that follow each other."""
    return not -2 * size < next_one[0] - one[2] < GAP * size


def _is_whole(places: list[Place], size: float) -> bool:
    return all(-0.5 * size < right[0] - left[2] < GAP * size for left, right in pairwise(places))


def _is_stretched(places: list[Place], text: str, size: float) -> bool:
    """Whether the line is wider than its letters: then it has gaps within what pdfium takes for one piece."""
    width = sum(place[2] - place[0] for place in places)
    narrow = len(text) if text.isascii() else sum(character < "\u1100" for character in text)
    return width > size * (0.62 * narrow + 1.1 * (len(text) - narrow) + 2)


def _around(places: list[Place]) -> Place:
    return (
        min(place[0] for place in places),
        min(place[1] for place in places),
        max(place[2] for place in places),
        max(place[3] for place in places),
    )


def _clean(text: str) -> str:
    return LEADERS.sub(" … ", " ".join(text.replace("\xad", "").replace("\0", "").split()))
