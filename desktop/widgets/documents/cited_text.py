"""An answer whose citation marks are links, and whose unsupported sentences are marked and say so."""

from __future__ import annotations

import re
from typing import Any

from PySide6.QtCore import QEvent, Signal
from PySide6.QtGui import QColor, QHelpEvent, QTextCharFormat, QTextCursor
from PySide6.QtWidgets import QTextEdit, QToolTip

from desktop.text import tr
from desktop.theme import theme
from desktop.widgets.answer_text import text_colours
from desktop.widgets.make import tip
from desktop.widgets.richtext import RichText, RichTextColours
from desktop.widgets.richtext.inline import OWN

BEGIN, END = "\u2062", "\u2063"  # seen by nobody: around a sentence that no passage supports
THIN = "\u2009"
_MARK = re.compile(r" ?\[(\d{1,2})\]")
_SYNTAX = re.compile(r"\s*(?:(?:[-*+>#]+|\d+[.)])\s+)*")


class CitedText(RichText):
    """`show_answer(text, found)`, `found` a DocumentAnswer; `cited(n)` when its mark is chosen."""

    cited = Signal(int)

    def __init__(self) -> None:
        super().__init__(colours=text_colours(theme()))
        self.setProperty("kind", "bare")
        self.set_words(tr("chat.copy"), tr("chat.copied"))
        self.found: dict[str, Any] = {}
        self.unsupported: list[tuple[int, int]] = []  # characters, as Qt counts
        self.tip_of = self._tip
        self.link_activated.connect(self._follow)

    def show_answer(self, text: str, found: dict[str, Any]) -> None:
        """A whole answer that rests on documents."""
        self.found = found
        self.set_text(cited_markdown(text, found))
        self._mark()

    def apply_colours(self, colours: RichTextColours) -> None:
        """Show the text in other colours."""
        super().apply_colours(colours)
        self._mark()

    def viewportEvent(self, event: QEvent) -> bool:
        """A plain word about a marked sentence under the pointer."""
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            at = self.cursorForPosition(event.pos()).position()
            if any(start <= at < end for start, end in self.unsupported):
                QToolTip.showText(event.globalPos(), tr("documents.unsupported_hint"), self)
                return True
        return super().viewportEvent(event)

    def changeEvent(self, event: QEvent) -> None:
        """Another font lays everything out anew."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange and hasattr(self, "found"):
            self._mark()

    def marks(self) -> list[int]:
        """The numbers that can be clicked, in order."""
        return [cited_number(link) for _, _, link in self.links()]

    def _follow(self, address: str) -> None:
        if number := cited_number(address):
            self.cited.emit(number)

    def _tip(self, address: str) -> str:
        number = cited_number(address)
        place = next((one for one in self.found.get("citations", ()) if one["number"] == number), None)
        return tip(place_words(place) if place else address)

    def _mark(self) -> None:
        text = self.document().toPlainText()
        self.unsupported = [(one.start(), one.end()) for one in re.finditer(f"{BEGIN}[^{BEGIN}]*{END}", text)]
        doubt, badge = QTextCharFormat(), QTextCharFormat()
        doubt.setUnderlineStyle(QTextCharFormat.UnderlineStyle.DashUnderline)
        doubt.setUnderlineColor(QColor(theme().amber))
        doubt.setBackground(QColor(theme().amber_soft))
        badge.setBackground(QColor(theme().accent_soft))
        chosen = [_selection(self, start, end, doubt) for start, end in self.unsupported]
        chosen += [_selection(self, start, end, badge) for start, end, _ in self.links()]
        self.setExtraSelections(chosen)

    def links(self) -> list[tuple[int, int, str]]:
        """(first, last + 1, address) of each mark, characters as Qt counts."""
        found: list[tuple[int, int, str]] = []
        block = self.document().begin()
        while block.isValid():
            for piece in block:  # type: ignore[attr-defined]  # the stubs do not know that blocks are walked like this
                part = piece.fragment()
                link = part.charFormat().anchorHref()
                if link.startswith(OWN):
                    found.append((part.position(), part.position() + part.length(), link))
            block = block.next()
        return found


def cited_markdown(text: str, found: dict[str, Any]) -> str:
    """`text` with `[1]` as links "cite:1", and what no passage supports between BEGIN and END with a word behind it."""
    numbers = {citation["number"] for citation in found.get("citations", ())}
    pieces, at = [], 0
    for sentence in found.get("sentences", ()):
        start, end = min(int(sentence["start"]), len(text)), min(int(sentence["end"]), len(text))
        if start < at:
            continue
        pieces += [text[at:start], text[start:end] if sentence["supported"] else _doubted(text[start:end])]
        at = end
    linked = _MARK.sub(lambda mark: _link(mark, numbers), "".join([*pieces, text[at:]]))
    return linked.replace("\n> ", "\n>\n> ").replace("\n\n>\n> ", "\n\n> ")


def cited_number(address: str) -> int:
    """The number of a link of `cited_markdown`, 0 for any other."""
    rest = address.removeprefix(OWN)
    return int(rest) if address.startswith(OWN) and rest.isdigit() else 0


def place_words(place: dict[str, Any]) -> str:
    """ "contract.pdf · page 7 · Delays"."""
    page = tr("documents.page_number", page=place["page"]) if place.get("page") else ""
    return " · ".join(part for part in (place["name"], page, place.get("heading", "")) if part)


def _doubted(sentence: str) -> str:
    syntax = _SYNTAX.match(sentence)
    at = syntax.end() if syntax else 0
    return f"{sentence[:at]}{BEGIN}{sentence[at:]}{END} *({tr('documents.unsupported')})*"


def _link(mark: re.Match[str], known: set[int]) -> str:
    number = int(mark.group(1))
    if number not in known:
        return mark.group().replace("[", "\\[")
    return f"{THIN}[{THIN}{number}{THIN}]({OWN}{number})"


def _selection(view: QTextEdit, start: int, end: int, form: QTextCharFormat) -> QTextEdit.ExtraSelection:
    cursor = QTextCursor(view.document())
    cursor.setPosition(start)
    cursor.setPosition(end, QTextCursor.MoveMode.KeepAnchor)
    made = QTextEdit.ExtraSelection()
    made.cursor, made.format = cursor, form
    return made
