"""Which reader reads a file: by what it begins with, then by its suffix, then as plain text if it is text."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from types import ModuleType

from engine.api.errors import UserError
from engine.api.parts import load_part, part_names
from engine.documents.text_encoding import is_text

READERS = "engine.documents.readers"
HEAD_BYTES = 4096


@cache
def by_suffix(package: str = READERS) -> dict[str, ModuleType]:
    """ ".pdf" -> the part that reads it; of two that claim one suffix, the first by name."""
    found: dict[str, ModuleType] = {}
    for name in part_names(package):
        part = load_part(package, name)
        for suffix in part.SUFFIXES:
            found.setdefault(suffix, part)
    return found


def suffixes() -> frozenset[str]:
    """All suffixes some reader claims, lower case with their dot. Other files are read too where they hold text."""
    return frozenset(by_suffix())


def reader_for(path: Path, package: str = READERS) -> ModuleType:
    """The part for a file. Raises UserError unsupported_document, OSError."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    parts = by_suffix(package)
    claimed = parts.get(path.suffix.lower())
    signed = _by_signature(head, package)
    if signed is not None:
        return signed
    plain = parts.get(".txt")
    if claimed is not None and not (_lacks_signature(claimed, head) and is_text(head) and plain):
        return claimed
    if plain is not None and is_text(head):
        return plain
    raise unsupported(path)


def unsupported(path: Path) -> UserError:
    """There is no reader for what is in this file."""
    return UserError(
        "unsupported_document",
        f"{path.name} is of a kind that cannot be read.",
        "Save it as PDF, DOCX or text.",
        name=path.name,
    )


def _lacks_signature(part: ModuleType, head: bytes) -> bool:
    """Whether the format has signatures and none is near the beginning: junk before a PDF is common."""
    signatures = getattr(part, "SIGNATURES", ())
    return bool(head and signatures) and not any(signature in head[:1024] for signature in signatures)


def _by_signature(head: bytes, package: str) -> ModuleType | None:
    """A part may name bytes its files begin with in SIGNATURES; they count more than a suffix that says otherwise."""
    for part in dict.fromkeys(by_suffix(package).values()):
        if any(head.startswith(signature) for signature in getattr(part, "SIGNATURES", ())):
            return part
    return None
