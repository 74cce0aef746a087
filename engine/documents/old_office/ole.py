"""OLE compound files: folders and streams in one file, as Office wrote them until 2003."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from engine.documents.office.archive import OLE_MAGIC
from engine.documents.refusals import unreadable

if TYPE_CHECKING:
    from olefile import OleFileIO

MOST = 512 << 20  # bytes of one stream


@contextmanager
def opened(path: Path) -> Iterator[OleFileIO[str]]:
    """Raises UserError unreadable_document, for what is damaged while it is read too."""
    import struct

    import olefile

    with path.open("rb") as file:
        if file.read(8) != OLE_MAGIC:
            raise unreadable(path)
    try:
        with olefile.OleFileIO(str(path)) as ole:
            yield ole
    except (OSError, ValueError, LookupError, struct.error, TypeError, AttributeError) as error:
        raise unreadable(path) from error


def stream(ole: OleFileIO[str], name: str) -> bytes:
    """The bytes of a stream, b"" where there is none. Raises OSError where it is damaged."""
    if not ole.exists(name) or ole.get_type(name) != 2:
        return b""
    if ole.get_size(name) > MOST:
        raise OSError("a stream too large")
    return bytes(ole.openstream(name).read())
