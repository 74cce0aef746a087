"""uvicorn's server without its ten looks a second: it still ends at once, and knows the time."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from engine.server.resting import DATE_S, resting

WAIT_S = 20.0


async def _nothing(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


class Running:
    """A server in a thread, which counts how often it looks."""

    def __init__(self) -> None:
        self.looks = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._made = threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self._main()))
        self.thread.start()
        assert self._made.wait(WAIT_S)

    async def _main(self) -> None:
        import uvicorn

        running = self

        class Counted(resting()):  # type: ignore[misc]  # made when it is first asked for
            async def on_tick(self, counter: int) -> bool:
                running.looks += 1
                return bool(await super().on_tick(counter))

        self.server = Counted(uvicorn.Config(_nothing, lifespan="off", log_config=None))
        self._made.set()
        await self.server.serve(sockets=[self._socket])

    def end(self) -> None:
        self.server.end()
        self.thread.join(WAIT_S)


@pytest.fixture
def running() -> Iterator[Running]:
    made = Running()
    yield made
    made.end()


def test_every_answer_says_the_time(running: Running) -> None:
    for _ in range(2):
        date = parsedate_to_datetime(httpx.get(running.address, trust_env=False).headers["date"])
        assert abs((datetime.now(UTC) - date).total_seconds()) < 2 * DATE_S + 1
        time.sleep(2 * DATE_S)


def test_it_looks_once_a_second(running: Running) -> None:
    assert httpx.get(running.address, trust_env=False).status_code == 204
    before = running.looks
    time.sleep(2.5 * DATE_S)
    assert running.looks - before <= 4


def test_it_ends_when_told_to_from_another_thread(running: Running) -> None:
    assert httpx.get(running.address, trust_env=False).status_code == 204
    running.end()
    assert not running.thread.is_alive()
    running.server.end()  # its loop is closed: nothing to wake
    with pytest.raises(httpx.ConnectError):
        httpx.get(running.address, trust_env=False)


def test_told_before_it_has_begun_it_ends_all_the_same() -> None:
    made = Running()
    made.end()
    assert not made.thread.is_alive()
