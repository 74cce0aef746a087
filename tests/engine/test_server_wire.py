"""From a model's thread straight to the wire: who sends, and nothing is lost when a reader is slow or leaves.

A real socket and uvicorn; the words come from the test in place of a model.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import uvicorn

from engine.server.answering import Answering, Running
from engine.server.bell import bell
from engine.server.endpoint import Asked, Endpoint, Event, Streaming
from engine.server.figures import Figures
from engine.server.protocol import protocol
from engine.server.resting import resting
from engine.server.stream import Wakes
from engine.step_end import Step

Say = Callable[[str], None]
Model = Callable[[Say, threading.Event], None]
WAIT_S = 20.0


class Words:
    """Writes the texts as they are, and notes which thread asked for it."""

    media = "text/plain"

    def __init__(self) -> None:
        self.threads: list[str] = []

    def events(self, events: Sequence[Event]) -> bytes:
        texts = [event.value for event in events if event.kind == "text"]
        self.threads += [threading.current_thread().name] * len(texts)
        return "".join(texts).encode()

    def end(self) -> bytes:
        return b"(end)"

    def failed(self, body: dict[str, Any], status: int) -> bytes:
        return f"({status})".encode()


@contextmanager
def serving(writer: Words, model: Model) -> Iterator[int]:
    """A server whose only answer is what `model` says in a thread of that name; its port."""

    def work(listener: Any, asked: Asked) -> str:
        thread = threading.Thread(target=model, args=(listener.text, asked.cancelled), name="model")
        thread.start()
        thread.join()
        return "written"

    def answer(asked: Asked) -> Streaming:
        return Streaming((lambda listener: work(listener, asked),), writer)

    async def main() -> None:
        with bell(asyncio.get_running_loop()) as ring:
            running = Running(None, Wakes(ring), Figures())  # type: ignore[arg-type]  # nothing here asks the engine
            app = Answering(running, Endpoint("GET", "/", answer, "Say it."))
            config = uvicorn.Config(app, http=protocol(), lifespan="off", log_config=None)
            server.append(resting()(config))
            await server[0].serve(sockets=[listening])

    server: list[Any] = []
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        listening.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=lambda: asyncio.run(main()), name="loop")
        thread.start()
        try:
            yield int(listening.getsockname()[1])
        finally:
            server[0].end()
            thread.join(WAIT_S)


@contextmanager
def asking(port: int) -> Iterator[socket.socket]:
    """A connection that has asked, and takes little at a time."""
    with socket.socket() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.settimeout(WAIT_S)
        for _ in range(200):
            if line.connect_ex(("127.0.0.1", port)) == 0:
                break
            time.sleep(0.05)
        line.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        yield line


def read(line: socket.socket) -> str:
    """The body, out of its chunks; fails where they are not whole."""
    got = b""
    while more := line.recv(65536):
        got += more
    body, rest = b"", got.split(b"\r\n\r\n", 1)[1]
    while True:
        size, rest = rest.split(b"\r\n", 1)
        length = int(size, 16)
        body, end, rest = body + rest[:length], rest[length : length + 2], rest[length + 2 :]
        assert end == b"\r\n"
        if length == 0:
            return body.decode()


@pytest.mark.skipif(sys.platform == "win32", reason="there the loop sends all")
@pytest.mark.parametrize(("on_cores", "sender"), [(True, "model"), (False, "loop")])
def test_a_model_on_the_processor_sends_by_itself_and_one_on_a_card_has_the_loop_do_it(
    on_cores: bool, sender: str
) -> None:
    def model(say: Say, cancelled: threading.Event) -> None:
        for number in range(50):
            with Step(on_cores):
                say(f"{number} ")
            time.sleep(0.01)

    writer = Words()
    with serving(writer, model) as port, asking(port) as line:
        assert read(line) == "".join(f"{number} " for number in range(50)) + "(end)"
    assert writer.threads[0] == "loop"  # with the head
    assert writer.threads[1:].count(sender) >= 30  # a pause of the machine may join some, or give them to the reader


@pytest.mark.parametrize("on_cores", [True, False])
def test_an_event_of_which_nothing_is_written_does_not_end_the_answer(on_cores: bool) -> None:
    """A chunk of no length would."""

    def model(say: Say, cancelled: threading.Event) -> None:
        for number in range(20):
            with Step(on_cores):
                say(f"{number} " if number % 2 else "")
            time.sleep(0.01)

    with serving(Words(), model) as port, asking(port) as line:
        assert read(line) == "".join(f"{number} " for number in range(1, 20, 2)) + "(end)"


def test_a_slow_reader_gets_every_letter_in_order() -> None:
    """More than the buffers of both sockets hold: the model's thread is left with the rest of a chunk, many times."""

    def model(say: Say, cancelled: threading.Event) -> None:
        for number in range(4000):
            with Step(on_cores=True):
                say(f"{number:08d}" * 32)
            if number % 50 == 0:
                time.sleep(0.01)  # the reader catches up now and then

    writer = Words()
    with serving(writer, model) as port, asking(port) as line:
        time.sleep(0.3)
        text = read(line)
    assert text == "".join(f"{number:08d}" * 32 for number in range(4000)) + "(end)"
    if sys.platform != "win32":
        assert {"model", "loop"} <= set(writer.threads)


def test_who_leaves_is_noticed_and_the_model_goes_on() -> None:
    ended, seen = threading.Event(), list[bool]()

    def model(say: Say, cancelled: threading.Event) -> None:
        for _ in range(2000):
            with Step(on_cores=True):
                say("word " * 20)
            if cancelled.wait(0.005):
                break
        seen.append(cancelled.is_set())
        ended.set()

    with serving(Words(), model) as port:
        with asking(port) as line:
            assert line.recv(100)
        assert ended.wait(WAIT_S)
    assert seen == [True]


def test_a_writer_that_fails_costs_its_own_request_alone() -> None:
    class Broken(Words):
        def events(self, events: Sequence[Event]) -> bytes:
            if any(event.value == "3" for event in events):
                raise ValueError("cannot be written")
            return super().events(events)

    said: list[int] = []

    def model(say: Say, cancelled: threading.Event) -> None:
        for number in range(6):
            with Step(on_cores=True):
                say(str(number))
                said.append(number)
            time.sleep(0.02)

    with serving(Broken(), model) as port:
        with asking(port) as line:
            got = b""
            while more := line.recv(65536):
                got += more
        assert b"0\r\n" in got
        assert not got.endswith(b"0\r\n\r\n")  # it does not pass for a whole one
    assert said == list(range(6))
