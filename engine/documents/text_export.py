"""What is read of documents, written as text files beside each other: `deskside docs text`."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.api.errors import UserError
from engine.documents.block import Document
from engine.documents.reading import Reading

Step = Callable[[int, int, str], None]


@dataclass
class Exported:
    """How many files and pages were read, how many characters written, and the errors of the others."""

    files: int = 0
    pages: int = 0
    characters: int = 0
    failed: list[dict[str, Any]] = field(default_factory=list)
    notes: list[dict[str, str]] = field(default_factory=list)


def export(path: Path, out: Path, reading: Reading, step: Step, cancelled: threading.Event | None = None) -> Exported:
    """Read a file, or all files of a folder and below, into `out`: sub/NAME.SUFFIX becomes sub/NAME.SUFFIX.txt.

    `step(done, total, name)` is called before each file. Raises UserError no_such_path, text_not_written; Cancelled.
    """
    if not path.exists():
        raise UserError("no_such_path", f"There is no file or folder {path}.", "Check the path.", path=str(path))
    files = list(_files(path, out))
    done = Exported()
    for number, file in enumerate(files):
        step(number, len(files), file.name)
        name = file.relative_to(path) if path.is_dir() else Path(file.name)
        try:
            document = reading.read(file, None, cancelled)
        except UserError as error:
            done.failed.append({"path": str(name), "error": error.to_json()})
            continue
        _write(out / name.with_name(name.name + ".txt"), document)
        _count(done, str(name), document)
    return done


def _files(path: Path, out: Path) -> Iterator[Path]:
    """All files, hidden ones, links to folders and what was written before left out."""
    if not path.is_dir():
        yield path
        return
    written = out.resolve()
    for folder, folders, names in os.walk(path):
        below = (name for name in sorted(folders) if not name.startswith("."))
        folders[:] = [name for name in below if (Path(folder) / name).resolve() != written]
        yield from (Path(folder) / name for name in sorted(names) if not name.startswith("."))


def _write(target: Path, document: Document) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(document.text + "\n", encoding="utf-8", errors="replace")
    except OSError as error:
        raise UserError(
            "text_not_written",
            f"{target} cannot be written: {error.strerror}.",
            "Choose another folder.",
            path=str(target),
            reason=str(error.strerror),
        ) from None


def _count(done: Exported, name: str, document: Document) -> None:
    done.files += 1
    done.pages += document.pages
    done.characters += len(document.text)
    done.notes += [{"path": name, "text": note} for note in document.notes]
