"""Selected parts of the document -> plain text worth pasting."""

from __future__ import annotations

from PySide6.QtGui import QTextBlock, QTextCursor, QTextDocument, QTextTable

from desktop.widgets.richtext.formats import FORMULA_OBJECT, INDENT, Mark

_MARKERS = {"•": "- ", "task": "- [ ] ", "done": "- [x] "}


def selection_text(cursor: QTextCursor) -> str:
    """The selection with list markers and formulas in source form; cells parted by tabs, rows by line breaks."""
    if not cursor.hasSelection():
        return ""
    start, end = cursor.selectionStart(), cursor.selectionEnd()
    document = cursor.document()
    parts: list[str] = []
    block = document.findBlock(start)
    while block.isValid() and block.position() <= end:
        text = _part(block, start, end)
        if text is not None:
            parts.append(_lead(block, start, document, bool(parts)) + text)
        block = block.next()
    return "".join(parts)


def _lead(block: QTextBlock, start: int, document: QTextDocument, later: bool) -> str:
    if not later:
        return _marker(block) if block.position() >= start else ""
    table = QTextCursor(block).currentTable()
    if table and not _first_in_row(table, block):
        return "\t"
    return ("" if block.blockFormat().boolProperty(Mark.JOINED) else "\n") + _marker(block)


def _first_in_row(table: QTextTable, block: QTextBlock) -> bool:
    return table.cellAt(block.position()).column() == 0


def _marker(block: QTextBlock) -> str:
    form = block.blockFormat()
    marker = form.stringProperty(Mark.MARKER)
    if not marker:
        return ""
    depth = max(0, round(form.leftMargin() / INDENT) - 1)
    return "  " * depth + _MARKERS.get(marker, marker + " ")


def _part(block: QTextBlock, start: int, end: int) -> str | None:
    """The selected text of a block, or None for the empty blocks that stand about tables."""
    if block.length() == 1 and not block.blockFormat().hasProperty(Mark.KIND) and not QTextCursor(block).currentTable():
        return None
    parts: list[str] = []
    pieces = block.begin()
    while not pieces.atEnd():
        piece = pieces.fragment()
        pieces += 1
        form = piece.charFormat()
        text, at = str(piece.text()), piece.position()
        if form.objectType() == FORMULA_OBJECT:
            parts.append(form.toolTip() * text.count("\ufffc") if start <= at < end else "")
            continue
        wide = text.encode("utf-16-le", "surrogatepass")
        cut = wide[2 * max(0, start - at) : 2 * max(0, end - at)]
        parts.append(cut.decode("utf-16-le", "replace"))
    return "".join(parts).replace("\u2028", "\n")


def code_text(document: QTextDocument, start: int) -> str:
    """The code of the block that begins at `start`."""
    block = document.findBlock(start)
    code = block.blockFormat().intProperty(Mark.CODE_ID)
    lines: list[str] = []
    while block.isValid() and code and block.blockFormat().intProperty(Mark.CODE_ID) == code:
        lines.append(block.text())
        block = block.next()
    return "\n".join(lines).replace("\u2028", "\n") + "\n"
