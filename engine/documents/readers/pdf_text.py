"""PDF: text with its places in reading order; pages that are pictures through OCR."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.documents.block import Block, Box, Limits
from engine.documents.page_picture import Picture, fitting
from engine.documents.pdf.form_fields import open_form, with_fields
from engine.documents.pdf.page_lines import PageText
from engine.documents.pdf.paragraphs import Body, page_blocks
from engine.documents.pdf.reading_order import in_order
from engine.documents.pdf.running_lines import RunningLines
from engine.documents.pdf.scans import is_scan, pixels
from engine.documents.pdf.segment import Segment
from engine.documents.picture_files import png
from engine.documents.refusals import protected, too_large, unreadable

SUFFIXES = (".pdf",)
SIGNATURES = (b"%PDF-", b"\xef\xbb\xbf%PDF-")
WINDOW = 16  # pages looked at together for the size of the body text and for running headers
SCANS = 2
WRONG_PASSWORD, WRONG_SECURITY = 4, 5


@dataclass(frozen=True)
class Page:
    """One page's segments in reading order, and its height in points."""

    number: int
    height: float
    segments: list[Segment]


def read(path: Path, limits: Limits) -> Generator[Block, None, dict[str, Any]]:
    """Blocks page by page. Raises UserError protected_document, unreadable_document, too_large_document."""
    document = opened(path)
    try:
        if len(document) > limits.pages:
            raise too_large(path)
        open_form(document)
        notes = Notes()
        running = RunningLines()
        for pages in _windows(document, limits, notes):
            yield from _window(pages, running)
        if len(document) and notes.damaged == len(document):
            raise unreadable(path)
        return {"title": _title(document), "notes": notes.lines()}
    finally:
        document.close()


def _windows(document: Any, limits: Limits, notes: Notes) -> Iterator[list[Page]]:
    """Pages some at a time; few where they are scans, for each takes seconds and progress is to be seen."""
    pages: list[Page] = []
    scans = 0
    for number in range(len(document)):
        page = _page(document, number, limits, notes)
        pages += [page] if page else []
        if len(pages) >= WINDOW or notes.scanned - scans >= SCANS:
            yield pages
            pages, scans = [], notes.scanned
    yield pages


def picture(path: Path, page: int, width_px: int) -> Picture | None:
    """The page as PNG; None for a page that is not there. Raises UserError as `read` does."""
    document = opened(path)
    try:
        if not 1 <= page <= len(document):
            return None
        shown = document[page - 1]
        width, height = shown.get_size()
        across, _ = fitting(width, height, width_px)
        return Picture(png(shown.render(scale=across / width).to_pil()), width, height)
    finally:
        document.close()


def opened(path: Path) -> Any:
    """The PDF, open. Raises UserError protected_document, unreadable_document."""
    import pypdfium2

    try:
        return pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError as error:
        if error.err_code in (WRONG_PASSWORD, WRONG_SECURITY):
            raise protected(path) from None
        raise unreadable(path) from None


@dataclass
class Notes:
    """What could not be read."""

    damaged: int = 0
    skipped: int = 0
    scanned: int = 0

    def lines(self) -> list[str]:
        """In plain words."""
        lines = [f"Damaged pages, left out: {self.damaged}."] if self.damaged else []
        lines += [f"Pages that are pictures, not read: {self.skipped}."] if self.skipped else []
        return lines + ([f"Pages that are pictures, read by OCR: {self.scanned}."] if self.scanned else [])


def _page(document: Any, number: int, limits: Limits, notes: Notes) -> Page | None:
    import pypdfium2

    try:
        page = document[number]
    except pypdfium2.PdfiumError:
        notes.damaged += 1
        return None
    try:
        return Page(number + 1, page.get_height(), with_fields(document, page, _segments(page, limits, notes)))
    except pypdfium2.PdfiumError:
        notes.damaged += 1
        return None
    finally:
        page.close()


def _segments(page: Any, limits: Limits, notes: Notes) -> list[Segment]:
    text = PageText(page)
    try:
        if not is_scan(page, text.characters):
            return in_order(text.segments())
    finally:
        text.close()
    if not limits.ocr:
        notes.skipped += 1
        return []
    notes.scanned += 1
    return _recognized(page)


def _recognized(page: Any) -> list[Segment]:
    from engine.documents.ocr import segments_of

    return in_order(segments_of(*pixels(page)))


def _window(pages: list[Page], running: RunningLines) -> Iterator[Block]:
    for page in pages:
        running.learn(page.segments, page.height)
    body = _body([segment for page in pages for segment in page.segments])
    for page in pages:
        yield from _blocks(page, running, body)


def _blocks(page: Page, running: RunningLines, body: Body) -> Iterator[Block]:
    """Headers first, then the page's own text, then footers."""
    kinds = [(running.kind(segment, page.height, body.size), segment) for segment in page.segments]
    edges = [
        Block(kind, s.text, page=page.number, boxes=(Box(page.number, s.left, s.top, s.right, s.bottom),))
        for kind, s in kinds
        if kind
    ]
    yield from (block for block in edges if block.kind == "header")
    yield from page_blocks([segment for kind, segment in kinds if not kind], page.number, body)
    yield from (block for block in edges if block.kind == "footer")


def _body(segments: list[Segment]) -> Body:
    """The size and weight of most characters."""
    sizes: Counter[float] = Counter()
    bold = 0
    for segment in segments:
        sizes[round(segment.size * 2) / 2] += len(segment.text)
        bold += len(segment.text) * segment.bold
    size = sizes.most_common(1)[0][0] if sizes else 10.0
    return Body(max(size, 1.0), bold * 2 > sizes.total())


def _title(document: Any) -> str:
    title = str(document.get_metadata_value("Title") or "").strip()
    return "" if title.lower().startswith(("untitled", "(anonymous)", "microsoft word -")) else title
