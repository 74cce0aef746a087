"""Word documents: headings, lists with their numbers, tables, notes, comments, text boxes, charts, headers and footers.

Pages are known where Word has left the places of its own page breaks; else they are 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from engine.documents.block import Block, Limits
from engine.documents.office.archive import Archive, opened
from engine.documents.office.markup import attribute, child, children, descendants
from engine.documents.office.word_body import Story, Word
from engine.documents.office.word_styles import read_numbering, read_styles
from engine.documents.refusals import unreadable

if TYPE_CHECKING:
    from lxml.etree import _Element

SUFFIXES = (".docx", ".docm", ".dotx", ".dotm")


def read(path: Path, limits: Limits) -> Iterator[Block]:
    """Raises UserError unreadable_document, protected_document, too_large_document."""
    with opened(path, limits) as archive:
        part = main_part(archive)
        root = archive.tree(part)
        body = child(root, "body")
        if root is None or body is None:
            raise unreadable(path)
        word = _word(archive, part)
        yield from _margins(word, root, "header")
        yield from Story(word, part, pages=_has_pages(root)).blocks(body)
        yield from _margins(word, root, "footer")


def main_part(archive: Archive) -> str:
    """The part that the package's own relations name as the document."""
    named = [target for kind, target in archive.relations("").values() if kind == "officeDocument"]
    return named[0] if named else "word/document.xml"


def _word(archive: Archive, part: str) -> Word:
    parts = dict(archive.relations(part).values())

    def tree(kind: str) -> _Element | None:
        return archive.tree(parts[kind]) if kind in parts else None

    styles = read_styles(tree("styles"))
    return Word(
        archive,
        styles,
        read_numbering(tree("numbering"), styles),
        footnotes=_by_id(tree("footnotes"), "footnote"),
        endnotes=_by_id(tree("endnotes"), "endnote"),
        comments=_by_id(tree("comments"), "comment"),
        note_parts={kind: parts[kind] for kind in ("footnotes", "endnotes", "comments") if kind in parts},
    )


def _by_id(root: _Element | None, name: str) -> dict[str, _Element]:
    """Notes by their id; the separators between text and notes are notes too, of a type."""
    real = (one for one in children(root, name) if attribute(one, "type", "normal") == "normal")
    return {attribute(one, "id"): one for one in real}


def _has_pages(root: _Element) -> bool:
    return next(descendants(root, "lastRenderedPageBreak"), None) is not None


def _margins(word: Word, root: _Element, kind: str) -> Iterator[Block]:
    """The headers, or the footers, of all sections, each text once."""
    relations = word.archive.relations(main_part(word.archive))
    asked = (attribute(one, "id") for one in descendants(root, f"{kind}Reference"))
    said = set()
    for target in dict.fromkeys(relations[one][1] for one in asked if one in relations):
        element = word.archive.tree(target)
        for block in Story(word, target).blocks(element) if element is not None else ():
            if block.text not in said:
                said.add(block.text)
                yield Block("header" if kind == "header" else "footer", block.text)
