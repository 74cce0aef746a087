"""OpenDocument texts, sheets, presentations and drawings, zipped or flat. A page is a sheet or a slide.

In texts, pages are known where the writing program has left soft page breaks; else they are 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from engine.documents.block import Block, Limits
from engine.documents.office.archive import TREE_FACTOR, Archive, opened, resolved
from engine.documents.office.markup import attribute, child, children, descendants, local, parsed
from engine.documents.office.open_body import Story
from engine.documents.office.open_styles import Styles, read_styles
from engine.documents.refusals import protected, too_large, unreadable
from engine.documents.sheets import sheet_tables

if TYPE_CHECKING:
    from lxml.etree import _Element

FLAT = (".fodt", ".fods", ".fodp", ".fodg")
SUFFIXES = (".odt", ".ods", ".odp", ".odg", ".ott", ".ots", ".otp", ".otg", *FLAT)
SAMPLES = ("???", "<number>", "<footer>", "<date/time>", "<header>")  # what the programs put where nothing was said

Embedded = Callable[[str], "_Element | None"]


def read(path: Path, limits: Limits) -> Iterator[Block]:
    """Raises UserError unreadable_document, protected_document, too_large_document."""
    if path.suffix.lower() in FLAT:
        root = _flat(path, limits)
        yield from _document(path, root, root, _nothing)
        return
    with opened(path, limits) as archive:
        if next(descendants(archive.tree("META-INF/manifest.xml"), "encryption-data"), None) is not None:
            raise protected(path)
        content = archive.tree("content.xml")
        if content is None:
            raise unreadable(path)
        yield from _document(path, content, archive.tree("styles.xml"), _within(archive))


def _flat(path: Path, limits: Limits) -> _Element:
    if path.stat().st_size > limits.memory // TREE_FACTOR:
        raise too_large(path)
    try:
        return parsed(path.read_bytes())
    except (SyntaxError, ValueError) as error:
        raise unreadable(path) from error


def _nothing(_name: str) -> None:
    """A flat file holds its objects where they stand, so that nothing is looked up."""


def _within(archive: Archive) -> Embedded:
    def embedded(name: str) -> _Element | None:
        return archive.tree(resolved("", f"{name}/content.xml")) if name and ":" not in name else None

    return embedded


def _document(path: Path, content: _Element, more: _Element | None, embedded: Embedded) -> Iterator[Block]:
    body = next((one for one in _all(child(content, "body")) if local(one)), None)
    if body is None:
        raise unreadable(path)
    styles = read_styles((more, content) if more is not content else (content,))
    yield from _margins(more, styles, embedded, "header")
    if local(body) == "spreadsheet":
        yield from _sheets(body, styles, embedded)
    elif local(body) in ("presentation", "drawing"):
        yield from _slides(body, styles, embedded)
    else:
        has_pages = next(descendants(body, "soft-page-break"), None) is not None
        yield from Story(styles, embedded, int(has_pages)).blocks(body)
    yield from _margins(more, styles, embedded, "footer")


def _all(element: _Element | None) -> Iterator[_Element]:
    yield from () if element is None else iter(element)


def _margins(root: _Element | None, styles: Styles, embedded: Embedded, kind: str) -> Iterator[Block]:
    """Headers or footers of all page styles that show them, each text once."""
    said = set()
    names = (kind, f"{kind}-left", f"{kind}-first")
    for master in descendants(root, "master-page"):
        for one in children(master, *names):
            blocks = Story(styles, embedded).blocks(one) if attribute(one, "display") != "false" else ()
            for block in blocks:
                if block.text not in said and not any(sample in block.text for sample in SAMPLES):
                    said.add(block.text)
                    yield Block("header" if kind == "header" else "footer", block.text)


def _sheets(body: _Element, styles: Styles, embedded: Embedded) -> Iterator[Block]:
    for page, table in enumerate(children(body, "table"), 1):
        if attribute(table, "style-name") in styles.hidden:
            continue
        story = Story(styles, embedded, page)
        yield Block("heading", attribute(table, "name"), 1, page)
        yield from sheet_tables(story.grid(table), page)
        for shapes in children(table, "shapes"):
            yield from story.blocks(shapes)
        yield from _in_cells(table, story)


def _in_cells(table: _Element, story: Story) -> Iterator[Block]:
    """Comments and charts that are fastened to cells."""
    for cell in descendants(table, "table-cell"):
        for one in children(cell, "annotation", "frame"):
            if next(descendants(one, "object"), None) is not None or local(one) == "annotation":
                yield from story.blocks([one])


def _slides(body: _Element, styles: Styles, embedded: Embedded) -> Iterator[Block]:
    for page, slide in enumerate(children(body, "page"), 1):
        story = Story(styles, embedded, page)
        frames = [one for one in slide if local(one) not in ("notes", "forms", "")]
        frames.sort(key=lambda frame: attribute(frame, "class") != "title")
        for frame in frames:
            yield from _shape(frame, story)
        for notes in children(slide, "notes"):
            text = "\n".join(block.text for block in Story(styles, embedded, page).blocks(notes))
            yield Block("note", f"Notes: {text}" if text else "", page=page)
    decls = dict.fromkeys((one.text or "").strip() for one in children(body, "footer-decl"))
    yield from (Block("footer", text) for text in decls)


def _shape(frame: _Element, story: Story) -> Iterator[Block]:
    blocks = list(story.blocks([frame]))
    if attribute(frame, "class") == "title":
        yield Block("heading", " ".join(" ".join(block.text for block in blocks).split()), 1, story.page)
    else:
        yield from blocks
