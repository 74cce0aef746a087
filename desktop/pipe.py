"""The command line's end of the pipe: the engine as a child process, spoken to in plain blocking calls."""

from __future__ import annotations

import queue
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType, TracebackType
from typing import IO, Any

from engine.api.errors import UserError
from engine.api.folders import home_unusable, logs_folder
from engine.api.messages import decode, encode

Data = dict[str, Any]
CLOSE_S = 5.0
POLL_S = 0.5  # on Windows Ctrl-C is seen only between two waits


class EnginePipe:
    """A running engine for the length of a `with` block. One call at a time."""

    def __init__(self) -> None:
        self._lines: queue.Queue[bytes] = queue.Queue()
        self._kept: deque[Data] = deque()  # broadcasts that came while a call was waited for
        self._last_id = 0
        self._fatal: UserError | None = None
        self._process = _start()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> EnginePipe:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """The process id of the engine that was started here."""
        return self._process.pid

    def close(self) -> None:
        """End the engine: EOF on its stdin, and a kill should it not heed that."""
        if self._process.stdin and not self._process.stdin.closed:
            with suppress(BrokenPipeError):  # it has ended already, with a request still on its way
                self._process.stdin.close()
        try:
            self._process.wait(CLOSE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(CLOSE_S)

    def ask(self, name: str, /, **params: Any) -> Data:
        """The result of one request; its events are let go. Raises the engine's UserError."""
        return self.stream(name, lambda event: None, **params)

    def stream(self, name: str, on_event: Callable[[Data], object], /, **params: Any) -> Data:
        """The result of one request, `on_event` called with each event before it.

        Ctrl-C cancels the request, whose result (what there was of it) still comes; a second one ends the wait.
        """
        self._last_id += 1
        number = self._last_id
        self._send({"id": number, "call": name, "params": params})
        with _on_interrupt(lambda: self._send({"cancel": number})):
            while True:
                message = self._next()
                if message.get("id") != number:
                    self._keep(message)
                elif "result" in message:
                    return dict(message["result"] or {})
                elif "error" in message:
                    raise UserError.from_json(message["error"])
                else:
                    on_event(message)

    def broadcasts(self) -> Iterator[Data]:
        """What the engine tells everyone, oldest first, for as long as one goes on asking."""
        while True:
            if self._kept:
                yield self._kept.popleft()
            else:
                self._keep(self._next())

    def _keep(self, message: Data) -> None:
        if "id" not in message:
            self._kept.append(message)

    def _send(self, message: Data) -> None:
        if self._process.stdin is None:
            return
        try:
            self._process.stdin.write(encode(message))
            self._process.stdin.flush()
        except (BrokenPipeError, ValueError):
            raise self._ended() from None

    def _next(self) -> Data:
        while True:
            try:
                line = self._lines.get(timeout=POLL_S)
            except queue.Empty:
                continue
            if not line:
                self._lines.put(line)
                raise self._ended()
            message = _decoded(line)
            if message.get("event") == "fatal":
                self._fatal = UserError.from_json(message.get("error") or {})
            elif message:
                return message

    def _ended(self) -> UserError:
        """Why there is no engine any more."""
        log = str(logs_folder() / "engine-stderr.log")
        ended = UserError("engine_ended", "The engine stopped before it was done.", f"Its log: {log}", log=log)
        return self._fatal or ended

    def _read(self) -> None:
        if self._process.stdout:
            with self._process.stdout as lines:
                for line in lines:
                    self._lines.put(line)
        self._lines.put(b"")


def _start() -> subprocess.Popen[bytes]:
    with _error_log() as errors:
        return subprocess.Popen(
            [sys.executable, "-m", "engine"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            # Ctrl-C in the terminal is for us alone: the engine is told what to cancel.
            start_new_session=sys.platform != "win32",
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )


def _error_log() -> IO[bytes]:
    try:
        logs_folder().mkdir(parents=True, exist_ok=True)
        return (logs_folder() / "engine-stderr.log").open("ab")
    except OSError as error:
        raise home_unusable(error) from error


def _decoded(line: bytes) -> Data:
    try:
        return decode(line)
    except ValueError:
        return {}  # not ours: a library that prints


@contextmanager
def _on_interrupt(first: Callable[[], None]) -> Iterator[None]:
    """Ctrl-C calls `first` once; the next one is a KeyboardInterrupt again."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupted(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        first()

    before = signal.signal(signal.SIGINT, interrupted)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
