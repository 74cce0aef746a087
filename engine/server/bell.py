"""Waking an event loop from a thread that computes, which keeps the interpreter while it does."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator

Call = Callable[[], None]
Ring = Callable[[Call], object]
MOST_READ = 4096  # bytes of the pipe at once


class Bell:
    """Has `loop` call something. `ring` is for any thread, the rest for the loop's own.

    call_soon_threadsafe writes to a socket, and Python lets go of the interpreter for that: the loop's thread takes
    it, and the model's thread, which has a fifth of a millisecond to do until the next step, waits to get it back.
    Here a byte goes into a pipe that never blocks, by a call that does not let go: the loop runs when the model does.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop, self._calls = loop, deque[Call]()
        self._guard, self._open = threading.Lock(), True
        self._out, self._in = os.pipe()
        for end in (self._out, self._in):
            os.set_blocking(end, False)
        self._write = ctypes.PyDLL(None).write  # os.write would let go
        self._write.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t]
        loop.add_reader(self._out, self._answer)

    def ring(self, call: Call) -> None:
        """Have `call` made soon. Nothing happens once this is closed."""
        self._calls.append(call)
        with self._guard:  # or the number could be another file's by now
            if self._open:
                self._write(self._in, b"!", 1)  # it fails if the pipe is full, which has rung already

    def close(self) -> None:
        """Make no more calls."""
        self._loop.remove_reader(self._out)
        with self._guard:
            self._open = False
            os.close(self._in)
        os.close(self._out)

    def _answer(self) -> None:
        os.read(self._out, MOST_READ)
        while self._calls:
            self._calls.popleft()()


@contextlib.contextmanager
def bell(loop: asyncio.AbstractEventLoop) -> Iterator[Ring]:
    """How any thread has the loop call something. Windows' loop waits for no pipe: there it is the loop's own way."""
    if sys.platform == "win32":
        yield loop.call_soon_threadsafe
        return
    made = Bell(loop)
    try:
        yield made.ring
    finally:
        made.close()
