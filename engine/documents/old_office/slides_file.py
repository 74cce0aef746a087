"""The structure of a PowerPoint 97-2003 file ([MS-PPT]): records within records, and which of them are current."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

EDIT, DIRECTORY = 4085, 6002
MOST_EDITS = 10_000
ENCRYPTED_TOKEN = 0xF3D1C4DF


class Record(NamedTuple):
    """A record; `start` and `end` are places of its content in the stream."""

    kind: int
    instance: int
    container: bool
    start: int
    end: int


def records(data: bytes, start: int, end: int) -> Iterator[Record]:
    """The records between two places, not those within them."""
    while start + 8 <= end:
        head, kind, size = struct.unpack_from("<HHI", data, start)
        yield Record(kind, head >> 4, head & 15 == 15, start + 8, min(start + 8 + size, end))
        start += 8 + size


def record_at(data: bytes, place: int) -> Record:
    """The record that begins there."""
    head, kind, size = struct.unpack_from("<HHI", data, place)
    return Record(kind, head >> 4, head & 15 == 15, place + 8, min(place + 8 + size, len(data)))


def walk(data: bytes, record: Record, *kinds: int, depth: int = 0) -> Iterator[Record]:
    """The records of these kinds below one, in order."""
    for one in records(data, record.start, record.end):
        if one.kind in kinds:
            yield one
        elif one.container and depth < 60:
            yield from walk(data, one, *kinds, depth=depth + 1)


def current_objects(data: bytes, edit: int) -> tuple[int, dict[int, int]]:
    """Id of the document, and id -> place of every object as last saved. `edit`: where the last edit is written.

    Each save writes what it changed at the end, and a directory of where that is; what is older stays in the file.
    """
    document, places = 0, dict[int, int]()
    for _ in range(MOST_EDITS):
        record = record_at(data, edit)
        if record.kind != EDIT:
            break
        before, directory, number = struct.unpack_from("<III", data, record.start + 8)
        document = document or number
        for key, place in _directory(data, record_at(data, directory)):
            places.setdefault(key, place)
        if not before or before >= edit:
            break
        edit = before
    return document, places


def _directory(data: bytes, record: Record) -> Iterator[tuple[int, int]]:
    at = record.start
    while record.kind == DIRECTORY and at + 4 <= record.end:
        head = struct.unpack_from("<I", data, at)[0]
        first, count = head & 0xFFFFF, head >> 20
        at += 4
        for number in range(min(count, (record.end - at) // 4)):
            yield first + number, struct.unpack_from("<I", data, at + 4 * number)[0]
        at += 4 * count
