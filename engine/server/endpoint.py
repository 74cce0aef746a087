"""What a shape module offers: a path, what it takes, and the function that answers. Standard library only."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from engine.completion import CompletionListener
from engine.core import Core
from engine.server.figures import Figures

Schema = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """One HTTP request. `body` is the JSON object that was sent, {} where the method has none; `path` and `query` hold
    the parameters of the address. `cancelled` is set once the client is gone or the server stops. `model` is the one
    that the server was started with, "" for none."""

    core: Core
    body: dict[str, Any]
    path: dict[str, str]
    query: dict[str, str]
    cancelled: threading.Event
    figures: Figures
    model: str = ""
    waiting: int = 0  # requests that a model works for


@dataclass(frozen=True)
class Plain:
    """An answer that is no JSON."""

    text: str
    media: str = "text/plain; charset=utf-8"


class Event(NamedTuple):
    """One thing that happened in a stream. `choice` numbers the work it comes from.

    kind and value: "prefill" (done, total) · "text" str · "thinking" str · "call" (index, id, name) · "arguments"
    (index, str) · "logprob" TokenLogprob · "done" what the work returned. Neighbouring texts may arrive joined.
    """

    choice: int
    kind: str
    value: Any


class Writer(Protocol):
    """Turns events into the bytes of a stream. Called on the event loop or by the model's thread: it must be quick."""

    media: str

    def events(self, events: Sequence[Event]) -> bytes:
        """The bytes for what happened; b"" where there is nothing to say."""

    def end(self) -> bytes:
        """What comes last, when all works are done."""

    def failed(self, body: dict[str, Any], status: int) -> bytes:
        """A failure in mid-stream; `body` is the error as this API writes it."""


Work = Callable[[CompletionListener], Any]


@dataclass(frozen=True)
class Streaming:
    """An answer that is sent while it is made: each work runs in a thread of its own and tells its listener.

    An error before the first event becomes an ordinary error answer, a later one goes through `writer.failed`.
    """

    works: tuple[Work, ...]
    writer: Writer


Answer = dict[str, Any] | list[Any] | Plain | Streaming


@dataclass(frozen=True)
class Endpoint:
    """`answer` runs in a thread of its own and may block; UserErrors become this API's errors by engine.server.errors.

    `body` and `result` are JSON Schemas for the OpenAPI document; `errors` the statuses that can happen beside 401, 403
    and, with a body, 400, 408 and 413. `streams`: with "stream": true the answer is an event stream.
    """

    method: str
    path: str
    answer: Callable[[Asked], Answer]
    about: str
    body: Schema | None = None
    result: Schema = field(default_factory=lambda: {"type": "object"})
    errors: tuple[int, ...] = ()
    streams: bool = False
    query: Schema | None = None
    media: str = "application/json"
    stream_media: str = "text/event-stream"
    open_to_all: bool = False
    heavy: bool = False  # a model works for it: it takes one of the server's places
