"""Documents are read in a process of their own: what a hostile file does to a library stays there."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

from engine.api.errors import UserError
from engine.api.job import Cancelled
from engine.documents.block import Block, Document, Limits, assemble
from engine.documents.formats import READERS
from engine.documents.page_picture import Picture
from engine.documents.read_main import out_of_memory
from engine.documents.read_wire import unpacked
from engine.documents.refusals import unreadable

LOOK_S = 0.05  # between two looks at cancelling and time
WEIGH_S = 0.4  # between two looks at memory
PAGE_S = 30  # a page that was read gives so many seconds more: scans take some each, and may have hundreds
FILES_A_PROCESS = 500
RESTING_BYTES = 700 << 20  # a process that holds more than this after a file is not used for the next
BUSY = {"OMP_NUM_THREADS": "2", "MALLOC_ARENA_MAX": "2", "PYTHONUTF8": "1"}

Progress = Callable[[int], None]


def read_document(
    path: Path,
    limits: Limits | None = None,
    progress: Progress | None = None,
    cancelled: threading.Event | None = None,
) -> Document:
    """Read one file; `Reading` is faster for many. `progress(page)` is told how far it is.

    Raises UserError unreadable_document, protected_document, too_large_document, document_timeout, document_memory,
    unsupported_document, reader_not_installed; Cancelled.
    """
    with Reading(limits) as reading:
        return reading.read(path, progress, cancelled)


class Reading:
    """A warm process that reads one file after the other, made anew after a crash, a kill or many files.

    Its methods may be called from several threads; they take turns.
    """

    def __init__(self, limits: Limits | None = None, package: str = READERS) -> None:
        self.limits = limits or Limits()
        self._package = package
        self._child: _Child | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Reading:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def read(self, path: Path, progress: Progress | None = None, cancelled: threading.Event | None = None) -> Document:
        """The document in a file. Raises as `read_document` does."""
        blocks: list[Block] = []
        end: dict[str, Any] = {}
        with self._lock:
            for message in self._ask(path, {}, cancelled):
                blocks.extend(map(unpacked, message.get("blocks", ())))
                end = message.get("end", end)
                if progress and message.get("page"):
                    progress(message["page"])
        return assemble(blocks, end["title"], tuple(end["notes"]))

    def picture(self, path: Path, page: int, width_px: int, cancelled: threading.Event | None = None) -> Picture | None:
        """A page as it looks, `width_px` wide; None for formats that have no pages to look at. Raises as `read`."""
        with self._lock:
            messages = list(self._ask(path, {"page": page, "width": width_px}, cancelled))
        return Picture.from_json(messages[-1]["end"])

    def close(self) -> None:
        """End the process; a next call starts a new one."""
        with self._lock:
            self._end()

    def _end(self) -> None:
        if self._child:
            self._child.kill()
        self._child = None

    def _ask(self, path: Path, more: dict[str, Any], cancelled: threading.Event | None) -> Iterator[dict[str, Any]]:
        """The messages that answer one request, the last of them {"end": …}. Any error costs the process."""
        if self._child is None:
            self._child = _Child(self._package)
        child, done = self._child, False
        try:
            child.send({"path": str(path.absolute()), "limits": asdict(self.limits), **more})
            for message in child.messages(path, self.limits, cancelled):
                done = "end" in message or "error" in message
                if "error" in message:
                    raise UserError.from_json(message["error"])
                yield message
                if done:
                    break
        finally:
            if not done or child.is_worn():
                self._end()


class _Child:
    """One reading process."""

    def __init__(self, package: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "engine.documents.read_main", package],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **BUSY},
            start_new_session=True,  # Ctrl+C is for the parent to handle; and a kill takes what was started in it along
        )
        self._lines: queue.Queue[bytes] = queue.Queue()
        self._files = 0
        self._listener = threading.Thread(target=self._listen, name="reading", daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        for line in self._process.stdout or ():
            self._lines.put(line)
        self._lines.put(b"")

    def send(self, request: dict[str, Any]) -> None:
        """Ask. A process that is gone is found out when its answer is waited for."""
        self._files += 1
        with contextlib.suppress(OSError):
            if self._process.stdin:
                self._process.stdin.write(json.dumps(request).encode("ascii") + b"\n")
                self._process.stdin.flush()

    def messages(self, path: Path, limits: Limits, cancelled: threading.Event | None) -> Iterator[dict[str, Any]]:
        """What it answers, for as long as time and memory allow. Raises UserError, Cancelled."""
        until = time.monotonic() + limits.seconds
        weigh_at = time.monotonic() + WEIGH_S
        page = 0
        while True:
            with contextlib.suppress(queue.Empty):
                line = self._lines.get(timeout=LOOK_S)
                if not line:
                    raise self._death(path, limits)
                message = json.loads(line)
                until += max(0, message.get("page", 0) - page) * PAGE_S
                page = max(page, message.get("page", 0))
                yield message
            now = time.monotonic()
            if cancelled and cancelled.is_set():
                raise Cancelled
            if now > until:
                raise _timeout(path, limits)
            if now > weigh_at:
                weigh_at = now + WEIGH_S
                if self.bytes(whole=True) > limits.memory:
                    raise out_of_memory(path, limits)

    def bytes(self, whole: bool = False) -> int:
        """Memory it holds now, with `whole` what it started too; 0 once it is gone."""
        import psutil

        total = 0
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(self._process.pid)
            for one in (process, *(process.children(recursive=True) if whole else ())):
                total += int(one.memory_info().rss)
        return total

    def is_worn(self) -> bool:
        """Whether the next file should get a new process."""
        return self._files >= FILES_A_PROCESS or self.bytes() > RESTING_BYTES

    def kill(self) -> None:
        """End it and whatever it started."""
        if sys.platform == "win32":
            self._kill_tree()
        else:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._listener.join()
        for stream in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                if stream:
                    stream.close()

    def _kill_tree(self) -> None:
        import psutil

        with contextlib.suppress(psutil.Error):
            process = psutil.Process(self._process.pid)
            for one in (*process.children(recursive=True), process):
                one.kill()

    def _death(self, path: Path, limits: Limits) -> UserError:
        """What its end without a word means: the system's limits have signals of their own."""
        code = self._process.wait()
        if sys.platform != "win32" and code == -signal.SIGXCPU:
            return _timeout(path, limits)
        if sys.platform != "win32" and code == -signal.SIGKILL:
            return out_of_memory(path, limits)
        return unreadable(path)  # it makes a library crash


def _timeout(path: Path, limits: Limits) -> UserError:
    return UserError(
        "document_timeout",
        f"Reading {path.name} took longer than {limits.seconds:g} seconds, so it was stopped.",
        "Split it into smaller files, or leave it out.",
        name=path.name,
        seconds=f"{limits.seconds:g}",
    )
