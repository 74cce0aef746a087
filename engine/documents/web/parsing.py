"""Bytes or text of HTML as a tree, whatever is wrong with them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from engine.documents.text_encoding import MARKS, decoded

if TYPE_CHECKING:
    from lxml.etree import _Element

DECLARED = re.compile(rb"""(?:charset|encoding)\s*=\s*["']?\s*([A-Za-z0-9_:.-]{2,30})""", re.IGNORECASE)
XML_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")
NOT_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")
HEAD = 4096  # bytes in which a page says its encoding


def page_tree(data: bytes | str) -> _Element | None:
    """The root of a page; None where there is nothing at all. Nothing is fetched, run or expanded."""
    from lxml import etree, html

    text = data if isinstance(data, str) else page_text(data)
    text = NOT_TEXT.sub(" ", XML_DECLARATION.sub("", text))
    if not text.strip():
        return None
    parser = html.HTMLParser(no_network=True, huge_tree=True, recover=True, encoding="utf-8")
    try:
        return html.document_fromstring(text.encode("utf-8", "replace"), parser=parser)
    except etree.ParserError:  # only comments, for example
        return None


def page_text(data: bytes) -> str:
    """Bytes of a page as text: by their mark, else as they are UTF-8, else as the page says, else by their looks."""
    if any(data.startswith(mark) for mark, _ in MARKS):
        return decoded(data)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        told = DECLARED.search(data[:HEAD])
    name = told[1].decode("ascii").lower() if told else ""
    name = {"gb2312": "gb18030", "gbk": "gb18030", "iso-8859-1": "cp1252", "shift_jis": "cp932"}.get(name, name)
    try:
        return data.decode(name, "replace") if name and "utf" not in name else decoded(data)
    except LookupError:
        return decoded(data)
