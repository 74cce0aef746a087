"""PowerPoint 97-2003 presentations: a page is a slide; titles, text, notes."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from engine.documents.block import Block, Limits
from engine.documents.old_office.ole import opened, stream
from engine.documents.old_office.slides_file import ENCRYPTED_TOKEN, Record, current_objects, record_at, records, walk
from engine.documents.refusals import protected, too_large, unreadable

SUFFIXES = (".ppt", ".pps", ".pot")
LIST_WITH_TEXT, PERSIST, HEADER, CHARS, BYTES, REFERENCE, STRING = 4080, 1011, 3999, 4000, 4008, 3998, 4026
TEXT_BOX, NOTES_ATOM, MARGINS = 0xF00D, 1009, 4057
TITLE_KINDS = (0, 6)
SLIDES, NOTES = 0, 2  # lists of slides, of notes
MARKS = "*"  # stands where the slide's number or date goes
Text = tuple[int, str]  # kind, text


@dataclass
class Slide:
    """A slide of the list: its object, its own id, and the texts of its outline."""

    object: int
    id: int
    outline: list[Text] = field(default_factory=list)


def read(path: Path, limits: Limits) -> Iterator[Block]:
    """Raises UserError unreadable_document, protected_document, too_large_document."""
    with opened(path) as ole:
        if ole.exists("EncryptedSummary"):
            raise protected(path)
        data, user = stream(ole, "PowerPoint Document"), stream(ole, "Current User")
        if not data or len(user) < 20:
            raise unreadable(path)
        token, edit = struct.unpack_from("<II", user, 12)
        if token == ENCRYPTED_TOKEN:
            raise protected(path)
        number, places = current_objects(data, edit)
        if number not in places:
            raise unreadable(path)
        document = record_at(data, places[number])
        slides = list(_slides(data, document, SLIDES))
        if len(slides) > limits.pages:
            raise too_large(path)
        notes = dict(_notes(data, document, places))
        for page, slide in enumerate(slides, 1):
            yield from _slide(data, slide, places, page)
            yield Block("note", f"Notes: {notes[slide.id]}" if notes.get(slide.id) else "", page=page)
        yield from _margins(data, document)


def _slides(data: bytes, document: Record, instance: int) -> Iterator[Slide]:
    """The slides in order, each with the texts that the outline shows."""
    for one in records(data, document.start, document.end):
        if one.kind != LIST_WITH_TEXT or one.instance != instance:
            continue
        slide: Slide | None = None
        kind = 4
        for record in records(data, one.start, one.end):
            if record.kind == PERSIST:
                if slide is not None:
                    yield slide
                slide = Slide(*struct.unpack_from("<I8xI", data, record.start))
            elif record.kind == HEADER:
                kind = struct.unpack_from("<I", data, record.start)[0]
            elif record.kind in (CHARS, BYTES) and slide is not None:
                slide.outline.append((kind, _text(data, record)))
        if slide is not None:
            yield slide


def _text(data: bytes, record: Record) -> str:
    raw = data[record.start : record.end]
    text = raw.decode("latin-1") if record.kind == BYTES else raw.decode("utf-16-le", "replace")
    return text.replace("\r", "\n").replace("\x0b", "\n").strip("\0 \n")


def _boxes(data: bytes, container: Record, outline: list[Text]) -> Iterator[Text]:
    """The texts of the text boxes of a slide; some are only numbers of texts of the outline."""
    for box in walk(data, container, TEXT_BOX):
        kind = 4
        for record in records(data, box.start, box.end):
            if record.kind == HEADER:
                kind = struct.unpack_from("<I", data, record.start)[0]
            elif record.kind in (CHARS, BYTES):
                yield kind, _text(data, record)
            elif record.kind == REFERENCE:
                place = struct.unpack_from("<I", data, record.start)[0]
                if place < len(outline):
                    yield outline[place]


def _slide(data: bytes, slide: Slide, places: dict[int, int], page: int) -> Iterator[Block]:
    texts = list(slide.outline)
    if slide.object in places:
        texts = list(_boxes(data, record_at(data, places[slide.object]), slide.outline))
        texts += [text for text in slide.outline if text not in texts]
    texts.sort(key=lambda text: text[0] not in TITLE_KINDS)
    for kind, text in texts:
        if kind in TITLE_KINDS:
            yield Block("heading", " ".join(text.split()), 1, page)
            continue
        for line in text.split("\n"):
            yield Block("text", "" if line.strip() == MARKS else line.strip(), page=page)


def _notes(data: bytes, document: Record, places: dict[int, int]) -> Iterator[tuple[int, str]]:
    """Id of a slide -> its notes."""
    for one in _slides(data, document, NOTES):
        if one.object not in places:
            continue
        container = record_at(data, places[one.object])
        atom = next(walk(data, container, NOTES_ATOM), None)
        if atom is not None:
            texts = [text for _, text in _boxes(data, container, one.outline) if text.strip(MARKS)]
            yield struct.unpack_from("<I", data, atom.start)[0], "\n".join(texts)


def _margins(data: bytes, document: Record) -> Iterator[Block]:
    """Header and footer of all slides: strings of kind 1 and 2; kind 0 is a date."""
    said = set()
    for container in walk(data, document, MARGINS):
        for record in records(data, container.start, container.end):
            text = data[record.start : record.end].decode("utf-16-le", "replace").strip("\0 ")
            if record.kind == STRING and record.instance in (1, 2) and text not in said:
                said.add(text)
                yield Block("header" if record.instance == 1 else "footer", text)
