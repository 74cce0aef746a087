"""Blocks and runs -> Qt formats, and the properties by which the painter knows what a block is."""

from __future__ import annotations

from enum import IntEnum

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QTextBlockFormat, QTextCharFormat, QTextFormat

from desktop.widgets.richtext.blocks import BOLD, CODE, ITALIC, STRIKE, Block, Run
from desktop.widgets.richtext.colours import RichTextColours
from desktop.widgets.richtext.formula import Formula, formula

INDENT = 26
QUOTE = 16
CODE_PAD = 14
CODE_HEAD = 36
CODE_FOOT = 12
LINE = 1.55
_SIZES = {"h1": 20 / 14, "h2": 17 / 14, "h3": 15.5 / 14}
_MONO = ["JetBrains Mono", "Cascadia Mono", "SF Mono", "Menlo", "Consolas", "DejaVu Sans Mono"]
_HAN = ["Noto Sans SC", "Noto Sans CJK SC", "PingFang SC", "Microsoft YaHei UI"]
FORMULA_OBJECT = int(QTextFormat.ObjectTypes.UserObject) + 7


class Mark(IntEnum):
    """Properties put on formats."""

    KIND = int(QTextFormat.Property.UserProperty) + 1
    CODE_ID = KIND + 1
    MARKER = KIND + 2
    QUOTE = KIND + 3
    LATEX = KIND + 4
    DISPLAY = KIND + 5
    JOINED = KIND + 6  # this block goes on from the one before it: a long paragraph in parts


class Formats:
    """Formats for one set of colours and one base font."""

    def __init__(self, colours: RichTextColours, font: QFont) -> None:
        self.colours = colours
        self.size = font.pixelSize() if font.pixelSize() > 0 else font.pointSizeF() * 96 / 72
        self.families = [*font.families(), *_HAN]
        self._chars: dict[tuple[str, int, str], QTextCharFormat] = {}
        self.mono = QFont([*_MONO, *_HAN])
        self.mono.setStyleHint(QFont.StyleHint.Monospace)
        self.mono.setPixelSize(round(self.size * 13 / 14))
        self.code_advance = QFontMetricsF(self.mono).horizontalAdvance(" ")

    def line_height(self, kind: str) -> float:
        """Height of a line of text in px."""
        if kind == "code":
            return round(self.size * 1.45)
        return round(self.size * _SIZES.get(kind, 1.0) * (1.35 if kind in _SIZES else LINE))

    def block(self, block: Block, code_id: int) -> QTextBlockFormat:
        """The place and spacing of a block."""
        form = QTextBlockFormat()
        left = block.indent * INDENT + block.quote * QUOTE
        top = float(block.gap)
        if block.kind == "code":
            left += CODE_PAD
            form.setRightMargin(CODE_PAD)
            form.setProperty(Mark.CODE_ID, code_id)
            top += CODE_HEAD if block.first else 0
        form.setLeftMargin(left)
        form.setTopMargin(top)
        form.setLineHeight(self.line_height(block.kind), int(QTextBlockFormat.LineHeightTypes.MinimumHeight.value))
        form.setProperty(Mark.KIND, block.kind)
        form.setProperty(Mark.MARKER, block.marker)
        form.setProperty(Mark.QUOTE, block.quote)
        if block.kind == "math":
            form.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        if block.kind[0] == "h" and block.kind != "hr":
            form.setHeadingLevel(int(block.kind[1]))
        return form

    def char(self, kind: str, style: int = 0, link: str = "") -> QTextCharFormat:
        """The look of text in a block of this kind."""
        key = (kind, style, link)
        if link:
            return self._make(*key)
        if key not in self._chars:
            self._chars[key] = self._make(*key)
        return self._chars[key]

    def _make(self, kind: str, style: int, link: str) -> QTextCharFormat:
        form = QTextCharFormat()
        mono = kind == "code" or style & CODE
        form.setFontFamilies(self.mono.families() if mono else self.families)
        form.setProperty(QTextFormat.Property.FontPixelSize, self._pixels(kind, bool(mono)))
        heavy = style & BOLD or kind in ("head", "h1", "h2", "h3", "h4", "h5", "h6")
        form.setFontWeight(QFont.Weight.DemiBold if heavy else QFont.Weight.Normal)
        form.setFontItalic(bool(style & ITALIC))
        form.setFontStrikeOut(bool(style & STRIKE))
        form.setForeground(QColor(self.colours.accent if link else self.colours.text))
        if style & CODE and kind != "code":
            form.setBackground(QColor(self.colours.code_background))
        if link:
            form.setAnchor(True)
            form.setAnchorHref(link)
            form.setFontUnderline(True)
            form.setUnderlineColor(QColor(self.colours.line))
        return form

    def _pixels(self, kind: str, mono: bool) -> int:
        if kind == "code":
            return self.mono.pixelSize()
        size = self.size * _SIZES.get(kind, 1.0)
        return round(size * 13 / 14 if mono else size)

    def drawing(self, run: Run) -> Formula | None:
        """The drawing of a formula run, None if its source has to be shown."""
        return formula(run.math, run.display, self.size, self.colours.text) if run.math else None

    def _alignment(self, run: Run) -> QTextCharFormat.VerticalAlignment:
        """On the text's descent where the depth fits between two lines, else centred in a room of its own."""
        drawing = self.drawing(run)
        deep = run.display or (drawing is not None and drawing.height - drawing.ascent > self.size * 0.62)
        kinds = QTextCharFormat.VerticalAlignment
        return kinds.AlignMiddle if deep else kinds.AlignBaseline

    def formula_char(self, run: Run) -> QTextCharFormat:
        """The format of the one character that stands for a formula."""
        form = QTextCharFormat(self.char("p"))
        form.setObjectType(FORMULA_OBJECT)
        form.setVerticalAlignment(self._alignment(run))
        form.setProperty(Mark.LATEX, run.math)
        form.setProperty(Mark.DISPLAY, run.display)
        form.setToolTip(run.text)
        return form
