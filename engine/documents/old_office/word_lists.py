"""Lists of a Word 97-2003 file: the numbers that Word counts itself and does not write into the text."""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterator

from engine.documents.office.list_numbers import written
from engine.documents.old_office.word_file import ITEM_LEVEL, ITEM_LIST, Paragraph, WordFile

LISTS, OVERRIDES = 73, 74
KINDS = {
    1: "I",
    2: "i",
    3: "A",
    4: "a",
    22: "decimalZero",
    37: "一",
    38: "壹",
    39: "一",
    18: "①",
    28: "①",
    30: "甲",
    31: "子",
}
BULLET, NONE = 23, 255
Level = tuple[int, int, str]  # start, kind, text with characters 0-8 where numbers go


class Lists:
    """Counts while the paragraphs are read in order."""

    def __init__(self, file: WordFile, table: bytes, end_of_lists: int) -> None:
        self._levels = dict(_levels(file.parts(LISTS), table, end_of_lists))
        self._lists = dict(_overrides(file.parts(OVERRIDES)))
        self._counts: dict[int, dict[int, int]] = defaultdict(dict)

    def mark(self, paragraph: Paragraph) -> str:
        """The number of the paragraph as written before it; "-" for a bullet, "" for no item of a list."""
        key = self._lists.get(paragraph.properties.get(ITEM_LIST, 0))
        if key is None or key not in self._levels:
            return ""
        depth = min(paragraph.properties.get(ITEM_LEVEL, 0), 8)
        levels, counts = self._levels[key], self._counts[key]
        start, kind, text = levels[min(depth, len(levels) - 1)]
        counts[depth] = counts[depth] + 1 if depth in counts else start
        for deeper in [one for one in counts if one > depth]:
            del counts[deeper]
        if kind in (BULLET, NONE):
            return "-" if kind == BULLET else ""
        return "".join(self._sign(one, levels, counts) for one in text).strip()

    def _sign(self, sign: str, levels: list[Level], counts: dict[int, int]) -> str:
        number = ord(sign)
        if number > 8:
            return sign
        start, kind, _ = levels[min(number, len(levels) - 1)]
        return written(counts.get(number, start), KINDS.get(kind, "1"))


def _overrides(data: bytes) -> Iterator[tuple[int, int]]:
    """What a paragraph calls its list, counted from 1 -> the list's own number."""
    count = struct.unpack_from("<I", data, 0)[0] if len(data) >= 4 else 0
    for number in range(min(count, (len(data) - 4) // 16)):
        yield number + 1, struct.unpack_from("<i", data, 4 + 16 * number)[0]


def _levels(data: bytes, table: bytes, at: int) -> Iterator[tuple[int, list[Level]]]:
    """The list's number -> its levels, which follow the part in the table stream."""
    count = struct.unpack_from("<H", data, 0)[0] if len(data) >= 2 else 0
    for number in range(min(count, (len(data) - 2) // 28)):
        key, simple = struct.unpack_from("<i", data, 2 + 28 * number)[0], data[2 + 28 * number + 26] & 1
        levels: list[Level] = []
        for _ in range(1 if simple else 9):
            start, kind = struct.unpack_from("<iB", table, at)
            at += 28 + table[at + 24] + table[at + 25]
            size = struct.unpack_from("<H", table, at)[0]
            levels.append((start, kind, table[at + 2 : at + 2 + 2 * size].decode("utf-16-le", "replace")))
            at += 2 + 2 * size
        yield key, levels
