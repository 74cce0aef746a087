"""One client: its requests come in as lines, its answers go out as lines, through any two functions for bytes."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterable
from typing import Any

from engine.api.errors import UserError
from engine.api.messages import decode, encode
from engine.core import Call, Core
from engine.service import answer, find

log = logging.getLogger(__name__)


class Client:
    """Serves the lines of one client until they end; then its running requests are cancelled."""

    def __init__(self, core: Core, write: Callable[[bytes], None]) -> None:
        self._core = core
        self._write = write
        self._calls: dict[object, Call] = {}
        self._threads: set[threading.Thread] = set()
        # Unbounded: a client that stops reading must not stall the model. It ends with the client.
        self._outgoing: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()

    def serve(self, lines: Iterable[bytes]) -> None:
        """Answer every line; returns at the end of `lines`, when all requests have ended."""
        writer = threading.Thread(target=self._send_all, name="client writer", daemon=True)
        writer.start()
        self._core.listen(self.send)
        try:
            for line in lines:
                self._take(line)
        finally:
            self._core.forget(self.send)
            self._end()
            self._outgoing.put(None)
            writer.join(timeout=5)

    def send(self, message: dict[str, Any]) -> None:
        """Queue a message for the client."""
        self._outgoing.put(encode(message))

    def _take(self, line: bytes) -> None:
        try:
            message = decode(line)
        except ValueError as error:
            refusal = UserError("bad_request", f"A line that is no JSON object was sent ({error}).")
            self.send({"id": None, "error": refusal.to_json()})
            return
        if "cancel" in message:
            running = self._calls.get(message["cancel"])
            if running:
                running.cancelled.set()
            return
        self._start(message)

    def _start(self, message: dict[str, Any]) -> None:
        identity = message.get("id")
        if not isinstance(identity, int | str) or identity in self._calls:
            refusal = UserError("bad_request", "A request needs an id of its own, a number or a text.")
            self.send({"id": None, "error": refusal.to_json()})
            return
        call = self._calls[identity] = Call(identity, self.send)
        if not self._is_slow(message.get("call")):
            self._run(call, message)
            return
        thread = threading.Thread(target=self._run, args=(call, message), name=str(message.get("call")), daemon=True)
        self._threads.add(thread)
        thread.start()

    def _run(self, call: Call, message: dict[str, Any]) -> None:
        reply = answer(self._core, message.get("call"), message.get("params", {}), call)
        self._calls.pop(call.identity, None)
        self._threads.discard(threading.current_thread())
        self.send({"id": call.identity, **reply})

    def _is_slow(self, name: object) -> bool:
        try:
            return find(name).slow
        except UserError:
            return False

    def _end(self) -> None:
        for call in list(self._calls.values()):
            call.cancelled.set()
        for thread in list(self._threads):
            thread.join(timeout=10)

    def _send_all(self) -> None:
        while (line := self._outgoing.get()) is not None:
            try:
                self._write(line)
            except (OSError, ValueError):
                log.info("the client is gone")
                return
