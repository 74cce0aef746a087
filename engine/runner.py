"""Starts jobs, most of them as processes of their own, relays what they report, and keeps them in the database."""

from __future__ import annotations

import json
import shutil
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from engine.api.errors import UserError
from engine.api.messages import JobRow, JobState
from engine.job_main import remove_lock
from engine.running import TERMINATE_AFTER_S, Apart, Inside, Running, Work
from engine.store import Store

if TYPE_CHECKING:
    from sqlite_utils.db import Table

AT_ONCE, INSIDE_AT_ONCE = 2, 1
_ENDED = ("done", "failed", "cancelled", "interrupted")


class Runner:
    """All jobs. `broadcast(event, **data)` tells every client; kinds in `inside` run in a thread of this process."""

    def __init__(self, store: Store, broadcast: Callable[..., None]) -> None:
        self._store = store
        self._broadcast = broadcast
        self._running: dict[str, Running] = {}
        self._threads: dict[str, threading.Thread] = {}
        self._lock = threading.RLock()
        self._closing = False
        self.ended: list[Callable[[JobRow], None]] = []
        self.given_up: list[Callable[[JobRow], None]] = []  # what such a job keeps elsewhere goes too
        self.inside: dict[str, Work] = {}
        store.run("UPDATE jobs SET state = 'interrupted' WHERE state IN ('running', 'queued')")

    def list(self) -> list[JobRow]:
        """All jobs, the newest first."""
        return [_row(row) for row in self._store.rows("SELECT * FROM jobs ORDER BY created DESC, rowid DESC")]

    def start(self, kind: str, title: str, folder: Path, params: dict[str, Any], total: int = 0) -> str:
        """Queue a job that works in `folder`; returns its id. The same unfinished job is resumed, not doubled."""
        with self._lock:
            same = self._store.row(
                "SELECT * FROM jobs WHERE folder = ? AND state <> 'done' ORDER BY created DESC", str(folder)
            )
            if same:
                if same["state"] in _ENDED:
                    self.resume(same["id"])
                return str(same["id"])
            identity = uuid.uuid4().hex
            row: dict[str, Any] = {
                "id": identity,
                "kind": kind,
                "title": title,
                "folder": str(folder),
                "params": json.dumps(params),
            }
            row |= {"params": json.dumps(params), "state": "queued", "unit": "", "text": "", "created": time.time()}
            counts = {"done": 0, "total": total, "seconds": 0.0, "peak_bytes": 0}
            with self._store.transaction() as db:
                cast("Table", db["jobs"]).insert(row | counts)
        self._report(identity)
        self._fill()
        return identity

    def pause(self, job: str) -> JobRow:
        """Stop and keep the work."""
        return self._stop(job, "interrupted")

    def cancel(self, job: str) -> JobRow:
        """Stop and throw the unfinished work away."""
        with self._lock:
            row = self._stop(job, "cancelled")
            if row["state"] in ("interrupted", "failed"):
                self._set(job, state="cancelled")
                self._discard(job)
        return self._report(job)

    def resume(self, job: str) -> JobRow:
        """Queue a job again that ended without being done."""
        row = self.get(job)
        if row["state"] not in ("interrupted", "failed", "cancelled"):
            raise UserError("job_not_resumable", "This job cannot be resumed.", "Start it anew.")
        self._set(job, state="queued", error=None)
        shown = self._report(job)
        self._fill()
        return shown

    def delete(self, job: str) -> None:
        """Forget an ended job and its unfinished work."""
        if self.get(job)["state"] not in _ENDED:
            raise UserError("job_active", "This job is still running.", "Cancel it first.")
        self._discard(job)
        self._store.run("DELETE FROM jobs WHERE id = ?", job)
        self._broadcast("job_deleted", job=job)

    def get(self, job: str) -> JobRow:
        """One job. Raises UserError unknown_job."""
        row = self._store.row("SELECT * FROM jobs WHERE id = ?", job)
        if row is None:
            raise UserError("unknown_job", "This job does not exist (any more).", "Reload the list of jobs.")
        return _row(row)

    def close(self) -> None:
        """Stop all jobs, resumable, and wait until they have ended."""
        with self._lock:
            self._closing = True
            for running in self._running.values():
                running.stop("interrupted")
            threads = [*self._threads.values()]
        for thread in threads:
            thread.join(timeout=3 * TERMINATE_AFTER_S)

    def _stop(self, job: str, wanted: JobState) -> JobRow:
        with self._lock:
            running = self._running.get(job)
            if running:
                running.stop(wanted)
            elif self.get(job)["state"] == "queued":
                self._set(job, state=wanted)
        return self._report(job)

    def _fill(self) -> None:
        """Start queued jobs while there is room."""
        with self._lock:
            for row in self._store.rows("SELECT * FROM jobs WHERE state = 'queued' ORDER BY created"):
                if not self._closing and self._has_room(row["kind"] in self.inside):
                    self._launch(row)

    def _has_room(self, inside: bool) -> bool:
        running = sum(isinstance(one, Inside) == inside for one in self._running.values())
        return running < (INSIDE_AT_ONCE if inside else AT_ONCE)

    def _launch(self, row: dict[str, Any]) -> None:
        work = self.inside.get(row["kind"])
        running = self._running[row["id"]] = Inside(work) if work else Apart(row)
        self._set(row["id"], state="running")
        thread = threading.Thread(target=self._follow, args=(row, running), name=f"job {row['kind']}", daemon=True)
        self._threads[row["id"]] = thread
        thread.start()

    def _follow(self, row: dict[str, Any], running: Running) -> None:
        self._report(row["id"])  # it waits no longer; its first progress may take a while
        self._end(row["id"], running.follow(row, lambda event: self._relay(row["id"], event, running)), running)

    def _relay(self, job: str, event: dict[str, Any], running: Running) -> None:
        if event["event"] == "note":
            self._broadcast("job_note", job=job, text=event["text"], level=event["level"])
            return
        if running.begin_done is None or event["unit"] != running.unit or event["done"] < running.done:
            running.begin_done, running.began = event["done"], time.monotonic()  # it begins, or begins something else
        running.unit, running.done = event["unit"], event["done"]
        self._set(job, **{name: event[name] for name in ("done", "total", "unit", "text")})
        self._report(job)

    def _end(self, job: str, end: dict[str, Any], running: Running) -> None:
        crashed = UserError("job_crashed", "The job ended unexpectedly.", "Resume it; its log says more.")
        state = end.get("state", "failed")
        error = None if state in ("done", "cancelled") else end.get("error", crashed.to_json())
        if state != "done" and (self._closing or running.asked):
            state, error = running.wanted, None
        values = {
            "state": state,
            "error": json.dumps(error) if error else None,
            "result": json.dumps(end.get("result")),
        }
        values |= {"seconds": end.get("seconds", 0.0), "peak_bytes": end.get("peak_bytes", 0)}
        with self._lock:  # nobody is told that it is over before its folder is gone
            self._set(job, **values)
            del self._running[job]
            if state in ("done", "cancelled"):  # once it is done the folder has its final name
                self._discard(job)
            elif isinstance(running, Apart):
                self._remove_lock(job)
        for tell in self.ended:  # before clients hear of it: who has waited for the end may close the engine then
            tell(self.get(job))
        self._report(job)
        with self._lock:
            del self._threads[job]
        self._fill()

    def _set(self, job: str, **values: Any) -> None:
        with self._store.transaction() as db:
            cast("Table", db["jobs"]).update(job, values)

    def _report(self, job: str) -> JobRow:
        row = self.get(job)
        running = self._running.get(job)
        if running and running.begin_done is not None and row["done"] > running.begin_done:
            speed = (row["done"] - running.begin_done) / max(1e-3, time.monotonic() - running.began)
            row["speed"], row["left_s"] = speed, (row["total"] - row["done"]) / speed
        self._broadcast("job", **row)
        return row

    def _remove_lock(self, job: str) -> None:
        row = self._store.row("SELECT folder FROM jobs WHERE id = ?", job)
        if row and Path(row["folder"] + ".lock").exists():
            remove_lock(Path(row["folder"]))

    def _discard(self, job: str) -> None:
        row = self._store.row("SELECT * FROM jobs WHERE id = ?", job)
        if row is None:
            return
        shutil.rmtree(row["folder"], ignore_errors=True)
        Path(row["folder"] + ".lock").unlink(missing_ok=True)
        if row["state"] != "done":
            for tell in self.given_up:
                tell(_row(row))


def _row(row: dict[str, Any]) -> JobRow:
    decoded = {name: json.loads(row[name]) if row[name] else None for name in ("params", "result", "error")}
    values = {**row, **decoded, "job": row["id"], "left_s": None, "speed": None}
    return cast(JobRow, {name: values[name] for name in JobRow.__annotations__})
