"""uvicorn's HTTP/1.1 over h11, with what it lacks: a limit of connections and of the time a head may take to arrive."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import cache

from engine.server.chunks import Chunks

MOST_CONNECTIONS = 256
HEAD_S = 20.0


class Patience:
    """Calls `end` if it is not stopped in time."""

    def __init__(self, end: Callable[[], None]) -> None:
        self._end = end
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to wait, unless it does so already."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(HEAD_S, self._end)

    def stop(self) -> None:
        """What was waited for came."""
        if self._timer:
            self._timer.cancel()
            self._timer = None


@cache
def protocol() -> type[asyncio.Protocol]:
    """The protocol class; uvicorn is imported on the first call."""
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class Guarded(H11Protocol):
        """One connection. `scope["state"]` holds `abort`, which drops it at once, and its `chunks`."""

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._chunks, self._unsent = Chunks(self, transport), 0
            self.app_state = {**self.app_state, "abort": transport.abort, "chunks": self._chunks}
            self._head = Patience(transport.abort)
            if len(self.connections) > MOST_CONNECTIONS:
                transport.abort()
            else:
                self._head.start()

        def connection_lost(self, exc: Exception | None) -> None:
            self._chunks.close()
            self._head.stop()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.cycle is not None and not self.cycle.response_complete:
                self._head.stop()
            elif not self.transport.is_closing():
                self._head.start()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._head.stop()
            if self.transport.is_closing():
                # close() would wait for a reader who reads no more.
                self.loop.call_later(HEAD_S, self.transport.abort)

        def timeout_keep_alive_handler(self) -> None:
            """close() would keep an answer in memory for as long as its reader takes nothing of it."""
            unsent = self.transport.get_write_buffer_size()
            if not unsent:
                super().timeout_keep_alive_handler()
            elif self._unsent and unsent >= self._unsent:
                self.transport.abort()
            else:
                self._unsent = unsent
                self.loop.call_later(HEAD_S, self.timeout_keep_alive_handler)

    return Guarded
