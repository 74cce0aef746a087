"""The text of RTF in blocks: headings by style, tables, notes, headers and footers, every font's own encoding."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from engine.documents.block import Block, Kind
from engine.documents.rtf.tokens import Token, tokens
from engine.documents.tables import table_blocks

# Font character sets (fcharset) and the Windows code page of each.
CHARSETS = {
    128: "cp932", 129: "cp949", 130: "johab", 134: "gb18030", 136: "cp950", 161: "cp1253", 162: "cp1254",
    163: "cp1258", 177: "cp1255", 178: "cp1256", 186: "cp1257", 204: "cp1251", 222: "cp874", 238: "cp1250",
}  # fmt: skip
ENCODINGS = {"mac": "mac_roman", "pc": "cp437", "pca": "cp850", "ansi": "cp1252"}
CODE_PAGES = {936: "gb18030", 10000: "mac_roman", 65001: "utf-8", 20866: "koi8_r"}
SIGNS = {
    "tab": "\t", "line": "\n", "emdash": "—", "endash": "–", "lquote": "‘", "rquote": "’", "ldblquote": "“",
    "rdblquote": "”", "bullet": "•", "emspace": " ", "enspace": " ", "qmspace": " ",
}  # fmt: skip
SYMBOLS = {"~": "\u00a0", "_": "-", "-": "", "{": "{", "}": "}", "\\": "\\"}
# Destinations that hold no text of the document.
SILENT = {
    "fonttbl", "colortbl", "stylesheet", "info", "pict", "objdata", "themedata", "colorschememapping", "datastore",
    "latentstyles", "listtable", "listoverridetable", "revtbl", "rsidtbl", "generator", "xmlnstbl", "mmathPr",
    "fldinst", "datafield", "bkmkstart", "bkmkend", "xe", "tc", "tcn", "filetbl", "nonshppict", "blipuid", "atnid",
    "atnref", "atntime", "atndate", "atnparent", "pgptbl", "wgrffmtfilter", "userprops", "docvar", "panose", "falt",
    "pntxta", "pntxtb", "ftnsep", "ftnsepc", "aftnsep", "aftnsepc", "ftncn", "aftncn", "listname", "sp",
    "leveltext", "levelnumbers", "shppict",
}  # fmt: skip
ASIDE: dict[str, Kind] = {
    "header": "header", "headerl": "header", "headerr": "header", "headerf": "header",
    "footer": "footer", "footerl": "footer", "footerr": "footer", "footerf": "footer",
    "footnote": "note", "annotation": "note", "shptxt": "text",
}  # fmt: skip
KNOWN = {*SIGNS, *ASIDE, "shpinst", "shp", "listtext", "pntext", "field", "fldrslt", "upr", "ud", "atnauthor"}
HEADING = re.compile(r"(?:heading|标题)\s*([1-9])", re.IGNORECASE)
DEEPEST = 2000


@dataclass(frozen=True)
class State:
    """What a group inherits and gives back at its end."""

    font: int = 0
    skip: bool = False
    hidden: bool = False
    unicode_skip: int = 1
    story: int = 0
    reading: str = ""  # a table of the head that is read: fonttbl, stylesheet, listtext


@dataclass
class Story:
    """The body, a note or a header, while it is read."""

    kind: Kind
    parts: list[str] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    cells: list[str] = field(default_factory=list)
    after: list[Block] = field(default_factory=list)  # notes of the paragraph that is being read
    mark: str = ""
    level: int = 0
    in_table: bool = False


class Rtf:
    """Reads one file once: `blocks()`."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._encoding = "cp1252"
        self._fonts: dict[int, str] = {}
        self._styles: dict[int, int] = {}
        self._default = 0
        self._state = State()
        self._stack: list[State] = []
        self._stories = [Story("text")]
        self._raw = bytearray()
        self._passing = 0  # characters still to pass over after a \u
        self._entry, self._entry_name = 0, ""  # of the style sheet
        self._high = ""
        self._first = False  # whether this is the first word of a group
        self._ignorable = False

    def blocks(self) -> Iterator[Block]:
        """Blocks in order; headers come before the text they stand over, notes after their paragraph."""
        for token in tokens(self._data):
            if token.kind == "bytes":
                self._bytes(token)
                continue
            self._flush()
            if token.kind == "{":
                self._begin()
            elif token.kind == "}":
                self._end()
            else:
                self._control(token)
            if len(self._stories) == 1:
                yield from self._take()
        self._flush()
        while len(self._stories) > 1:
            self._leave()
        self._stories[0].in_table = False
        self._paragraph(self._stories[0])
        self._table(self._stories[0])
        yield from self._take()

    def _take(self) -> list[Block]:
        body = self._stories[0]
        taken, body.blocks = body.blocks, []
        return taken

    def _begin(self) -> None:
        if len(self._stack) > DEEPEST:
            raise ValueError("groups too deep")
        self._stack.append(self._state)
        self._first, self._ignorable = True, False

    def _end(self) -> None:
        before = self._state
        self._state = self._stack.pop() if self._stack else State()
        if before.reading == "stylesheet":
            self._style_ends()
        if before.story > self._state.story:
            self._leave()
        self._passing = 0

    def _control(self, token: Token) -> None:
        first, self._first = self._first, False
        if token.kind == "symbol":
            if token.name == "*" and first:
                self._first = self._ignorable = True
            elif token.name in "\r\n":
                self._layout("par", 0)
            elif token.name in SYMBOLS:
                self._say(SYMBOLS[token.name])
            return
        if first and (token.name in SILENT or (self._ignorable and token.name not in KNOWN)):
            self._destination(token.name)
        elif token.name in ASIDE and first and not self._state.skip:
            self._stories.append(Story(ASIDE[token.name]))
            self._state = replace(self._state, story=len(self._stories) - 1, reading="", hidden=False)
        elif token.name in ("listtext", "pntext"):
            self._state = replace(self._state, reading="listtext")
        else:
            self._word(token.name, token.number)

    def _destination(self, name: str) -> None:
        reading = name if name in ("fonttbl", "stylesheet") else ""
        self._state = replace(self._state, skip=True, reading=reading)

    def _word(self, name: str, number: int | None) -> None:
        value = 0 if number is None else number
        if self._state.reading in ("fonttbl", "stylesheet"):
            self._head_word(name, value)
        elif name in SIGNS:
            self._say(SIGNS[name])
        elif name in ("par", "sect", "page", "cell", "row", "nestcell", "nestrow", "trowd", "intbl", "pard", "s"):
            self._layout(name, value)
        elif name == "outlinelevel" and not self._state.skip:
            self._story.level = value + 1 if value < 9 else 0
        else:
            self._property(name, number, value)

    def _property(self, name: str, number: int | None, value: int) -> None:
        if name == "u":
            self._unicode(value)
        elif name == "uc":
            self._state = replace(self._state, unicode_skip=min(max(value, 0), 100))
        elif name == "f":
            self._state = replace(self._state, font=value)
        elif name in ("v", "deleted"):
            self._state = replace(self._state, hidden=number != 0)
        elif name == "plain":
            self._state = replace(self._state, hidden=False, font=self._default)
        elif name == "deff":
            self._default = value
        elif name in ENCODINGS:
            self._encoding = ENCODINGS[name]
        elif name == "ansicpg" and value:
            self._encoding = _known(CODE_PAGES.get(value, f"cp{value}"), self._encoding)

    def _head_word(self, name: str, value: int) -> None:
        if name == "f":
            self._state = replace(self._state, font=value)
        elif name == "fcharset" and value in CHARSETS:
            self._fonts[self._state.font] = CHARSETS[value]
        elif name == "s":
            self._entry = value
        elif name == "outlinelevel" and value < 9:
            self._styles[self._entry] = value + 1

    def _style_ends(self) -> None:
        named = HEADING.match(self._entry_name.strip())
        if named:
            self._styles[self._entry] = int(named[1])
        self._entry, self._entry_name = 0, ""

    @property
    def _story(self) -> Story:
        return self._stories[min(self._state.story, len(self._stories) - 1)]

    def _layout(self, name: str, value: int) -> None:
        if self._state.skip:
            return
        story = self._story
        if name in ("cell", "nestcell"):
            story.cells.append("".join(story.parts).strip())
            story.parts, story.mark = [], ""
        elif name in ("row", "nestrow"):
            story.rows.append(story.cells)
            story.cells, story.in_table = [], False
        elif name == "intbl":
            story.in_table = True
        elif name == "pard":
            story.level, story.in_table = 0, False
        elif name == "s":
            story.level = self._styles.get(value, 0)
        elif name != "trowd":
            self._paragraph(story)

    def _paragraph(self, story: Story) -> None:
        """A paragraph ends; in a cell it is a line of it."""
        if story.in_table:
            story.parts.append("\n")
            return
        self._table(story)
        text = "".join(story.parts).strip()
        mark, story.mark, story.parts = story.mark.strip().replace("\t", " "), "", []
        if not text:
            pass
        elif story.level:
            story.blocks.append(Block("heading", f"{mark} {text}".strip(), min(story.level, 6)))
        elif mark:
            story.blocks.append(Block("list", f"{'-' if mark in '·•o▪§' else mark} {text}"))
        else:
            story.blocks.append(Block("text", text))
        after, story.after = story.after, []
        story.blocks += after

    def _table(self, story: Story) -> None:
        rows, story.rows = story.rows, []
        if story.cells:  # a row that was never ended
            rows, story.cells = [*rows, story.cells], []
        story.blocks.extend(table_blocks(rows))

    def _leave(self) -> None:
        """A note, a header or a text box is complete: it follows what is complete of the story around it."""
        inner = self._stories.pop()
        inner.in_table = False
        self._paragraph(inner)
        self._table(inner)
        outer = self._stories[-1]
        if inner.kind in ("text", "note"):
            outer.after += [replace(one, kind="note" if inner.kind == "note" else one.kind) for one in inner.blocks]
        else:
            outer.blocks += [replace(one, kind=inner.kind, level=0) for one in inner.blocks]

    def _bytes(self, token: Token) -> None:
        self._first = False
        data = token.data
        if self._passing:
            passed = min(self._passing, len(data))
            self._passing -= passed
            data = data[passed:]
        self._raw += data

    def _flush(self) -> None:
        """Bytes that follow each other are one text: a character may be two of them."""
        if self._raw:
            encoding = self._fonts.get(self._state.font, self._encoding)
            raw, self._raw = bytes(self._raw), bytearray()
            self._say(raw.decode(encoding, "replace"))

    def _unicode(self, value: int) -> None:
        """\\uN is a UTF-16 unit, signed; what an old program shows instead of it is passed over."""
        unit = chr(value & 0xFFFF)
        self._passing = self._state.unicode_skip
        if "\ud800" <= unit <= "\udbff":
            self._high = unit
            return
        pair, self._high = self._high + unit, ""
        self._say(pair.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))

    def _say(self, text: str) -> None:
        state = self._state
        if state.reading == "stylesheet":
            self._entry_name += text
        elif state.skip or state.hidden:
            return
        elif state.reading == "listtext":
            self._story.mark += text
        else:
            self._story.parts.append(text)


def _known(encoding: str, otherwise: str) -> str:
    try:
        "".encode(encoding)
    except LookupError:
        return otherwise
    return encoding
