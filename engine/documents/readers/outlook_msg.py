"""Outlook messages: MAPI properties in an OLE file."""

from __future__ import annotations

import struct
from collections.abc import Generator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from engine.documents.block import Block, Limits
from engine.documents.mail.attached import Attachments
from engine.documents.mail.message import html_blocks, plain_blocks
from engine.documents.old_office.ole import opened, stream
from engine.documents.refusals import unreadable
from engine.documents.text_encoding import decoded
from engine.documents.web.parsing import page_text

if TYPE_CHECKING:
    from olefile import OleFileIO

SUFFIXES = (".msg",)
SUBJECT, BODY, HTML, SENDER, ADDRESS, TO, CC = 0x0037, 0x1000, 0x1013, 0x0C1A, 0x5D01, 0x0E04, 0x0E03
SUBMITTED, DELIVERED = 0x0039, 0x0E06
LONG_NAME, NAME, DATA = 0x3707, 0x3704, 0x3701


def read(path: Path, limits: Limits) -> Generator[Block, None, dict[str, object]]:
    """Raises UserError unreadable_document, too_large_document."""
    attachments = Attachments(path, limits)
    with opened(path) as ole:
        if not ole.exists("__properties_version1.0"):
            raise unreadable(path)
        yield Block("heading", text_property(ole, "", SUBJECT) or "(no subject)", 1)
        said = {
            "From": _sender(ole),
            "To": text_property(ole, "", TO),
            "Cc": text_property(ole, "", CC),
            "Date": _date(ole),
        }
        yield Block("text", "\n".join(f"{name}: {text}" for name, text in said.items() if text))
        yield from _body(ole)
        for folder in sorted({entry[0] for entry in ole.listdir() if entry[0].startswith("__attach_version1.0_")}):
            name = text_property(ole, folder, LONG_NAME) or text_property(ole, folder, NAME)
            yield from attachments.blocks(name, stream(ole, _path(folder, DATA, "0102")))
    return {"notes": tuple(attachments.notes)}


def text_property(ole: OleFileIO[str], folder: str, number: int) -> str:
    """A string property of the message, or of the attachment in `folder`; "" where there is none."""
    wide = stream(ole, _path(folder, number, "001F"))
    if wide:
        return wide.decode("utf-16-le", "replace").strip("\0 ")
    # A zero at the end would make it look like UTF-16.
    return decoded(stream(ole, _path(folder, number, "001E")).rstrip(b"\0")).strip()


def _path(folder: str, number: int, kind: str) -> str:
    name = f"__substg1.0_{number:04X}{kind}"
    return f"{folder}/{name}" if folder else name


def _sender(ole: OleFileIO[str]) -> str:
    name, address = text_property(ole, "", SENDER), text_property(ole, "", ADDRESS)
    return f"{name} <{address}>" if address and address != name else name


def _date(ole: OleFileIO[str]) -> str:
    """When it was sent, as ISO 8601; from the table of properties of a fixed size, 16 bytes each."""
    table = stream(ole, "__properties_version1.0")
    for at in range(32, len(table) - 15, 16):
        tag, _flags, ticks = struct.unpack_from("<IIQ", table, at)
        if tag >> 16 in (SUBMITTED, DELIVERED) and tag & 0xFFFF == 0x40 and 0 < ticks < 3_000_000_000_000_000_000 // 10:
            moment = datetime(1601, 1, 1, tzinfo=UTC) + timedelta(microseconds=ticks // 10)
            return moment.strftime("%Y-%m-%d %H:%M UTC")
    return ""


def _body(ole: OleFileIO[str]) -> Iterator[Block]:
    text = text_property(ole, "", BODY)
    page = stream(ole, _path("", HTML, "0102"))
    if page and (not text or b"<table" in page.lower()):
        return html_blocks(page_text(page))
    return plain_blocks(text.replace("\r\n", "\n"))
