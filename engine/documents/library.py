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
from engine.documents.embedders import model_of
from engine.documents.searching import Searching
from engine.documents.stale_words import tidy

if TYPE_CHECKING:
    from engine.documents.reading import Reading
    from engine.runner import Runner

log = logging.getLogger(__name__)
FIRST_LOOK_S, LOOK_EVERY_S = 3.0, 30.0
LOOK_SHARE = 0.02  # of the time may be spent looking: large folders are looked at less often
TELL_EVERY_S = 1.0
ACTIVE = ("queued", "running")
KINDS = ("index", "questions")  # of jobs that belong to a collection
ENDS_WITHIN_S = 15.0


class Library:
    """One per engine. `broadcast(event, **data)` tells every client; `store` opens documents.db."""

    def __init__(self, runner: Runner, broadcast: Callable[..., None], searching: Searching) -> None:
        self._runner, self._broadcast, self._searching = runner, broadcast, searching
        self._store: DocumentStore | None = None
        self._reading: Reading | None = None
        self._lock, self._catching_up = threading.Lock(), threading.Lock()
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

    def sync(self, collection: str) -> dict[str, Any]:
        """Look at the disk and index what changed: {"job"} that does it, "" and {"result"} where it is done already."""
        from engine.documents.catch_up import catch_up

        row = row_of(self.store, collection)
        if not any(job["state"] in ACTIVE for job in self.jobs_of(row["id"])):
            with self._catching_up:
                result = catch_up(self.store, row, self.reading, self._searching.embedder(model_of(row["embedder"])))
            if result is not None:
                self.changed(row["id"])
                return {"job": "", "result": result}
        return {"job": self.index(row["id"])}

    def write_questions(self, collection: str) -> str:
        """Have the chunks of a collection (its id) asked about that were not, by a job; its id."""
        row = row_of(self.store, collection)
        for done in self.jobs_of(row["id"], "questions"):
            if done["state"] == "done":
                self._runner.delete(done["job"])
        folder = _folder(f"{row['id']}-questions")
        return self._runner.start("questions", row["name"], folder, {"collection": row["id"]})

    def waiting(self, number: int) -> int:
        """How many files of a collection wait for being read."""
        row = self.store.row("SELECT COUNT(*) AS files FROM files WHERE collection = ? AND state = 'waiting'", number)
        return int(row["files"]) if row else 0

    def jobs_of(self, collection: str, *kinds: str) -> list[JobRow]:
        """The jobs of a collection (its id), those that index it if no `kinds` are named, the newest first."""
        jobs = (row for row in self._runner.list() if row["kind"] in (kinds or ("index",)))
        return [row for row in jobs if row["params"].get("collection") == collection]

    def end_jobs(self, collection: str, *kinds: str) -> None:
        """Stop and forget the jobs of a collection (its id), all of them if no `kinds` are named.

        Raises UserError job_active if one does not end.
        """
        kinds = kinds or KINDS
        for row in self.jobs_of(collection, *kinds):
            self._runner.cancel(row["job"])
        until = time.monotonic() + ENDS_WITHIN_S
        while any(row["state"] in ACTIVE for row in self.jobs_of(collection, *kinds)) and time.monotonic() < until:
            time.sleep(0.05)
        for row in self.jobs_of(collection, *kinds):
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
        """What was added in a job's last moment is not left behind; what was indexed is asked about."""
        if row["kind"] not in KINDS or row["state"] != "done" or self._ending.is_set():
            return
        with suppress(UserError):  # the collection is gone
            collection = row_of(self.store, row["params"]["collection"])
            if row["kind"] == "index" and self.waiting(collection["number"]):
                self.index(collection["id"])
            else:
                self._ask_about_new(collection)

    def _ask_about_new(self, collection: dict[str, Any]) -> None:
        """Unless the person stopped it: then it goes on once they say so."""
        from engine.documents.question_job import lacking

        last = next(iter(self.jobs_of(collection["id"], "questions")), None)
        stopped = last is not None and last["state"] != "done"
        if collection["settings"]["questions"] and not stopped and lacking(self.store, collection["number"]):
            self.write_questions(collection["id"])

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
            if first:
                self._resume(row["id"])
            last = next(iter(self.jobs_of(row["id"])), None)
            if (last is None or last["state"] == "done") and self._differs(row["number"]):
                self.sync(row["id"])
            elif last is None or last["state"] not in ACTIVE:
                self._ask_about_new(row_of(self.store, row["id"]))
                tidy(self.store, row["number"])

    def _resume(self, collection: str) -> None:
        for kind in KINDS:
            last = next(iter(self.jobs_of(collection, kind)), None)
            if last is not None and last["state"] == "interrupted":
                self._runner.resume(last["job"])

    def _differs(self, number: int) -> bool:
        return bool(sync.difference(self.store, number, sync.scan(self.store, number)))


def _folder(collection: str) -> Path:
    return home() / "indexing" / f"{collection}.partial"
