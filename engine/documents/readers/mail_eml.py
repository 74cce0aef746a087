"""Mails: single ones, mailboxes, and web pages saved as one (MHTML)."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

from engine.documents.block import Block, Limits
from engine.documents.mail.attached import Attachments
from engine.documents.mail.message import message_blocks
from engine.documents.refusals import too_large

SUFFIXES = (".eml", ".mbox", ".mbx", ".mht", ".mhtml")
FACTOR = 8  # bytes of memory that one byte of a mail takes
LINE = 1 << 20


def read(path: Path, limits: Limits) -> Generator[Block, None, dict[str, object]]:
    """Raises UserError too_large_document. What could not be read of attachments is in the notes."""
    attachments = Attachments(path, limits)
    for data in _messages(path, limits.memory // FACTOR):
        yield from message_blocks(data, attachments)
    return {"notes": tuple(attachments.notes)}


def _messages(path: Path, most: int) -> Iterator[bytes]:
    """The mails of a mailbox, each after a line "From …"; a file without such lines is one mail."""
    lines: list[bytes] = []
    size, blank = 0, True
    with path.open("rb") as file:
        while line := file.readline(LINE):
            if line.startswith(b"From ") and blank:
                if size:
                    yield b"".join(lines)
                lines, size = [], 0
                continue
            blank = not line.strip()
            lines.append(line[1:] if line.startswith(b">From ") else line)
            size += len(line)
            if size > most:
                raise too_large(path)
    if size:
        yield b"".join(lines)
