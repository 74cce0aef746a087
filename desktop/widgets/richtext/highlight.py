"""Colours in code: line by line while it comes, once as a whole when it is complete.

Colours are laid over the layout, not written into the document, so that they cost no change to it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from PySide6.QtGui import QColor, QTextBlock, QTextCharFormat, QTextDocument, QTextLayout

from desktop.widgets.richtext.blocks import units16
from desktop.widgets.richtext.colours import CODE_INK, RichTextColours
from desktop.widgets.richtext.formats import Mark
from desktop.widgets.richtext.headers import gone_from

LARGEST = 8_000  # characters; longer code keeps the colours of its single lines
_KINDS = (
    ("Comment", "c"),
    ("Keyword.Type", "t"),
    ("Keyword", "k"),
    ("Operator.Word", "k"),
    ("Literal.String", "s"),
    ("Literal.Number", "m"),
    ("Name.Function", "f"),
    ("Name.Class", "t"),
    ("Name.Decorator", "f"),
    ("Name.Builtin", "f"),
    ("Name.Tag", "k"),
    ("Name.Attribute", "f"),
    ("Name.Exception", "t"),
    ("Operator", "o"),
    ("Punctuation", "o"),
    ("Error", ""),
    ("Generic.Deleted", "e"),
    ("Generic.Inserted", "s"),
    ("Generic.Heading", "k"),
)


@dataclass
class _Code:
    """One code block's progress."""

    language: str
    next: int
    whole: bool = False
    lines: list[str] = field(default_factory=list)


@lru_cache(maxsize=32)
def lexer_for(language: str) -> Any | None:
    """The lexer of a language as written after a fence, or None."""
    if not language:
        return None
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    try:
        return get_lexer_by_name(language.lower(), stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None


@lru_cache(maxsize=512)
def _kind(token: Any) -> str:
    name = str(token).removeprefix("Token.")
    return next((kind for start, kind in _KINDS if name.startswith(start)), "")


def spans(language: str, text: str) -> list[list[tuple[int, int, str]]]:
    """For every line of `text` its coloured stretches: first UTF-16 unit, length, kind."""
    lines: list[list[tuple[int, int, str]]] = [[]]
    lexer, at = lexer_for(language), 0
    for token, value in lexer.get_tokens(text) if lexer else ():
        kind = _kind(token)
        for index, part in enumerate(value.split("\n")):
            if index:
                lines.append([])
                at = 0
            size = units16(part)
            if kind and size:
                lines[-1].append((at, size, kind))
            at += size
    return lines


class Highlighter:
    """Colours the code blocks of a document. `lexed` counts the characters given to lexers."""

    def __init__(self, document: QTextDocument, colours: RichTextColours) -> None:
        self.lexed = 0
        self._document = document
        self._formats: dict[str, QTextCharFormat] = {}
        self._codes: dict[int, _Code] = {}
        self.use(colours)

    def use(self, colours: RichTextColours) -> None:
        """Colours to be used from now on."""
        for kind, ink in CODE_INK[colours.code_style].items():
            form = QTextCharFormat()
            form.setForeground(QColor(ink))
            form.setFontItalic(kind == "c")
            self._formats[kind] = form

    def clear(self) -> None:
        """Forget all blocks."""
        self._codes = {}

    def follow(self, codes: dict[int, tuple[int, str]], final: int, live: int) -> None:
        """Colour what is new in `codes`, those with ids above `final`. `live` is one that may still grow, or 0."""
        for gone in gone_from(self._codes, codes, final):
            del self._codes[gone]
        for code, (start, language) in codes.items():
            state = self._codes.setdefault(code, _Code(language, start))
            if not state.whole:
                self._advance(code, state, start, code == live)

    def _advance(self, code: int, state: _Code, start: int, growing: bool) -> None:
        if not growing:
            state.whole = True
            if self._whole(code, state, start):
                return
        block = self._document.findBlock(state.next)
        while _code_id(block) == code:
            text = block.text()
            self.lexed += len(text)
            self._lay(block, spans(state.language, text)[0])
            state.next = block.position()
            block = block.next()

    def _whole(self, code: int, state: _Code, start: int) -> bool:
        """Colour a complete block as one text; False if it is too large for that."""
        blocks: list[QTextBlock] = []
        block = self._document.findBlock(start)
        while _code_id(block) == code:
            blocks.append(block)
            block = block.next()
        text = "\n".join(block.text() for block in blocks)
        if len(text) > LARGEST:
            return False
        self.lexed += len(text)
        for block, line in zip(blocks, spans(state.language, text), strict=False):
            self._lay(block, line)
        return True

    def _lay(self, block: QTextBlock, line: list[tuple[int, int, str]]) -> None:
        ranges = []
        for start, length, kind in line:
            if kind in self._formats:
                ranges.append(_range(start, length, self._formats[kind]))
        if ranges != block.layout().formats():
            block.layout().setFormats(ranges)
            self._document.markContentsDirty(block.position(), block.length())


def _range(start: int, length: int, form: QTextCharFormat) -> QTextLayout.FormatRange:
    found = QTextLayout.FormatRange()
    found.start, found.length, found.format = start, length, form
    return found


def _code_id(block: QTextBlock) -> int:
    return block.blockFormat().intProperty(Mark.CODE_ID) if block.isValid() else -1
