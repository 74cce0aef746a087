"""What the engine holds of documents: the database, its index jobs, and a look at the watched folders now and then.

Nothing is opened before it is asked for.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.api.errors import UserError
from engine.api.folders import documents_file, home
from engine.api.messages import JobRow
from engine.documents import sync
from engine.documents.collection import row_of
from engine.documents.database import DocumentStore

if TYPE_CHECKING:
    from engine.documents.reading import Reading
    from engine.runner import Runner

log = logging.getLogger(__name__)
FIRST_LOOK_S, LOOK_EVERY_S = 3.0, 30.0
LOOK_SHARE = 0.02  # of the time may be spent looking: large folders are looked at less often
TELL_EVERY_S = 1.0
ACTIVE = ("queued", "running")
ENDS_WITHIN_S = 15.0


class Library:
    """One per engine. `broadcast(event, **data)` tells every client; `store` opens documents.db."""

    def __init__(self, runner: Runner, broadcast: Callable[..., None]) -> None:
        self._runner, self._broadcast = runner, broadcast
        self._store: DocumentStore | None = None
        self._reading: Reading | None = None
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._told: dict[str, float] = {}
        self._watcher = threading.Thread(target=self._watch, name="watched folders", daemon=True)
        self._watcher.start()
        runner.ended.append(self._job_ended)

    @property
    def store(self) -> DocumentStore:
        """The database. Raises UserError cannot_open_database."""
        with self._lock:
            if self._store is None:
                self._store = DocumentStore()
            return self._store

    @property
    def reading(self) -> Reading:
        """The process that pictures of pages come from."""
        from engine.documents.reading import Reading

        with self._lock:
            if self._reading is None:
                self._reading = Reading()
            return self._reading

    def index(self, collection: str) -> str:
        """Start the index job of a collection (its id), or have the one there is go on; the job's id."""
        row = row_of(self.store, collection)
        for done in self.jobs_of(row["id"]):
            if done["state"] == "done":
                self._runner.delete(done["job"])
        waiting = self.waiting(row["number"])
        return self._runner.start("index", row["name"], _folder(row["id"]), {"collection": row["id"]}, waiting)

    def waiting(self, number: int) -> int:
        """How many files of a collection wait for being read."""
        row = self.store.row("SELECT COUNT(*) AS files FROM files WHERE collection = ? AND state = 'waiting'", number)
        return int(row["files"]) if row else 0

    def jobs_of(self, collection: str) -> list[JobRow]:
        """The index jobs of a collection (its id), the newest first."""
        jobs = (row for row in self._runner.list() if row["kind"] == "index")
        return [row for row in jobs if row["params"].get("collection") == collection]

    def end_jobs(self, collection: str) -> None:
        """Stop and forget the index jobs of a collection (its id). Raises UserError job_active if one does not end."""
        for row in self.jobs_of(collection):
            self._runner.cancel(row["job"])
        until = time.monotonic() + ENDS_WITHIN_S
        while any(row["state"] in ACTIVE for row in self.jobs_of(collection)) and time.monotonic() < until:
            time.sleep(0.05)
        for row in self.jobs_of(collection):
            self._runner.delete(row["job"])

    def forget_names(self, collection: str) -> None:
        """Finished index jobs of a collection (its id) no longer name the file they did last."""
        for row in self.jobs_of(collection):
            if row["state"] not in ACTIVE:
                self._runner.delete(row["job"])

    def changed(self, collection: str) -> None:
        """Tell every client that a collection (its id) is another now."""
        self._told[collection] = time.monotonic()
        self._broadcast("documents", collection=collection)

    def heard(self, event: dict[str, Any]) -> None:
        """What is broadcast: while an index job goes on, the counts of its collection change."""
        if event.get("event") != "job" or event.get("kind") != "index":
            return
        collection = str(event["params"].get("collection", ""))
        ended = event["state"] not in ACTIVE
        if ended or time.monotonic() - self._told.get(collection, 0.0) >= TELL_EVERY_S:
            self.changed(collection)

    def close(self) -> None:
        """End the watching and close the database. Jobs are ended by their runner."""
        self._ending.set()
        self._watcher.join(ENDS_WITHIN_S)
        with self._lock:
            if self._reading:
                self._reading.close()
            if self._store:
                self._store.close()
            self._store = self._reading = None

    def _job_ended(self, row: JobRow) -> None:
        """What was added in a job's last moment is not left behind."""
        if row["kind"] != "index" or row["state"] != "done" or self._ending.is_set():
            return
        with suppress(UserError):  # the collection is gone
            if self.waiting(row_of(self.store, row["params"]["collection"])["number"]):
                self.index(row["params"]["collection"])

    def _watch(self) -> None:
        pause = FIRST_LOOK_S
        first = True
        while not self._ending.wait(pause):
            began = time.monotonic()
            if documents_file().exists():
                try:
                    self._look(first)
                    first = False
                except (UserError, OSError, sqlite3.Error):
                    log.exception("watched folders")
            pause = max(LOOK_EVERY_S, (time.monotonic() - began) / LOOK_SHARE)

    def _look(self, first: bool) -> None:
        """Jobs that the last engine took down with it go on; folders that changed are synced."""
        for row in self.store.rows("SELECT number, id FROM collections"):
            if self._ending.is_set():
                return
            last = next(iter(self.jobs_of(row["id"])), None)
            stopped = last is not None and last["state"] != "done"
            if last is not None and first and last["state"] == "interrupted":
                self._runner.resume(last["job"])
            elif not stopped and self._differs(row["number"]):
                self.index(row["id"])

    def _differs(self, number: int) -> bool:
        return bool(sync.difference(self.store, number, sync.scan(self.store, number)))


def _folder(collection: str) -> Path:
    return home() / "indexing" / f"{collection}.partial"
