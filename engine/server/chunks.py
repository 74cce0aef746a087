"""The chunks of a connection's answers, past uvicorn and h11: there each would take longer than all that made it.

A token a chunk. They are sent by the loop's thread, or by that which made them.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from typing import Any

from engine.server.kept_write import write


class Chunks:
    """Belongs to one connection of uvicorn's, of which it reads `cycle` and `flow`."""

    def __init__(self, connection: Any, transport: asyncio.Transport) -> None:
        self._connection, self._transport = connection, transport
        self._sending, self._rest = threading.Lock(), b""
        # Windows' loop has an opinion on who uses its sockets and how.
        self._file = -1 if sys.platform == "win32" else transport.get_extra_info("socket").fileno()

    def send(self, data: bytes) -> bool:
        """Send a chunk of an answer that has begun and has no length; False where uvicorn has to. b"" only asks.

        For the loop's thread.
        """
        if self._rest:
            self._transport.write(self._rest)
            self._rest = b""
        if not self._wanted():
            return False
        if data:
            self._transport.write(framed(data))
        return True

    def send_here(self, data: bytes) -> bool:
        """As `send`, for any other thread. b"" asks, and has to be called first.

        With data, False means that the socket did not take all: `send` has to follow, and sends the rest. The caller
        makes sure that meanwhile nothing else is sent.
        """
        if not data:
            behind = self._rest or self._transport.get_write_buffer_size()
            return self._file >= 0 and not behind and self._wanted()
        with self._sending:  # or the number could be another connection's by now
            self._rest += framed(data) if self._file < 0 else not_taken(self._file, framed(data))
        return not self._rest

    def close(self) -> None:
        """The connection is gone, and soon the number of its socket."""
        with self._sending:
            self._file = -1

    def _wanted(self) -> bool:
        answer = self._connection.cycle
        if answer is None or not answer.response_started or answer.response_complete or answer.disconnected:
            return False
        return answer.scope["http_version"] == "1.1" and not self._connection.flow.write_paused


def framed(data: bytes) -> bytes:
    """A chunk of a body without a length: RFC 9112, 7.1."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def not_taken(file: int, data: bytes) -> bytes:
    """What a socket that never blocks does not take of this now. Who is gone is found out by who sends the rest."""
    return data[max(0, write(file, data)) :]
