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

    def can_send(self) -> bool:
        """Whether `send` can: an answer has begun that has no length, and is being read. For the loop's thread."""
        if self._rest:
            self._transport.write(self._rest)
            self._rest = b""
        return self._wanted()

    def send(self, data: bytes) -> bool:
        """Send a chunk, if that can be; False where uvicorn has to."""
        if not self.can_send():
            return False
        if data:
            self._transport.write(framed(data))
        return True

    def can_send_here(self) -> bool:
        """Whether `send_here` can be called. For any thread."""
        return self._file >= 0 and self._wanted() and not (self._rest or self._transport.get_write_buffer_size())

    def send_here(self, data: bytes) -> bool:
        """As `send`, for any other thread, after `can_send_here`.

        False means that the socket did not take all: `send` has to follow, and sends the rest. The caller makes sure
        that meanwhile nothing else is sent.
        """
        if not data:
            return True  # a chunk of nothing would be the end
        chunk = framed(data)
        with self._sending:  # or the number could be another connection's by now
            # What a socket that never blocks does not take. Who is gone is found out by who sends the rest.
            self._rest += chunk[max(0, write(self._file, chunk, len(chunk))) :] if self._file >= 0 else chunk
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
