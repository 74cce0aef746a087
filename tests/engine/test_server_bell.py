"""The bell of the server's event loop: it wakes the loop, holds the interpreter, and is silent once closed."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time

import pytest

from engine.server.bell import Bell, bell

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there the loop's own way is used")


def test_all_calls_are_made_in_the_loops_thread_in_order() -> None:
    async def main() -> list[tuple[int, bool]]:
        made: list[tuple[int, bool]] = []
        done, here = asyncio.Event(), threading.get_ident()

        def ring_often() -> None:
            for number in range(20_000):  # a pipe holds 65,536 bytes at most, and the loop is busy meanwhile
                ring(lambda number=number: made.append((number, threading.get_ident() == here)))  # type: ignore[misc]
            ring(done.set)

        with bell(asyncio.get_running_loop()) as ring:
            thread = threading.Thread(target=ring_often)
            thread.start()
            await asyncio.wait_for(done.wait(), 60)
            thread.join()
        return made

    assert asyncio.run(main()) == [(number, True) for number in range(20_000)]


def test_a_full_pipe_blocks_nobody_and_loses_no_call() -> None:
    async def main() -> int:
        made: list[int] = []
        with bell(asyncio.get_running_loop()) as ring:
            for number in range(100_000):  # nobody reads until the next await
                ring(lambda number=number: made.append(number))  # type: ignore[misc]
            for _ in range(1000):
                if len(made) == 100_000:
                    break
                await asyncio.sleep(0.01)
        return len(made)

    assert asyncio.run(main()) == 100_000


def test_who_rings_keeps_the_interpreter() -> None:
    """The loop's thread gets its turn when the ringing one waits, as that does in llama.cpp, and not before."""

    async def main() -> bool:
        made, woken = asyncio.Event(), threading.Event()
        early: list[bool] = []

        def compute() -> None:
            before = sys.getswitchinterval()
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
                ring(made.set)

        with bell(asyncio.get_running_loop()) as ring:
            thread = threading.Thread(target=compute)
            thread.start()
            await asyncio.wait_for(made.wait(), 60)
            thread.join()
        return any(early)

    assert not asyncio.run(main())


def test_a_closed_bell_writes_to_nobodys_file() -> None:
    async def main() -> bytes:
        made = Bell(asyncio.get_running_loop())
        made.close()
        reader, writer = os.pipe()  # it gets the numbers of the bell's own
        os.set_blocking(reader, False)
        made.ring(lambda: None)
        os.close(writer)
        try:
            return os.read(reader, 16)
        finally:
            os.close(reader)

    assert asyncio.run(main()) == b""
