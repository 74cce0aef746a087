"""One endpoint as an ASGI application: body in, the work in threads, an answer or a stream out."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

from engine.api.errors import UserError
from engine.core import Core
from engine.server import body
from engine.server.chunks import Chunks
from engine.server.endpoint import Asked, Endpoint, Event, Plain, Streaming, Work, Writer
from engine.server.errors import body_of, headers_of, status_of
from engine.server.events import dumped, encoded
from engine.server.figures import Figures
from engine.server.stream import Relay, Wakes, failed
from engine.server.workers import Workers

MOST_RUNNING = 64  # requests at a time that a model works for, here; the scheduler has limits of its own
STALL_S = 60.0  # a reader that takes nothing for so long is cut off
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Scope = MutableMapping[str, Any]


@dataclass
class Running:
    """What the requests of one server share."""

    core: Core
    wakes: Wakes
    figures: Figures
    model: str = ""
    heavy: int = 0
    workers: Workers = field(default_factory=Workers)
    cancels: set[threading.Event] = field(default_factory=set)
    ending: bool = False

    def cancel_all(self) -> None:
        """End every request's work soon; what was written until then is told to be cut off, not to be whole."""
        self.ending = True
        for cancelled in list(self.cancels):
            cancelled.set()

    @contextmanager
    def place(self, endpoint: Endpoint) -> Iterator[threading.Event]:
        """A place for a request, with the event that cancels it. Raises UserError server_full."""
        if endpoint.heavy and self.heavy >= MOST_RUNNING:
            raise UserError("server_full", "Too many requests are waiting already.", "Try again in a moment.")
        cancelled = threading.Event()
        self.cancels.add(cancelled)
        self.heavy += endpoint.heavy
        try:
            yield cancelled
        finally:
            cancelled.set()  # whoever still works for it need not
            self.heavy -= endpoint.heavy
            self.cancels.discard(cancelled)


class Answering:
    """Serves one endpoint."""

    def __init__(self, running: Running, endpoint: Endpoint) -> None:
        self.endpoint, self._running = endpoint, running

    async def __call__(self, scope: Scope, receive: body.Receive, send: Send) -> None:
        try:
            data = await body.read(receive, scope["headers"])
            with self._running.place(self.endpoint) as cancelled:
                await self._serve(Exchange(scope, receive, send, cancelled), data)
        except body.Gone:
            return
        except UserError as error:
            await refuse(scope, receive, send, error)

    async def _serve(self, exchange: Exchange, data: bytes) -> None:
        relay = Relay(self._running.wakes, exchange.cancelled)
        with exchange.watched():
            answer = await self._attempt(lambda: self._answer(exchange, data), relay)
            if isinstance(answer, Streaming):
                await self._stream(exchange, answer, relay)
            elif isinstance(answer, Plain):
                await exchange.whole(200, answer.media, encoded(answer.text))
            else:
                await exchange.whole(200, "application/json", encoded(dumped(answer)))

    def _answer(self, exchange: Exchange, data: bytes) -> Any:
        parsed = body.parse(data) if self.endpoint.method != "GET" else {}
        scope = exchange.scope
        query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
        path = {name: str(value) for name, value in scope.get("path_params", {}).items()}
        own = self._running
        asked = Asked(own.core, parsed, path, query, exchange.cancelled, own.figures, own.model, own.heavy)
        return self.endpoint.answer(asked)

    async def _attempt(self, work: Callable[[], Any], relay: Relay) -> Any:
        """What `work` returns, run in a thread, which at once goes on with what is to be streamed through `relay`.

        Raises its UserError, or what the service makes of a bug.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[dict[str, Any]] = loop.create_future()

        def run() -> None:
            outcome = _outcome(self.endpoint.path, work)
            _tell(loop, done, outcome)
            if isinstance(answer := outcome.get("result"), Streaming):
                self._begin(answer, relay)

        self._running.workers.start(run)
        outcome = await done
        if "error" in outcome:
            raise UserError.from_json(outcome["error"])
        if self._running.ending:
            raise _ended()
        return outcome["result"]

    def _begin(self, answer: Streaming, relay: Relay) -> None:
        """Do the first work here, and the others in threads of their own."""
        for choice, work in enumerate(answer.works[1:], 1):
            self._running.workers.start(partial(_run, self.endpoint.path, relay, choice, work))
        _run(self.endpoint.path, relay, 0, answer.works[0])

    async def _stream(self, exchange: Exchange, answer: Streaming, relay: Relay) -> None:
        relay.shortcut, relay.nearer = exchange.shortcuts(answer.writer)
        async for events in relay.batches(len(answer.works)):
            if relay.cut:
                exchange.abort()
                return
            if not await self._pass_on(exchange, answer, events, relay.ended):
                return

    async def _pass_on(self, exchange: Exchange, answer: Streaming, events: list[Event], ended: bool) -> bool:
        """Send what happened, with the end of the stream if all has `ended`; False when that was the end."""
        errors = [event.value for event in events if event.kind == "failed"]
        if self._running.ending:
            errors.append(_ended())
            events = [event for event in events if event.kind != "done"]
        if errors and not exchange.started:
            raise errors[0]
        await exchange.begin(200, answer.writer.media)
        for event in events:
            if event.kind == "done":
                self._running.figures.generated(event.value)
        sent = answer.writer.events([event for event in events if event.kind != "failed"])
        if errors:
            self._running.figures.failed(errors[0].code)
            sent += answer.writer.failed(body_of(exchange.scope["path"], errors[0]), status_of(errors[0]))
        elif ended:
            sent += answer.writer.end()
        last = ended or bool(errors)
        if sent or last:
            await exchange.piece(sent, last)
        return not last


class Exchange:
    """One request and its answer on the wire."""

    def __init__(self, scope: Scope, receive: body.Receive, send: Send, cancelled: threading.Event) -> None:
        self.scope, self.cancelled = scope, cancelled
        self.started = False
        self._receive, self._send = receive, send
        self._ways = scope.get("state", {})  # of the connection, see engine.server.protocol
        self._chunks: Chunks | None = self._ways.get("chunks")

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Cancel the work as soon as the client is gone."""
        watcher = asyncio.ensure_future(self._until_gone())
        try:
            yield
        finally:
            watcher.cancel()

    async def begin(self, status: int, media: str) -> None:
        """Send the head, once."""
        if self.started:
            return
        self.started = True
        # X-Accel-Buffering: a proxy between (nginx) shall not collect the stream.
        headers = {"content-type": media, "cache-control": "no-store", "x-accel-buffering": "no"}
        await self._send(head(status, headers))

    async def piece(self, data: bytes, last: bool = False) -> None:
        """Send some of a stream; a reader that takes nothing for long is cut off."""
        if not last and self._chunks and self._chunks.send(data):
            return
        try:
            async with asyncio.timeout(STALL_S):
                await self._send({"type": "http.response.body", "body": data, "more_body": not last})
        except TimeoutError:
            self.abort()
            raise body.Gone from None

    def shortcuts(self, writer: Writer) -> tuple[Straight | None, Straight | None]:
        """What sends some of a stream without waiting: for the loop's thread, and for any other."""
        if not self._chunks:
            return None, None
        there, here = self._chunks.can_send, self._chunks.can_send_here
        return Straight(there, self._chunks.send, writer), Straight(here, self._chunks.send_here, writer)

    async def whole(self, status: int, media: str, data: bytes) -> None:
        """Send an answer in one."""
        headers = {"content-type": media, "content-length": str(len(data)), "cache-control": "no-store"}
        await self._send(head(status, headers))
        await self._send({"type": "http.response.body", "body": data})

    def abort(self) -> None:
        """Drop the connection without waiting for the reader."""
        self.cancelled.set()
        abort = self._ways.get("abort")
        if abort:
            abort()

    async def _until_gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.cancelled.set()


