"""The window's end of the pipe: the engine as a child process, requests out, events in. Nothing here blocks."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import shiboken6
from PySide6.QtCore import QObject, QProcess, QTimer, Signal

from engine.api.errors import UserError
from engine.api.folders import logs_folder
from engine.api.messages import decode, encode

ENGINE = ["-m", "engine"]
BUSY_S = 0.008  # lines are handled for so long before the window may draw again
DEATHS, WITHIN_S = 5, 60.0
CLOSE_MS = 3000

OnData = Callable[[dict[str, Any]], object]
OnError = Callable[[UserError], object]


@dataclass
class _Call:
    line: bytes
    result: OnData | None
    error: OnError | None
    event: OnData | None
    sent: bool = field(default=False)


class EngineClient(QObject):
    """Starts the engine, keeps it alive and talks to it.

    `state` is starting, ready, restarting, dead or closed; `problem` says why it is dead.
    """

    broadcast = Signal(dict)
    state_changed = Signal(str)

    def __init__(self, parent: QObject | None = None, *, program: str = "", arguments: list[str] | None = None) -> None:
        super().__init__(parent)
        self.state = "closed"
        self.problem: UserError | None = None
        self.greeting: dict[str, Any] = {}
        self._program, self._arguments = program or sys.executable, arguments or ENGINE
        self._process: QProcess | None = None
        self._calls: dict[int, _Call] = {}
        self._last_id = 0
        self._rest = b""
        self._lines: deque[bytes] = deque()
        self._deaths: deque[float] = deque()
        self._again = QTimer(self, singleShot=True)
        self._again.timeout.connect(self._spawn)
        self._more = QTimer(self, singleShot=True, interval=0)
        self._more.timeout.connect(self._handle_lines)

    def start(self) -> None:
        """Start the engine. Calls may be made before and after; they wait until it answers."""
        self.problem = None
        self._deaths.clear()
        self._set_state("starting")
        self._spawn()

    restart = start

    @property
    def pid(self) -> int:
        """The engine's process id, 0 when there is none."""
        return self._process.processId() if self._process else 0

    def call(
        self,
        name: str,
        params: dict[str, Any] | None = None,
        *,
        result: OnData | None = None,
        error: OnError | None = None,
        event: OnData | None = None,
        owner: QObject | None = None,
    ) -> int:
        """Ask the engine. The callbacks run on the UI thread; exactly one of result and error ends the call.

        Once `owner` is destroyed its callbacks are dropped; the object of a bound method is its owner anyway.
        Returns the id for `cancel`.
        """
        self._last_id += 1
        line = encode({"id": self._last_id, "call": name, "params": params or {}})
        made = _Call(line, _guarded(result, owner), _guarded(error, owner), _guarded(event, owner))
        self._calls[self._last_id] = made
        if self.state == "ready":
            self._send(made)
        elif self.state in ("dead", "closed") and self.problem:
            QTimer.singleShot(0, self, partial(self._fail, self._last_id, self.problem))
        return self._last_id

    def cancel(self, call: int) -> None:
        """Stop a running call; its result or error still comes. One that was not sent yet ends with `cancelled`."""
        waiting = self._calls.get(call)
        if waiting and waiting.sent:
            self._write(encode({"cancel": call}))
        elif waiting:
            self._fail(call, UserError("cancelled", "Stopped before it began."))

    def close(self) -> None:
        """End the engine: close its stdin, wait up to 3 s, then kill that process. No callback runs after this."""
        self._set_state("closed")
        self._again.stop()
        self._more.stop()
        self._calls.clear()
        process, self._process = self._process, None
        if process is None:
            return
        process.blockSignals(True)
        process.closeWriteChannel()
        if process.state() != QProcess.ProcessState.NotRunning and not process.waitForFinished(CLOSE_MS):
            process.kill()
            process.waitForFinished(CLOSE_MS)

    def _spawn(self) -> None:
        self._rest = b""
        self._lines.clear()
        process = QProcess(self)
        logs_folder().mkdir(parents=True, exist_ok=True)
        log = str(logs_folder() / "engine-stderr.log")
        process.setStandardErrorFile(log, QProcess.OpenModeFlag.Append)
        process.readyReadStandardOutput.connect(self._read)
        process.finished.connect(self._ended)
        process.errorOccurred.connect(self._failed_to_start)
        self._process = process
        process.start(self._program, self._arguments)
        self._last_id += 1
        self._calls[self._last_id] = hello = _Call(
            encode({"id": self._last_id, "call": "engine.hello", "params": {}}), self._greeted, None, None
        )
        self._send(hello)

    def _greeted(self, greeting: dict[str, Any]) -> None:
        self.greeting = greeting
        self._set_state("ready")
        for waiting in list(self._calls.values()):
            if not waiting.sent:
                self._send(waiting)

    def _send(self, call: _Call) -> None:
        call.sent = True
        self._write(call.line)

    def _write(self, line: bytes) -> None:
        if self._process:
            self._process.write(line)

    def _read(self) -> None:
        if self._process is None:
            return
        data = self._rest + self._process.readAllStandardOutput().data()
        *lines, self._rest = data.split(b"\n")
        self._lines.extend(lines)
        if not self._more.isActive():
            self._handle_lines()

    def _handle_lines(self) -> None:
        """Handle what has arrived, but give the window time to draw in between."""
        until = time.perf_counter() + BUSY_S
        try:
            while self._lines and time.perf_counter() < until:
                self._handle(self._lines.popleft())
        finally:  # also when a callback raised: what follows its line is still owed
            if self._lines:
                self._more.start()

    def _handle(self, line: bytes) -> None:
        try:
            message = decode(line)
        except ValueError:
            return  # not ours: a library that prints
        number = message.pop("id", None)
        if number is None:
            self._handle_broadcast(message)
        elif (call := self._calls.get(number)) is not None:
            self._handle_reply(number, call, message)

    def _handle_broadcast(self, message: dict[str, Any]) -> None:
        if message.get("event") == "fatal":
            self.problem = UserError.from_json(message.get("error") or {})
        else:
            self.broadcast.emit(message)

    def _handle_reply(self, number: int, call: _Call, message: dict[str, Any]) -> None:
        if "result" in message:
            del self._calls[number]
            _tell(call.result, message["result"])
        elif "error" in message:
            self._fail(number, UserError.from_json(message["error"]))
        else:
            _tell(call.event, message)

    def _fail(self, number: int, error: UserError) -> None:
        call = self._calls.pop(number, None)
        if call:
            _tell(call.error, error)

    def _failed_to_start(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart:
            self._ended()

    def _ended(self) -> None:
        """The engine is gone: tell whoever waits for it, and start it again unless that is hopeless."""
        process, self._process = self._process, None
        if process is None:
            return
        self._process = process
        self._read()
        while self._lines:
            self._handle_lines()
        self._more.stop()
        self._process = None
        process.deleteLater()
        if not self.problem and not self._may_restart():
            self.problem = UserError(
                "engine_keeps_dying", "The engine stopped five times within a minute.", "See the log, then restart it."
            )
        self._set_state("dead" if self.problem else "restarting")
        if not self.problem:
            self._again.start(round(200 * 2 ** (len(self._deaths) - 1)))
        self._fail_pending()

    def _may_restart(self) -> bool:
        self._deaths.append(time.monotonic())
        while self._deaths[0] < time.monotonic() - WITHIN_S:
            self._deaths.popleft()
        return len(self._deaths) < DEATHS

    def _fail_pending(self) -> None:
        died = UserError("engine_died", "The engine stopped before it was done.", "It is being restarted. Try again.")
        for number, call in list(self._calls.items()):
            if call.sent or self.problem:
                self._fail(number, self.problem or died)

    def _set_state(self, state: str) -> None:
        if state != self.state:
            self.state = state
            self.state_changed.emit(state)


def _guarded(callback: Callable[..., object] | None, owner: QObject | None) -> Callable[..., object] | None:
    """`callback`, which does nothing once the object it belongs to is destroyed."""
    inner = callback
    while isinstance(inner, partial):
        inner = inner.func
    keeper = owner or getattr(inner, "__self__", None)
    if callback is None or not isinstance(keeper, QObject):
        return callback
    return partial(_call_while_valid, keeper, callback)


def _call_while_valid(keeper: QObject, callback: Callable[..., object], argument: object) -> None:
    if shiboken6.isValid(keeper):
        callback(argument)


def _tell(callback: Callable[..., object] | None, argument: object) -> None:
    if callback:
        callback(argument)
