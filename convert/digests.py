"""SHA-256 of whole files, for reports: taken in a thread of its own while the work that needs no hash goes on."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import TracebackType

    from engine.api.job import Job

READ = 4 << 20
WAIT_S = 0.1


def sha256(file: Path, step: Callable[[int], None] = lambda done: None) -> str:
    """The hash of one file; `step(bytes read)` may raise."""
    digest, done = hashlib.sha256(), 0
    with file.open("rb") as stream:
        while data := stream.read(READ):
            digest.update(data)
            done += len(data)
            step(done)
    return digest.hexdigest()


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

        return {"name": file.name, "bytes": size, "sha256": sha256(file, step)}
