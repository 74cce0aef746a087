"""The job that brings a collection up to date: looks at the disk, reads what is new, cuts it, embeds it, stores it.

Its state is the state of the files in the database: killed and started again it goes on with those that still wait.
Files that are added while it runs are taken, too.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.api.errors import UserError
from engine.api.job import Job
from engine.documents import sync
from engine.documents.block import Document
from engine.documents.chunking import Chunk, Count, about_tokens, chunks_of
from engine.documents.collection import has_vectors, row_of
from engine.documents.database import DocumentStore, sql_of
from engine.documents.deleting import wipe
from engine.documents.reading import Reading
from engine.documents.stale_words import tidy
from engine.documents.writing import (
    Seen,
    Written,
    adopt_embedder,
    document_of,
    fail_file,
    storable,
    write_files,
)

if TYPE_CHECKING:
    from engine.documents.embedders import Embedder

NICENESS = 10
CHUNKS_AT_ONCE, FILES_AT_ONCE, WRITE_EVERY_S = 64, 100, 3.0
COUNT_EVERY_S = 1.0
USUAL_TOKENS = 400  # of a chunk: longer ones blur what they are about
RESERVED = 16  # tokens of an embedder's own: prefix, beginning, end
_WAITING = "SELECT COUNT(*) AS files FROM files WHERE collection = ? AND state = 'waiting'"
_LACKING = "SELECT file FROM chunks WHERE collection = ? AND id NOT IN (SELECT chunk FROM {vec}) LIMIT 1"
_EMBED_AGAIN = """
    UPDATE files SET state = 'waiting' WHERE state = 'indexed' AND id IN (
        SELECT file FROM chunks WHERE collection = ? AND id NOT IN (SELECT chunk FROM {vec}))"""
_NEXT = "SELECT * FROM files WHERE collection = ? AND state = 'waiting' AND id > ? ORDER BY id LIMIT 1"


@dataclass
class Counts:
    """What a job did."""

    indexed: int = 0
    failed: int = 0
    skipped: int = 0
    pages: int = 0
    chunks: int = 0
    changes: dict[str, int] = field(default_factory=dict)


def run(params: dict[str, Any], job: Job) -> dict[str, Any]:
    """Parameters {"collection": id}. The result: {indexed, failed, skipped, pages, chunks, changes, embedder}."""
    _be_nice()
    with closing(DocumentStore(owner=False)) as store:
        collection = row_of(store, params["collection"])
        number = int(collection["number"])
        counts = Counts(changes=_synced(store, number, job))
        identity = collection["embedder"]
        if _anything_to_do(store, collection):
            embedder, problem = _embedder(collection, job)
            with closing(embedder) if embedder else nullcontext():
                _prepare(store, number, embedder, problem)
                Indexing(store, collection, embedder, job, counts).run()
            identity = embedder.identity if embedder else identity
        tidy(store, number)
        return {**vars(counts), "embedder": identity}


def _be_nice() -> None:
    """The person's own work comes first."""
    if sys.platform == "win32":
        import psutil

        psutil.Process().nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)
    else:
        os.nice(NICENESS)


def _synced(store: DocumentStore, number: int, job: Job) -> dict[str, int]:
    found = sync.difference(store, number, sync.scan(store, number, lambda: job.step(0, 0, "files")))
    if not found:
        return {}
    changes = sync.apply(store, number, found)
    if changes["deleted"]:
        wipe(store, [number])
    return changes


def _anything_to_do(store: DocumentStore, collection: dict[str, Any]) -> bool:
    """Whether files wait, or vectors are wanted of another embedder than the one that made them, or are missing."""
    number = collection["number"]
    if store.row("SELECT 1 FROM files WHERE collection = ? AND state = 'waiting' LIMIT 1", number):
        return True
    if store.row("SELECT 1 FROM chunks WHERE collection = ? LIMIT 1", number) is None:
        return False
    wanted, used = collection["settings"]["embedder"], collection["embedder"]
    return not used or not used.startswith(f"{wanted}:" if wanted else "") or _lacking(store, number)


def _lacking(store: DocumentStore, number: int) -> bool:
    return has_vectors(store, number) and store.row(sql_of(number, _LACKING), number) is not None


def _embedder(collection: dict[str, Any], job: Job) -> tuple[Embedder | None, str]:
    """The embedder to use and what is wrong with it: without one a collection is searched by words alone.

    The one that is used already stays, until the person names another; a better one that was installed since would
    have everything embedded again.
    """
    from engine.documents.embedders import model_of, open_embedder

    wanted = collection["settings"]["embedder"]
    try:
        if not wanted and collection["embedder"]:
            with suppress(UserError):
                return open_embedder(model_of(collection["embedder"])), ""
        embedder = open_embedder(wanted)
    except UserError as error:
        job.note(str(error), "warning")
        return None, error.code
    return embedder, "" if embedder else "no_embedder"


def _prepare(store: DocumentStore, number: int, embedder: Embedder | None, problem: str) -> None:
    """Files that need vectors of this embedder wait again; what was read of them is kept."""
    if embedder is not None:
        adopt_embedder(store, number, embedder.identity)
        store.run(sql_of(number, _EMBED_AGAIN), number)
    store.run("UPDATE collections SET problem = ? WHERE number = ?", problem, number)


