"""Threads for the requests' work, kept a while for the next: to start one takes longer than a short request does.

Not concurrent.futures' pool: it has a most, beyond which works would wait for each other, its threads never end, and
the engine's end would wait for whatever they still do.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable

IDLE_S = 30.0
Work = Callable[[], None]


class Workers:
    """As many threads as there is work at a time; one that had nothing to do for `idle_s` seconds ends.

    Any thread may call; the work must not raise.
    """

    def __init__(self, idle_s: float = IDLE_S) -> None:
        self._idle_s = idle_s
        self._idle: deque[queue.SimpleQueue[Work]] = deque()  # of those who wait, where each takes its work from

    def start(self, work: Work) -> None:
        """Have it done at once, by who became idle last or by a new thread."""
        try:
            self._idle.pop().put(work)
        except IndexError:
            inbox: queue.SimpleQueue[Work] = queue.SimpleQueue()
            inbox.put(work)
            threading.Thread(target=self._serve, args=(inbox,), name="http work", daemon=True).start()

    def _serve(self, inbox: queue.SimpleQueue[Work]) -> None:
        work: Work | None = inbox.get()
        while work:
            work()
            work = None  # what it holds is not kept while waiting
            self._idle.append(inbox)
            work = self._next(inbox)

    def _next(self, inbox: queue.SimpleQueue[Work]) -> Work | None:
        try:
            return inbox.get(timeout=self._idle_s)
        except queue.Empty:
            pass
        try:
            self._idle.remove(inbox)
        except ValueError:  # somebody chose it just now
            return inbox.get()
        return None
