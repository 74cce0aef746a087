"""A job that was started: as a process of its own, or as a thread of the engine where it needs the engine's models."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from engine.api.folders import logs_folder
from engine.api.job import Job
from engine.api.messages import JobState, decode
from engine.job_main import attempt

TERMINATE_AFTER_S = 5.0
Work = Callable[[dict[str, Any], Job], dict[str, Any]]
Hear = Callable[[dict[str, Any]], None]


class Running:
    """A started job, and the state it is to end in once `asked` to stop."""

    def __init__(self) -> None:
        self.wanted: JobState = "interrupted"
        self.asked = False
        self.begin_done: int | None = None
        self.unit, self.done = "", 0
        self.began = time.monotonic()

    def stop(self, wanted: JobState) -> None:
        """Ask it to."""
        self.asked, self.wanted = True, wanted

    def follow(self, row: dict[str, Any], hear: Hear) -> dict[str, Any]:
        """Tell what it reports until its end; its last event, {} if it went without one."""
        raise KeyError(row["kind"])


class Apart(Running):
    """In a process of its own."""

    def __init__(self, row: dict[str, Any]) -> None:
        super().__init__()
        with log_file(row["id"]).open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "engine.job_main", row["kind"], row["folder"]],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )

    def stop(self, wanted: JobState) -> None:
        """Ask; after five seconds terminate, then kill."""
        super().stop(wanted)
        if self.process.stdin:
            with suppress(BrokenPipeError):
                self.process.stdin.close()
        threading.Thread(target=self._insist, daemon=True).start()

    def follow(self, row: dict[str, Any], hear: Hear) -> dict[str, Any]:
        """See Running."""
        end: dict[str, Any] = {}
        stdin, stdout = self.process.stdin, self.process.stdout
        if stdin and stdout:
            _send_params(stdin, row["params"])
            for line in stdout:
                event = decode(line)
                if event["event"] == "end":
                    end = event
                else:
                    hear(event)
        self.process.wait()
        for pipe in (stdin, stdout):
            if pipe:
                with suppress(BrokenPipeError):
                    pipe.close()
        return end

    def _insist(self) -> None:
        for push in (self.process.terminate, self.process.kill):
            try:
                self.process.wait(TERMINATE_AFTER_S)
                return
            except subprocess.TimeoutExpired:
                push()


class Inside(Running):
    """In the thread that follows it."""

    def __init__(self, work: Work) -> None:
        super().__init__()
        self._work, self._cancelled = work, threading.Event()

    def stop(self, wanted: JobState) -> None:
        """Ask; `work` looks at it often enough."""
        super().stop(wanted)
        self._cancelled.set()

    def follow(self, row: dict[str, Any], hear: Hear) -> dict[str, Any]:
        """See Running."""
        params = json.loads(row["params"])
        end = attempt(row["kind"], self._work, Path(row["folder"]), params, hear, self._cancelled)
        return {**end, "seconds": time.monotonic() - self.began}


def log_file(job: str) -> Path:
    """Where a job's process writes what it has to say beyond its events."""
    return logs_folder() / f"job-{job}.log"


def _send_params(stdin: Any, params: str) -> None:
    try:
        stdin.write(params.encode() + b"\n")
        stdin.flush()
    except (BrokenPipeError, ValueError):
        return  # the process died at once, or was cancelled already; its end says so
