"""Inline tokens -> runs: styles, links (only those a browser may open), formulas; never an image."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from desktop.widgets.richtext.blocks import BOLD, CODE, ITALIC, STRIKE, Run, clean, merged

if TYPE_CHECKING:
    from markdown_it.token import Token

BREAK = "\u2028"
_STYLES = {"strong": BOLD, "em": ITALIC, "s": STRIKE}
_ADDRESS = re.compile(r"https?://[^\s<>\"'`\u2028\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]+")
_TRAILING = ".,;:!?)]}*_~"


OWN = "cite:"  # leads to a passage beside the text, never out of the window


def followable(address: str) -> bool:
    """Whether a link is shown as one: where the system may be sent, or a passage of the person's own documents."""
    return openable(address) or address.startswith(OWN)


def openable(address: str) -> bool:
    """Whether a link leads where the system's browser or mail program may be sent."""
    return address.lower().startswith(("http://", "https://", "mailto:"))


def runs_of(tokens: list[Token]) -> tuple[Run, ...]:
    """The runs of one inline token's children."""
    found: list[Run] = []
    style, link = 0, ""
    for token in tokens:
        if token.type == "link_open":
            href = str(token.attrGet("href") or "")
            link = href if followable(href) else ""
        elif token.type == "link_close":
            link = ""
        elif token.nesting and token.type.rpartition("_")[0] in _STYLES:
            flag = _STYLES[token.type.rpartition("_")[0]]
            style = style | flag if token.nesting > 0 else style & ~flag
        else:
            found += _leaf(token, style, link)
    return merged(found)


def _leaf(token: Token, style: int, link: str) -> list[Run]:
    if token.type in ("softbreak", "hardbreak"):
        return [Run(BREAK, style, link)]
    text = clean(token.content)
    if token.type == "formula":
        return [formula_run(text, token.markup, style)]
    if token.type == "image":
        address = str(token.attrGet("src") or "")
        return [Run(text or clean(address), style, link or (address if openable(address) else ""))]
    if token.type == "code_inline":
        return [Run(text, style | CODE, link)]
    if link or "://" not in text:
        return [Run(text.replace("\n", BREAK), style, link)]
    return _with_addresses(text, style)


def formula_run(body: str, opener: str, style: int = 0) -> Run:
    """A formula; its text is the source as it was written, for copying and for when it cannot be drawn."""
    closer = {"\\(": "\\)", "\\[": "\\]"}.get(opener, opener)
    source = f"{opener}{body}{closer}".replace("\n", " ")
    return Run(source, style, "", body, opener in ("$$", "\\["))


def _with_addresses(text: str, style: int) -> list[Run]:
    """Bare web addresses become links."""
    found: list[Run] = []
    done = 0
    for match in _ADDRESS.finditer(text):
        address = match.group().rstrip(_TRAILING)
        if len(address) < len("https://x"):
            continue
        found.append(Run(text[done : match.start()], style))
        found.append(Run(address, style, address))
        done = match.start() + len(address)
    return [*found, Run(text[done:], style)]
