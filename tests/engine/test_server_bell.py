"""The bell of the server's event loop: it wakes the loop, keeps the interpreter, and is silent once closed."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections.abc import Callable

import pytest

from engine.server.bell import Bell, Ring, counter, pipe

KINDS = [counter, pipe] if sys.platform == "linux" else [pipe]
Ends = Callable[[], tuple[int, int]]

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="there the loop's own way is used"),
    pytest.mark.parametrize("ends", KINDS),
]


def rung(ends: Ends, work: Callable[[Ring], None], wanted: Callable[[], bool]) -> None:
    """Have a thread do `work`, and the loop run until `wanted`."""

    async def main() -> None:
        made = Bell(asyncio.get_running_loop(), ends())
        thread = threading.Thread(target=work, args=(made.ring,))
        thread.start()
        for _ in range(6000):
            if wanted():
                break
            await asyncio.sleep(0.01)
        thread.join()
        made.close()

    asyncio.run(main())


def test_all_calls_are_made_in_the_loops_thread_in_order(ends: Ends) -> None:
    made: list[tuple[int, str]] = []

    def work(ring: Ring) -> None:
        for number in range(20_000):
            ring(lambda number=number: made.append((number, threading.current_thread().name)))  # type: ignore[misc]

    rung(ends, work, lambda: len(made) == 20_000)
    assert made == [(number, "MainThread") for number in range(20_000)]


def test_what_is_full_blocks_nobody_and_loses_no_call(ends: Ends) -> None:
    async def main() -> int:
        made: list[int] = []
        rings = Bell(asyncio.get_running_loop(), ends())
        for number in range(100_000):  # nobody reads until the next await, and a pipe holds 65,536 bytes
            rings.ring(lambda number=number: made.append(number))  # type: ignore[misc]
        for _ in range(1000):
            if len(made) == 100_000:
                break
            await asyncio.sleep(0.01)
        rings.close()
        return len(made)

    assert asyncio.run(main()) == 100_000


def test_who_rings_keeps_the_interpreter(ends: Ends) -> None:
    """The loop's thread gets its turn when the ringing one waits, as that does in llama.cpp, and not before."""
    early: list[bool] = []

    def work(ring: Ring) -> None:
        before, woken = sys.getswitchinterval(), threading.Event()
        sys.setswitchinterval(30)  # only a call that lets go gives another thread its turn
        try:
            for _ in range(200):
                woken.clear()
                ring(woken.set)
                begun = time.perf_counter()
                while time.perf_counter() - begun < 1e-4:
                    pass
                early.append(woken.is_set())
                time.sleep(1e-3)
        finally:
            sys.setswitchinterval(before)

    rung(ends, work, lambda: len(early) == 200)
    assert early == [False] * 200


def test_a_closed_bell_writes_to_nobodys_file(ends: Ends) -> None:
    async def main() -> bytes:
        made = Bell(asyncio.get_running_loop(), ends())
        made.close()
        reader, writer = os.pipe()  # it gets the numbers of the bell's own
        made.ring(lambda: None)
        os.close(writer)
        try:
            return os.read(reader, 16)
        finally:
            os.close(reader)

    assert asyncio.run(main()) == b""


def test_after_its_end_nothing_is_called(ends: Ends) -> None:
    async def main() -> list[str]:
        made: list[str] = []
        rings = Bell(asyncio.get_running_loop(), ends())
        rings.ring(lambda: made.append("rung"))
        while not made:
            await asyncio.sleep(0)
        rings.close()
        rings.ring(lambda: made.append("too late"))
        await asyncio.sleep(0.05)
        return made

    assert asyncio.run(main()) == ["rung"]
