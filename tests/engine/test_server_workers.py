"""Threads that serve requests are kept for the next one, and no work is lost when one of them gives up waiting."""

from __future__ import annotations

import threading
import time

from engine.server.workers import Workers

WAIT_S = 20.0


def done_by(pool: Workers) -> threading.Thread:
    """The thread that does the next work, once it has."""
    found: list[threading.Thread] = []
    ended = threading.Event()

    def work() -> None:
        found.append(threading.current_thread())
        ended.set()

    pool.start(work)
    assert ended.wait(WAIT_S)
    return found[0]


def idle(pool: Workers, many: int) -> bool:
    """Whether so many threads wait for work, soon."""
    until = time.monotonic() + WAIT_S
    while len(pool._idle) != many and time.monotonic() < until:
        time.sleep(0.001)
    return len(pool._idle) == many


def test_the_next_work_is_done_by_the_same_thread() -> None:
    pool = Workers()
    first = done_by(pool)
    assert idle(pool, 1)
    assert done_by(pool) is first


def test_works_at_a_time_do_not_wait_for_each_other() -> None:
    pool, together = Workers(), threading.Barrier(9)

    def meet() -> None:
        together.wait(WAIT_S)

    for _ in range(8):
        pool.start(meet)
    together.wait(WAIT_S)
    assert idle(pool, 8)


def test_a_thread_without_work_ends() -> None:
    pool = Workers(idle_s=0.01)
    first = done_by(pool)
    first.join(WAIT_S)
    assert not first.is_alive() and not pool._idle
    assert done_by(pool) is not first


def test_nothing_is_lost_while_threads_end() -> None:
    pool, done, most = Workers(idle_s=0.0005), threading.Semaphore(0), 2000
    for number in range(most):
        pool.start(done.release)
        if number % 7 == 0:
            time.sleep(0.0005)
    assert all(done.acquire(timeout=WAIT_S) for _ in range(most))


def test_a_waiting_thread_keeps_nothing_of_its_work() -> None:
    class Held:
        pass

    import gc
    import weakref

    pool, held = Workers(), Held()
    gone = weakref.ref(held)
    pool.start(lambda held=held: None)  # type: ignore[misc]
    assert idle(pool, 1)
    del held
    gc.collect()
    assert gone() is None
