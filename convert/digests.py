"""SHA-256 of whole files, for reports: taken in a thread of its own while the work that needs no hash goes on.

What was hashed once is remembered in the data folder for as long as the file stays as it is (its place on the disk,
size and time of change), so that making several types of one model reads it for its hash once.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.api.folders import home, write_json
from models.file_hash import sha256

if TYPE_CHECKING:
    from types import TracebackType

    from engine.api.job import Job

WAIT_S = 0.1
REMEMBERED = 500  # files, the latest


def remember(file: Path, found: str) -> None:
    """Keep the hash of a file. Only a saving of time: what cannot be kept is taken again."""
    kept = _kept()
    mark = _mark(file)
    kept.pop(mark[0], None)
    kept[mark[0]] = [*mark[1:], found]
    with contextlib.suppress(OSError):
        write_json(_file(), dict(list(kept.items())[-REMEMBERED:]))


def remembered(file: Path) -> str:
    """The hash of a file that is as it was when it was hashed, else ""."""
    place, *state = _mark(file)
    kept = _kept().get(place)
    return str(kept[2]) if isinstance(kept, list) and kept[:2] == state and len(kept) == 3 else ""


def _mark(file: Path) -> tuple[str, int, int]:
    """Where it lies, however it is called, its size and when it was changed."""
    stat = file.stat()
    return f"{stat.st_dev}:{stat.st_ino}", stat.st_size, stat.st_mtime_ns


def _kept() -> dict[str, Any]:
    with contextlib.suppress(OSError, ValueError):
        kept = json.loads(_file().read_text(encoding="utf-8"))
        return kept if isinstance(kept, dict) else {}
    return {}


def _file() -> Path:
    return home() / "hashes.json"


class Digests:
    """Hashes `files` from the moment it is entered; leaving it stops what is not done yet."""

    def __init__(self, files: Iterable[Path]) -> None:
        self._files, self._done, self._stopped = list(files), 0, threading.Event()
        self._pool = ThreadPoolExecutor(1, "digests")

    def __enter__(self) -> Digests:
        """Begin."""
        self._found = self._pool.submit(self._all)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stopped.set()
        self._pool.shutdown()

    def found(self, job: Job) -> list[dict[str, Any]]:
        """[{"name", "bytes", "sha256"}] of the files, as a report has them. Raises Cancelled, OSError."""
        total = sum(file.stat().st_size for file in self._files)
        while not self._found.done():
            job.step(self._done, total, "bytes", "checking")
            self._stopped.wait(WAIT_S)
        return self._found.result()

    def _all(self) -> list[dict[str, Any]]:
        return [self._one(file) for file in self._files]

    def _one(self, file: Path) -> dict[str, Any]:
        before, size = self._done, file.stat().st_size

        def step(done: int) -> None:
            self._done = before + done
            if self._stopped.is_set():
                raise InterruptedError

        found, mark = remembered(file), _mark(file)
        if not found:
            found = sha256(file, step)
            if _mark(file) == mark:
                remember(file, found)
        return {"name": file.name, "bytes": size, "sha256": found}


def hashed(files: Iterable[Path], job: Job) -> list[dict[str, Any]]:
    """What `Digests.found` gives, where there is nothing to do meanwhile."""
    with Digests(files) as digests:
        return digests.found(job)
