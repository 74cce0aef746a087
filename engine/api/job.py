"""The job protocol, seen from inside a job: `run(params, job) -> result`."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.api.errors import UserError
from engine.api.folders import write_json
from engine.api.full_disk import NO_ROOM, disk_full_midway

REPORTS_PER_S = 10


class Cancelled(Exception):
    """Raised by `Job.step` once the job was asked to stop."""


class Job:
    """Progress, saved state and cancelling of one running job.

    `folder` is the work folder `NAME.partial/`; it holds `job.json` with the parameters, their hash and
    the state saved last. `report` receives event dictionaries; the default throws them away, so a job
    can be called in a test as plain Python.
    """

    def __init__(
        self,
        folder: Path,
        params: dict[str, Any],
        report: Callable[[dict[str, Any]], None] = lambda event: None,
        cancelled: threading.Event | None = None,
    ) -> None:
        self.folder = folder
        self.cancelled = cancelled or threading.Event()
        self._params = params
        self._report = report
        self._last_report = 0.0
        self._last_event: dict[str, Any] | None = None
        self.state = self._open()

    def step(self, done: int, total: int, unit: str, text: str = "") -> None:
        """Report progress: unit is bytes, files, pages, tensors, tokens or steps. Raises Cancelled."""
        if self.cancelled.is_set():
            raise Cancelled
        self._last_event = {"event": "step", "done": done, "total": total, "unit": unit, "text": text}
        if time.monotonic() - self._last_report >= 1 / REPORTS_PER_S:
            self.flush()

    def pass_on(self, event: dict[str, Any]) -> None:
        """What a job within this one reports is this one's progress."""
        if event["event"] == "step":
            self.step(event["done"], event["total"], event["unit"], event["text"])
        else:
            self.note(event["text"], event["level"])

    def flush(self) -> None:
        """Send the last progress held back by the rate limit."""
        if self._last_event:
            self._report(self._last_event)
            self._last_event, self._last_report = None, time.monotonic()

    def note(self, text: str, level: str = "info") -> None:
        """A line for the person."""
        self._report({"event": "note", "text": text, "level": level})

    def save(self, state: dict[str, Any]) -> None:
        """Keep a small state from which an interrupted job goes on. Raises UserError disk_full_midway."""
        self.state = state
        kept = {"params": self._params, "hash": _hash(self._params), "state": state}
        try:
            write_json(self.folder / "job.json", kept)
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            raise disk_full_midway(self.folder.name.removesuffix(".partial")) from None

    def _open(self) -> dict[str, Any]:
        """The saved state, {} for a new job. Other parameters than the saved ones are an error."""
        try:
            saved = json.loads((self.folder / "job.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        if saved.get("hash") != _hash(self._params):
            raise UserError(
                "other_job",
                f"{self.folder.name} holds unfinished work with other settings.",
                "Delete that job first, or resume it.",
                folder=str(self.folder),
            )
        state = saved.get("state")
        return state if isinstance(state, dict) else {}


def _hash(params: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(params, sort_keys=True).encode()).hexdigest()
