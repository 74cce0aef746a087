"""Word 97-2003 documents, and the text of older ones: headings, tables, lists, notes, headers, text boxes."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from engine.documents.block import Block, Kind, Limits
from engine.documents.old_office.ole import opened, stream
from engine.documents.old_office.word_file import (
    HEADERS,
    IN_TABLE,
    ITEM_LEVEL,
    OUTLINE,
    ROW_END,
    WORD_97,
    Paragraph,
    WordFile,
)
from engine.documents.old_office.word_lists import LISTS, Lists
from engine.documents.refusals import protected, unreadable
from engine.documents.tables import table_blocks

SUFFIXES = (".doc", ".dot")
ENCRYPTED, SECOND_TABLE, WORD = 0x0100, 0x0200, 0xA5EC
SEPARATORS = 6  # the first stories of the headers are lines over notes
KINDS: dict[str, Kind] = {"text": "text", "textbox": "text"}
ENDS = "\r\x07\x0c"


def read(path: Path, limits: Limits) -> Iterator[Block]:
    """Raises UserError unreadable_document, protected_document."""
    with path.open("rb") as file:
        head = file.read(64)
    if not head.startswith(b"\xd0\xcf\x11\xe0"):
        yield from _other_format(path, head, limits)
        return
    with opened(path) as ole:
        main = stream(ole, "WordDocument")
        if len(main) < 512 or struct.unpack_from("<H", main)[0] not in (WORD, 0xA5DC):
            raise unreadable(path)
        version, flags = struct.unpack_from("<H", main, 2)[0], struct.unpack_from("<H", main, 10)[0]
        if flags & ENCRYPTED:
            raise protected(path)
        if version < WORD_97:
            yield from _before_97(main)
            return
        table = stream(ole, "1Table" if flags & SECOND_TABLE else "0Table")
        yield from _document(WordFile(main, table), main, table)


def _other_format(path: Path, head: bytes, limits: Limits) -> Iterator[Block]:
    """Many a .doc is a web page or a DOCX in truth."""
    from engine.documents.readers import web_html, word_docx

    if head.startswith(b"PK"):
        return word_docx.read(path, limits)
    if b"<" in head[:16]:
        return web_html.read(path, limits)
    raise unreadable(path)


def _before_97(main: bytes) -> Iterator[Block]:
    """Word 6 and 95: one stretch of text in the Western code page."""
    start, end = struct.unpack_from("<II", main, 0x18)
    for text in main[start:end].decode("cp1252", "replace").replace("\x07", "\r").split("\r"):
        yield Block("text", visible(text))


def _document(file: WordFile, main: bytes, table: bytes) -> Iterator[Block]:
    start, size = struct.unpack_from("<II", main, 154 + 8 * LISTS)
    lists = Lists(file, table, start + size)
    stories = file.stories()
    margins = list(_margins(file, lists, stories["header"][0]))
    yield from (block for block in margins if block.kind == "header")
    for name in ("text", "textbox", "footnote", "endnote", "comment"):
        for block in Story(file, lists).blocks(*stories[name]):
            kind = KINDS.get(name, "note")
            yield block if kind == "text" else Block(kind, block.text)
    yield from (block for block in margins if block.kind == "footer")


def _margins(file: WordFile, lists: Lists, start: int) -> Iterator[Block]:
    """Headers and footers of all sections, each text once: header, header, footer, footer, header, footer."""
    plc = file.parts(HEADERS)
    places = struct.unpack(f"<{len(plc) // 4}I", plc[: len(plc) // 4 * 4])
    said = set()
    for number in range(SEPARATORS, len(places) - 2):
        kind: Kind = "footer" if number % 6 in (2, 3, 5) else "header"
        for block in Story(file, lists).blocks(start + places[number], start + places[number + 1]):
            if block.text not in said:
                said.add(block.text)
                yield Block(kind, block.text)


@dataclass
class Story:
    """Puts the characters of one story together."""

    file: WordFile
    lists: Lists
    rows: list[list[str]] = field(default_factory=list)
    cells: list[str] = field(default_factory=list)
    cell: list[str] = field(default_factory=list)

    def blocks(self, start: int, end: int) -> Iterator[Block]:
        """Paragraphs and tables between two characters."""
        parts: list[str] = []
        for place, character in self.file.characters(start, end):
            if character not in ENDS:
                parts.append(character)
                continue
            text, parts = visible("".join(parts)), []
            yield from self._paragraph(text, character, self.file.paragraph(place))
        yield from self._paragraph(visible("".join(parts)), "\r", Paragraph())

    def _paragraph(self, text: str, end: str, paragraph: Paragraph) -> Iterator[Block]:
        if paragraph.properties.get(ROW_END):
            self.rows.append(self.cells)
            self.cells, self.cell = [], []
        elif end == "\x07" or (paragraph.properties.get(IN_TABLE) and end == "\r"):
            mark = self.lists.mark(paragraph) if text else ""
            self.cell.append(f"{mark} {text}".strip())
            if end == "\x07":
                self.cells.append(" ".join(self.cell))
                self.cell = []
        else:
            yield from self._table()
            yield from self._placed(text, paragraph)

    def _table(self) -> Iterator[Block]:
        rows, self.rows = [*self.rows, self.cells], []
        self.cells = []
        yield from table_blocks(rows)

    def _placed(self, text: str, paragraph: Paragraph) -> Iterator[Block]:
        if not text:
            return
        mark = self.lists.mark(paragraph)
        level = self.file.headings.get(paragraph.style, 0)
        told = paragraph.properties.get(OUTLINE, 9)
        level = told + 1 if told < 9 else level
        if level:
            yield Block("heading", f"{mark if mark != '-' else ''} {text}".strip(), min(level, 6))
        elif mark:
            yield Block("list", f"{'  ' * min(paragraph.properties.get(ITEM_LEVEL, 0), 8)}{mark} {text}")
        else:
            yield Block("text", text)


def visible(text: str) -> str:
    """The text without field codes, marks of pictures and notes, and hidden characters."""
    kept: list[str] = []
    codes: list[bool] = []  # of the fields around: whether this is still their code
    for character in text:
        if character == "\x13":
            codes.append(True)
        elif character == "\x14" and codes:
            codes[-1] = False
        elif character == "\x15" and codes:
            codes.pop()
        elif not any(codes):
            kept.append({"\x0b": "\n", "\x1e": "-", "\t": "\t"}.get(character, character if character >= " " else ""))
    return "".join(kept).strip()
