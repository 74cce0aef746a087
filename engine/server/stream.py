"""From the model's thread to the event loop: what a listener hears becomes an asynchronous stream of events."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Protocol

from engine.api.errors import UserError
from engine.generation import TokenLogprob
from engine.server.bell import Ring
from engine.server.endpoint import Event
from engine.step_end import at_step_end, cores_are_wanted

MOST_WAITING = 10_000  # events a reader may lag behind, some megabytes; then it is cut off
JOINED = ("text", "thinking")
ENDS = ("done", "failed")
log = logging.getLogger(__name__)


class Shortcut(Protocol):
    """Takes events without waiting for anything."""

    @property
    def open(self) -> Callable[[], bool]:
        """Whether it can now."""

    def pass_on(self, events: list[Event]) -> bool:
        """Take these. False: the event loop has to look, for all of them to arrive."""


class Wakes:
    """Wakes the event loop once for all streams that have news.

    The listeners are called in the model's thread at every token of up to 8 answers. A wake-up is a system call: so
    one of them ends the step, with `ring` for all. Only a first word does not wait for it. Where the model computes on
    the processor, the loop's thread would take a core from it: there the model's thread sends by itself, if it can.
    """

    def __init__(self, ring: Ring) -> None:
        self._ring_for = ring
        self._pending = False
        self._ready: deque[Relay] = deque()

    def call(self, relay: Relay, now: bool) -> None:
        """Have a relay's news told: now, or at the end of the model's step. Any thread may call."""
        if not now and cores_are_wanted():
            at_step_end(relay.tell)
            return
        self._ready.append(relay)
        if now:
            self._ring()
        elif not self._pending:
            at_step_end(self._ring)

    def _ring(self) -> None:
        if not self._pending:
            self._pending = True
            with contextlib.suppress(RuntimeError):  # the loop is closed: the server has ended, and nobody reads
                self._ring_for(self._wake)

    def _wake(self) -> None:
        self._pending = False  # before looking: whoever adds from now on wakes again
        while self._ready:
            self._ready.popleft().look()


class Relay:
    """The events of one HTTP stream, from the threads of its works to one asynchronous reader.

    It never blocks a thread. A reader that lags too far behind has its works cancelled; `cut` then is True.

    `shortcut` may take events as soon as the loop looks, while the reader waits: to wake a task for each token of
    each stream takes longer than to send it. It says whether it would now, and then must. `nearer` is one for the
    thread that has the news.
    """

    def __init__(self, wakes: Wakes, cancelled: threading.Event) -> None:
        self.news = asyncio.Event()
        self.cut = False
        self.ended = False  # the batch that the reader has is the last one
        self._wakes = wakes
        self._cancelled = cancelled
        self._waiting: deque[Event] = deque()
        self._called = False
        self._awaited = True  # nothing was said yet
        self._idle = False  # the reader waits, and does nothing until a look wakes it
        self._left: list[Event] = []
        self._passing = threading.Lock()  # one thread at a time has events on their way
        self.shortcut: Shortcut | None = None
        self.nearer: Shortcut | None = None

    def put(self, event: Event) -> None:
        """Add an event. Any thread may call."""
        if len(self._waiting) >= MOST_WAITING:
            self.cut = True
            self._cancelled.set()
            if event.kind not in ENDS:
                return
        self._waiting.append(event)
        if not self._called:
            self._called = True
            self._wakes.call(self, now=self._awaited and event.kind != "prefill")
        self._awaited = self._awaited and event.kind == "prefill"

    def look(self) -> None:
        """Have what waits taken by the shortcut, or else by the reader, who alone knows what an end means."""
        with self._passing:
            if self._passed(self.shortcut):
                return
            self._idle = False
        self.news.set()

    def tell(self) -> None:
        """Have what waits taken by the shortcut of this thread, or else by the loop. Any thread may call."""
        if self._passing.acquire(blocking=False):
            try:
                if self._passed(self.nearer):
                    return
            finally:
                self._passing.release()
        self._wakes.call(self, now=True)

    def _passed(self, short: Shortcut | None) -> bool:
        """Whether a shortcut took all there is."""
        if not (short and self._idle and not self.cut and short.open()):
            return False
        self._called = False
        self._left += self._taken()
        for event in self._left:
            if event.kind in ENDS:
                return False
        try:
            gone = not self._left or short.pass_on(self._left)
        except Exception:
            log.exception("a stream could not be written")
            return False  # the reader will meet the same error, as that of its request alone
        self._left = []
        return gone

    def listener(self, choice: int) -> RelayListener:
        """Who hears of work number `choice`."""
        return RelayListener(self, choice)

    async def batches(self, works: int) -> AsyncIterator[list[Event]]:
        """All that has happened since the last look, until `works` works are done or one has failed."""
        while works > 0:
            self._idle = not self.news.is_set()
            await self.news.wait()
            self.news.clear()
            self._called = False
            events, self._left = [*self._left, *self._taken()], []
            works -= sum(event.kind == "done" for event in events)
            if any(event.kind == "failed" for event in events):
                works = 0
            self.ended = works <= 0
            if events:
                yield events

    def _taken(self) -> list[Event]:
        """What waits, neighbouring pieces of the same text joined."""
        if len(self._waiting) == 1:
            return [self._waiting.popleft()]
        taken: list[Event] = []
        pieces: list[str] = []
        while self._waiting:
            event = self._waiting.popleft()
            if taken and event.kind in JOINED and event[:2] == taken[-1][:2]:
                pieces.append(event.value)
                continue
            _close(taken, pieces)
            pieces = [event.value] if event.kind in JOINED else []
            taken.append(event)
        _close(taken, pieces)
        return taken


def _close(taken: list[Event], pieces: list[str]) -> None:
    if len(pieces) > 1:
        taken[-1] = taken[-1]._replace(value="".join(pieces))


class RelayListener:
    """A CompletionListener that passes all on."""

    def __init__(self, relay: Relay, choice: int) -> None:
        self._put = relay.put
        self._choice = choice
        self._begun = False

    def prefill(self, done: int, total: int, left_s: float | None) -> None:
        """The first one only: it says that the request was accepted."""
        if not self._begun:
            self._begun = True
            self._put(Event(self._choice, "prefill", (done, total)))

    def text(self, piece: str) -> None:
        self._put(Event(self._choice, "text", piece))

    def thinking(self, piece: str) -> None:
        self._put(Event(self._choice, "thinking", piece))

    def call(self, index: int, identity: str, name: str) -> None:
        self._put(Event(self._choice, "call", (index, identity, name)))

    def arguments(self, index: int, piece: str) -> None:
        self._put(Event(self._choice, "arguments", (index, piece)))

    def logprob(self, token: TokenLogprob) -> None:
        self._put(Event(self._choice, "logprob", token))


class Silent:
    """A CompletionListener for answers that are sent whole."""

    def prefill(self, done: int, total: int, left_s: float | None) -> None:
        """Nobody waits for it."""

    def text(self, piece: str) -> None:
        """It comes with the result."""

    def thinking(self, piece: str) -> None:
        """It comes with the result."""

    def call(self, index: int, identity: str, name: str) -> None:
        """It comes with the result."""

    def arguments(self, index: int, piece: str) -> None:
        """It comes with the result."""

    def logprob(self, token: TokenLogprob) -> None:
        """It comes with the result."""


def failed(choice: int, error: UserError) -> Event:
    """The event of a work that ended with an error."""
    return Event(choice, "failed", error)
