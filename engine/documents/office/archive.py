"""Zip packages of strangers: unpacked bytes are counted while reading, passwords and bombs refused."""

from __future__ import annotations

import posixpath
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import unquote

from engine.documents.block import Limits
from engine.documents.office.markup import attribute, children, parsed
from engine.documents.refusals import protected, too_large, unreadable

if TYPE_CHECKING:
    from lxml.etree import _Element

OLE_MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
MOST_MEMBERS = 100_000
TREE_FACTOR = 12  # bytes of memory that one byte of XML takes as a tree, about
PIECE = 1 << 20
# RuntimeError covers zipfile's unknown compression methods, which are a subclass of it.
DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, OSError, ValueError, SyntaxError)


class Counted:
    """A member of an archive, open; what is read of it counts."""

    def __init__(self, file: IO[bytes], archive: Archive) -> None:
        self._file = file
        self._archive = archive

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(PIECE if size < 0 else size)
        self._archive.count(len(data))
        return data


class Archive:
    """An opened package; one for one reading. Member names are as in the zip, without a leading slash."""

    def __init__(self, path: Path, limits: Limits, zipped: zipfile.ZipFile) -> None:
        self.path = path
        self.names = set(zipped.namelist())
        self._folded = {name.lower().replace("\\", "/"): name for name in self.names}
        self._zip = zipped
        self._left = limits.unpacked
        self._tree = min(limits.unpacked, limits.memory // TREE_FACTOR)

    def find(self, name: str) -> str:
        """The member of that name, in whichever case and with whichever slashes it was zipped; "" if there is none."""
        name = name.lstrip("/")
        return name if name in self.names else self._folded.get(name.lower(), "")

    def read(self, name: str, most: int = 0) -> bytes:
        """The bytes of a member, b"" if there is none. Raises UserError too_large_document, unreadable_document."""
        member = self.find(name)
        if not member:
            return b""
        pieces, size = [], 0
        with self.stream(member) as file:
            while piece := file.read(PIECE):
                pieces.append(piece)
                size += len(piece)
                if most and size > most:
                    raise too_large(self.path)
        return b"".join(pieces)

    @contextmanager
    def stream(self, name: str) -> Iterator[Counted]:
        """A member to read piece by piece; what is read counts."""
        try:
            with self._zip.open(self.find(name) or name) as file:
                yield Counted(file, self)
        except KeyError as error:
            raise unreadable(self.path) from error
        except DAMAGE as error:
            raise unreadable(self.path) from error

    def tree(self, name: str) -> _Element | None:
        """A member as XML, None where it is missing. Raises UserError unreadable_document, too_large_document."""
        data = self.read(name, self._tree)
        if not data:
            return None
        try:
            return parsed(data)
        except (SyntaxError, ValueError) as error:
            raise unreadable(self.path) from error

    def count(self, size: int) -> None:
        """So many bytes were unpacked. Raises UserError too_large_document once it is too much."""
        self._left -= size
        if self._left < 0:
            raise too_large(self.path)

    def relations(self, part: str) -> dict[str, tuple[str, str]]:
        """Relation id -> (last word of its type, member it points to) of an OOXML part; external ones are left out."""
        folder, name = posixpath.split(part)
        root = self.tree(f"{folder}/_rels/{name}.rels")
        return {
            attribute(one, "Id"): (
                attribute(one, "Type").rpartition("/")[2],
                resolved(folder, attribute(one, "Target")),
            )
            for one in children(root, "Relationship")
            if attribute(one, "TargetMode") != "External"
        }


@contextmanager
def opened(path: Path, limits: Limits) -> Iterator[Archive]:
    """The package at `path`. Raises UserError protected_document, unreadable_document, too_large_document."""
    refuse_ole(path)
    try:
        zipped = zipfile.ZipFile(path)
    except DAMAGE as error:
        raise unreadable(path) from error
    with zipped:
        members = zipped.infolist()
        if any(member.flag_bits & 1 for member in members):
            raise protected(path)
        if len(members) > MOST_MEMBERS:
            raise too_large(path)
        yield Archive(path, limits, zipped)


def refuse_ole(path: Path) -> None:
    """A zip format that is an OLE file is an encrypted one, or has the wrong name."""
    import olefile

    with path.open("rb") as file:
        if file.read(8) != OLE_MAGIC:
            return
    try:
        with olefile.OleFileIO(str(path)) as ole:
            encrypted = ole.exists("EncryptedPackage")
    except (OSError, ValueError, IndexError) as error:
        raise unreadable(path) from error
    raise protected(path) if encrypted else unreadable(path)


def resolved(folder: str, target: str) -> str:
    """Where a link inside a package points to, seen from `folder`: a member name."""
    target = unquote(target.partition("#")[0])
    joined = target if target.startswith("/") else posixpath.join(folder, target)
    return posixpath.normpath(joined).lstrip("/") if target else ""