class Indexing:
    """The files of one collection that wait, one after the other; the next is read while one is embedded."""

    def __init__(
        self, store: DocumentStore, collection: dict[str, Any], embedder: Embedder | None, job: Job, counts: Counts
    ) -> None:
        self._store, self._number, self._embedder = store, int(collection["number"]), embedder
        self._job, self._counts = job, counts
        self._budget = budget_of(collection["settings"]["chunk_tokens"], embedder)
        self._count: Count = embedder.count if embedder else about_tokens
        self._ready: list[tuple[dict[str, Any], Seen, Document, list[Chunk], bool]] = []
        self._written_at = time.monotonic()
        self._page = self._text = ""
        self._total, self._counted_at = 0, -COUNT_EVERY_S

    def run(self, warm: Reading | None = None) -> None:
        """Until no file waits any more, read by a `warm` process where there is one.

        Raises Cancelled; what is read but not stored then waits again.
        """
        while self._store.row(_NEXT, self._number, 0):
            with nullcontext(warm) if warm else Reading() as reading, ThreadPoolExecutor(1) as ahead:
                for row, read in self._read_ahead(reading, ahead):
                    self._take(row, read)
            self._write()
        self._counted_at = -COUNT_EVERY_S
        self._step()

    def _read_ahead(
        self, reading: Reading, ahead: ThreadPoolExecutor
    ) -> Iterator[tuple[dict[str, Any], Future[tuple[Seen, Document, bool]]]]:
        """Each waiting file, the one after it being read already."""
        row = self._store.row(_NEXT, self._number, 0)
        read = ahead.submit(self._read, row, reading) if row else None
        while row and read:
            following = self._store.row(_NEXT, self._number, row["id"])
            upcoming = ahead.submit(self._read, following, reading) if following else None
            yield row, read
            row, read = following, upcoming

    def _take(self, row: dict[str, Any], read: Future[tuple[Seen, Document, bool]]) -> None:
        self._wait(row, read)
        try:
            seen, document, stored = read.result()
        except UserError as error:
            skipped = error.code == "unsupported_document"
            self._counts.skipped += skipped
            self._counts.failed += not skipped
            fail_file(self._store, self._number, row, error, "skipped" if skipped else "failed")
            if not skipped:
                self._job.note(str(error), "warning")
            return
        chunks = chunks_of(document, self._budget, self._count)
        self._ready.append((row, seen, document, chunks, stored))
        many = sum(len(one[3]) for one in self._ready) >= CHUNKS_AT_ONCE or len(self._ready) >= FILES_AT_ONCE
        if many or time.monotonic() - self._written_at > WRITE_EVERY_S:
            self._write()

    def _wait(self, row: dict[str, Any], read: Future[Any]) -> None:
        """Tell where it is while a long file is read."""
        self._page = ""
        self._step(row["name"])
        while not read.done():
            with _quiet():
                read.exception(timeout=0.1)
            self._step(row["name"] + self._page)

    def _step(self, text: str = "") -> None:
        self._text = text or self._text
        done = self._counts.indexed + self._counts.failed + self._counts.skipped + len(self._ready)
        if time.monotonic() - self._counted_at > COUNT_EVERY_S:
            row = self._store.row(_WAITING, self._number)
            self._total = done - len(self._ready) + (row["files"] if row else 0)
            self._counted_at = time.monotonic()
        self._job.step(done, max(done, self._total), "files", self._text)

    def _read(self, row: dict[str, Any], reading: Reading) -> tuple[Seen, Document, bool]:
        """What is in a file, from the database if it was read before and is the same. Raises UserError, Cancelled."""
        if row["sha256"]:
            known = document_of(self._store, row["id"])
            if known is not None:
                return Seen(row["bytes"], row["mtime_ns"], row["sha256"]), known, True
        path = Path(row["path"])
        try:
            before = path.stat()
            document = reading.read(path, self._turned, self._job.cancelled)
            seen = Seen(before.st_size, before.st_mtime_ns, sync.sha256_of(path))
        except OSError as error:
            raise UserError(
                "cannot_read_file",
                f"{path} cannot be read ({error.strerror}).",
                "Check the name and the permissions.",
                path=str(path),
            ) from None
        return seen, storable(document), False

    def _turned(self, page: int) -> None:
        self._page = f" · {page}"

    def _write(self) -> None:
        ready, self._ready = self._ready, []
        if not ready:
            return
        vectors = self._vectors([chunk.indexed for *_, chunks, _ in ready for chunk in chunks])
        files, at = [], 0
        for row, seen, document, chunks, stored in ready:
            own = None if vectors is None else vectors[at : at + len(chunks)]
            files.append(Written(row, seen, document, chunks, own, stored))
            at += len(chunks)
        done = set(write_files(self._store, self._number, files, self._embedder.identity if self._embedder else ""))
        self._counts.indexed += len(done)
        self._counts.pages += sum(one.document.pages for one in files if one.row["id"] in done)
        self._counts.chunks += sum(len(one.chunks) for one in files if one.row["id"] in done)
        self._written_at = time.monotonic()

    def _vectors(self, texts: list[str]) -> Any:
        """One vector a text, in pieces between which the job can be cancelled."""
        if self._embedder is None:
            return None
        import numpy as np

        parts = [np.empty((0, self._embedder.width), dtype=np.float16)]
        for first in range(0, len(texts), CHUNKS_AT_ONCE):
            self._step()
            parts.append(self._embedder.passages(texts[first : first + CHUNKS_AT_ONCE]).astype(np.float16))
        return np.concatenate(parts)


def budget_of(chunk_tokens: int, embedder: Embedder | None) -> int:
    """Tokens of a chunk: as the collection says, never more than the embedder takes."""
    most = embedder.limit - RESERVED if embedder else USUAL_TOKENS * 20
    return max(16, min(chunk_tokens or USUAL_TOKENS, most))


@contextmanager
def _quiet() -> Iterator[None]:
    try:
        yield
    except TimeoutError:
        return