class Straight:
    """A relay's shortcut: from its events to the wire. `open`: the head is sent, and the reader keeps up."""

    def __init__(self, can: Callable[[], bool], send: Callable[[bytes], bool], writer: Writer) -> None:
        self.open, self._send, self._events = can, send, writer.events

    def pass_on(self, events: list[Event]) -> bool:
        """Send them; whether all of it is gone."""
        return self._send(self._events(events))


async def refuse(scope: Scope, receive: body.Receive, send: Send, error: UserError) -> None:
    """Answer with an error in the shape of the API that was asked."""
    status = status_of(error)
    data = encoded(dumped(body_of(scope["path"], error)))
    told = {"content-type": "application/json", "content-length": str(len(data)), **headers_of(status)}
    early = status in (401, 403, 408, 413)
    if early:
        told["connection"] = "close"
    await send(head(status, told))
    await send({"type": "http.response.body", "body": data, "more_body": early})
    if early:
        await body.linger(receive)
        await send({"type": "http.response.body", "body": b""})


def head(status: int, headers: dict[str, str]) -> dict[str, Any]:
    """The first message of an ASGI answer."""
    encoded_headers = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    return {"type": "http.response.start", "status": status, "headers": encoded_headers}


def _ended() -> UserError:
    return UserError("closed", "The server is shutting down.", "Try again when it is back.")


def _outcome(path: str, work: Callable[[], Any]) -> dict[str, Any]:
    from engine.service import attempt

    return attempt(path, work)


def _run(path: str, relay: Relay, choice: int, work: Work) -> None:
    outcome = _outcome(path, lambda: work(relay.listener(choice)))
    if "error" in outcome:
        relay.put(failed(choice, UserError.from_json(outcome["error"])))
    else:
        relay.put(Event(choice, "done", outcome["result"]))


def _tell(loop: asyncio.AbstractEventLoop, done: asyncio.Future[dict[str, Any]], outcome: dict[str, Any]) -> None:
    def resolve() -> None:
        if not done.done():
            done.set_result(outcome)

    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
        loop.call_soon_threadsafe(resolve)
