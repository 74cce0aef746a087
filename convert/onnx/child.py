"""A child process of a job: its lines as they come, cancelling at any moment, nothing left of it afterwards."""

from __future__ import annotations

import queue
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, cast

WAIT_S = 0.2  # between two looks whether the job was cancelled
TAIL = 20_000  # bytes of a log that are read for its last words


class Child:
    """`with Child(command, log, environment) as child`: what it writes to stderr goes to `log`; leaving ends it.

    stdin stays open as long as this process lives: a child that watches it ends when the job is killed.
    """

    def __init__(self, command: list[str], log: Path, environment: Mapping[str, str]) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        self.log = log
        self._errors = log.open("ab")
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=dict(environment),
        )
        # Both are pipes, as asked for above.
        self._input, self._output = cast(IO[bytes], self._process.stdin), cast(IO[bytes], self._process.stdout)
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Child:
        """Itself."""
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def send(self, line: str) -> None:
        """Write one line to its stdin; a child that is gone shows when its lines end."""
        try:
            self._input.write(line.encode() + b"\n")
            self._input.flush()
        except OSError:
            return

    def lines(self, tick: Callable[[], None]) -> Iterator[str]:
        """Its lines to the end; `tick` is called at least five times a second and may raise."""
        while True:
            try:
                line = self._lines.get(timeout=WAIT_S)
            except queue.Empty:
                line = ""
            tick()
            if line is None:
                return
            if line:
                yield line

    def close(self) -> int:
        """End it with all that it started; its exit status."""
        for process in _family(self.pid) if self._process.poll() is None else []:
            _kill(process)
        status = self._process.wait()
        self._reader.join()
        for pipe in (self._input, self._output, self._errors):
            _close(pipe)
        return status

    def status(self) -> int:
        """How it ended, once its lines have."""
        return self._process.wait()

    def last_words(self) -> str:
        """The last line it wrote to stderr, "" if there is none."""
        lines = tail(self.log).strip().splitlines()
        return lines[-1].strip()[:300] if lines else ""

    def _read(self) -> None:
        for line in self._output:
            self._lines.put(line.decode("utf-8", "replace").strip())
        self._lines.put(None)


def tail(log: Path) -> str:
    """The end of a log."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - TAIL))
        return file.read().decode("utf-8", "replace")


def resident(pid: int) -> int:
    """Bytes of memory that a process and its children hold; 0 once it is gone."""
    import psutil

    try:
        return sum(int(one.memory_info().rss) for one in (psutil.Process(pid), *psutil.Process(pid).children(True)))
    except psutil.Error:
        return 0


def _family(pid: int) -> list[int]:
    import psutil

    try:
        return [one.pid for one in psutil.Process(pid).children(recursive=True)] + [pid]
    except psutil.NoSuchProcess:
        return []


def _kill(pid: int) -> None:
    import psutil

    try:
        psutil.Process(pid).kill()
    except psutil.NoSuchProcess:
        return


def _close(pipe: IO[bytes]) -> None:
    """Closing writes what a child that is gone no longer reads."""
    try:
        pipe.close()
    except OSError:
        return
