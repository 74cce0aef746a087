"""EPUB books, chapter after chapter as their spine says."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from engine.documents.block import Block, Limits
from engine.documents.office.archive import Archive, opened, resolved
from engine.documents.office.markup import attribute, child, children, descendants
from engine.documents.refusals import protected, unreadable
from engine.documents.web.flow import blocks_of
from engine.documents.web.parsing import page_tree

if TYPE_CHECKING:
    from lxml.etree import _Element

SUFFIXES = (".epub",)
PAGES = ("application/xhtml+xml", "text/html", "text/x-oeb1-document", "image/svg+xml")
FONTS_ONLY = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")  # not a protection of the text


def read(path: Path, limits: Limits) -> Iterator[Block]:
    """Raises UserError unreadable_document, protected_document, too_large_document."""
    with opened(path, limits) as archive:
        _refuse_protected(archive)
        root_file = next(descendants(archive.tree("META-INF/container.xml"), "rootfile"), None)
        book = attribute(root_file, "full-path")
        package = archive.tree(book)
        if package is None:
            raise unreadable(path)
        yield from _imprint(child(package, "metadata"))
        for chapter in _spine(package, posixpath.dirname(book)):
            root = page_tree(archive.read(chapter))
            if root is not None:
                yield from _chapter(root)


def _refuse_protected(archive: Archive) -> None:
    methods = [
        attribute(one, "Algorithm") for one in descendants(archive.tree("META-INF/encryption.xml"), "EncryptionMethod")
    ]
    if archive.find("META-INF/rights.xml") or any(method not in FONTS_ONLY for method in methods):
        raise protected(archive.path)


def _imprint(metadata: _Element | None) -> Iterator[Block]:
    """Title and makers of the book."""
    title = next((one.text or "" for one in children(metadata, "title")), "")
    makers = [one.text or "" for one in children(metadata, "creator", "contributor", "publisher")]
    yield Block("heading", title.strip(), 1)
    yield Block("text", ", ".join(maker.strip() for maker in makers if maker.strip()))


def _spine(package: _Element, folder: str) -> Iterator[str]:
    items = {attribute(one, "id"): one for one in children(child(package, "manifest"), "item")}
    for reference in children(child(package, "spine"), "itemref"):
        item = items.get(attribute(reference, "idref"))
        if item is not None and attribute(item, "media-type") in PAGES and attribute(item, "properties") != "nav":
            yield resolved(folder, attribute(item, "href"))


def _chapter(root: _Element) -> Iterator[Block]:
    """A chapter without the title of its file, which repeats the book's, or is its number."""
    for title in root.findall(".//head/title"):
        title.text = ""
    yield from blocks_of(root)
