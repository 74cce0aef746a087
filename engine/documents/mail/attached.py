"""Files within a mail, read by the readers of their own formats."""

from __future__ import annotations

import tempfile
from collections.abc import Generator
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from engine.api.errors import UserError
from engine.documents.block import Block, Limits
from engine.documents.refusals import too_large

MOST_FILES = 500
DEEPEST = 5  # mails within mails
# What libraries raise on damaged files. One attachment that cannot be read must not cost the mail.
FAULTS = (
    OSError,
    ValueError,
    RuntimeError,
    SyntaxError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    EOFError,
)


@dataclass
class Attachments:
    """What one mail file may still unpack, and what could not be read in it."""

    path: Path
    limits: Limits
    depth: int = 0
    left: int = 0
    files: int = 0
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.left = self.limits.unpacked

    def count(self, size: int) -> None:
        """So many bytes were decoded. Raises UserError too_large_document once it is too much."""
        self.left -= size
        if self.left < 0:
            raise too_large(self.path)

    def blocks(self, name: str, data: bytes, read_it: bool = True) -> Generator[Block, None, None]:
        """The name of the file, then what is in it where some reader can tell; its pages are none of the mail."""
        name = PurePosixPath(name.replace("\\", "/")).name.replace("\0", "") or "attachment"
        self.files += 1
        self.count(len(data))
        yield Block("heading", f"Attachment: {name}", 2)
        if read_it and data and self.files <= MOST_FILES and self.depth < DEEPEST:
            yield from self._read(name, data)

    def _read(self, name: str, data: bytes) -> Generator[Block, None, None]:
        from engine.documents.formats import reader_for

        with tempfile.TemporaryDirectory(prefix="deskside-") as folder:
            file = Path(folder) / f"attached{PurePosixPath(name).suffix.lower()[:10]}"
            file.write_bytes(data)
            try:
                for block in reader_for(file).read(file, replace(self.limits, unpacked=self.left)):
                    level = min(block.level + 2, 6) if block.level else 0
                    yield replace(block, page=0, boxes=(), level=level)
            except UserError as error:
                if error.code != "unsupported_document":
                    self.notes.append(f"{name}: {error.text}".replace(file.name, name))
            except FAULTS:
                self.notes.append(f"{name}: cannot be read")
