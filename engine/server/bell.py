"""Waking an event loop from a thread that computes, which keeps the interpreter while it does."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator

from engine.server.kept_write import write

Call = Callable[[], None]
Ring = Callable[[Call], object]
ONE = (1).to_bytes(8, sys.byteorder)  # what an eventfd counts
MOST_READ = 4096  # bytes of a pipe at once


class Bell:
    """Has `loop` call something. `ring` is for any thread, the rest for the loop's own.

    call_soon_threadsafe writes to a socket, and Python lets go of the interpreter for that: the loop's thread takes
    it, and the model's thread, which has a fifth of a millisecond to do until the next step, waits to get it back.
    Here a counter of the kernel, or else a pipe, is written to by a call that does not let go: the loop runs when the
    model does.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, ends: tuple[int, int]) -> None:
        """`ends`: what `counter` or `pipe` gave."""
        self._loop, self._calls = loop, deque[Call]()
        self._guard, self._open = threading.Lock(), True
        self._out, self._in = ends
        loop.add_reader(self._out, self._answer)

    def ring(self, call: Call) -> None:
        """Have `call` made soon. Nothing happens once this is closed."""
        self._calls.append(call)
        with self._guard:  # or the number could be another file's by now
            if self._open:
                write(self._in, ONE, len(ONE))  # it never waits: what is full has rung already

    def close(self) -> None:
        """Make no more calls."""
        self._loop.remove_reader(self._out)
        with self._guard:
            self._open = False
            for end in {self._in, self._out}:
                os.close(end)

    def _answer(self) -> None:
        os.read(self._out, MOST_READ)
        while self._calls:
            self._calls.popleft()()


def counter() -> tuple[int, int]:
    """Where to read and where to write: the same place in Linux, which is quicker there than a pipe."""
    place = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
    return place, place


def pipe() -> tuple[int, int]:
    """Where to read and where to write, neither of which ever blocks."""
    ends = os.pipe()
    for end in ends:
        os.set_blocking(end, False)
    return ends


@contextlib.contextmanager
def bell(loop: asyncio.AbstractEventLoop) -> Iterator[Ring]:
    """How any thread has the loop call something. Windows' loop waits for no pipe: there it is the loop's own way."""
    if sys.platform == "win32":
        yield loop.call_soon_threadsafe
        return
    made = Bell(loop, counter() if sys.platform == "linux" else pipe())
    try:
        yield made.ring
    finally:
        made.close()
