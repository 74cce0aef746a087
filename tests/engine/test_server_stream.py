"""From a model's thread to a reader: nothing lost, nothing waited for, and no reader without bounds."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from engine.server.endpoint import Event
from engine.server.events import data_line
from engine.server.stream import MOST_WAITING, Relay, Wakes
from engine.step_end import Step, at_step_end


def read(relay: Relay, works: int) -> Callable[[], Any]:
    async def all_batches() -> list[list[Event]]:
        return [batch async for batch in relay.batches(works)]

    return all_batches


def streamed(write: Callable[[Relay], None], works: int = 1) -> list[list[Event]]:
    """The batches that a reader gets of what `write` says in a thread of its own."""

    async def main() -> list[list[Event]]:
        relay = Relay(Wakes(asyncio.get_running_loop().call_soon_threadsafe), threading.Event())
        thread = threading.Thread(target=write, args=(relay,))
        thread.start()
        found: list[list[Event]] = await read(relay, works)()
        thread.join()
        return found

    return asyncio.run(main())


def test_all_that_is_said_arrives_in_order() -> None:
    def write(relay: Relay) -> None:
        listener = relay.listener(0)
        for i in range(5000):
            listener.text(f"{i} ")
        relay.put(Event(0, "done", None))

    events = [event for batch in streamed(write) for event in batch]
    assert "".join(e.value for e in events if e.kind == "text").split() == [str(i) for i in range(5000)]
    assert events[-1].kind == "done"


def test_what_piled_up_is_joined_but_never_over_something_else() -> None:
    async def main() -> list[Event]:
        relay = Relay(Wakes(asyncio.get_running_loop().call_soon_threadsafe), threading.Event())
        first, second = relay.listener(0), relay.listener(1)
        for say in (first.text, first.text, first.thinking, first.text, second.text, second.text):
            say("a")
        first.arguments(0, "{")
        first.arguments(0, "}")
        relay.put(Event(0, "done", None))
        [batch] = await read(relay, 1)()
        return list(batch)

    events = asyncio.run(main())
    told = [(e.choice, e.kind, e.value) for e in events[:4]]
    assert told == [(0, "text", "aa"), (0, "thinking", "a"), (0, "text", "a"), (1, "text", "aa")]
    assert [e.value for e in events[4:6]] == [(0, "{"), (0, "}")]


def test_a_stream_ends_when_all_its_works_have() -> None:
    def write(relay: Relay) -> None:
        relay.put(Event(1, "done", "b"))
        relay.listener(0).text("late")
        relay.put(Event(0, "done", "a"))

    events = [event for batch in streamed(write, works=2) for event in batch]
    assert [(e.choice, e.kind) for e in events] == [(1, "done"), (0, "text"), (0, "done")]


def test_a_reader_that_lags_is_cut_off_and_its_work_cancelled() -> None:
    async def main() -> tuple[bool, bool, int]:
        cancelled = threading.Event()
        relay = Relay(Wakes(asyncio.get_running_loop().call_soon_threadsafe), cancelled)
        listener = relay.listener(0)
        for _ in range(3 * MOST_WAITING):
            listener.arguments(0, "a")
        relay.put(Event(0, "done", None))
        events = [event for batch in await read(relay, 1)() for event in batch]
        return relay.cut, cancelled.is_set(), len(events)

    cut, cancelled, kept = asyncio.run(main())
    assert (cut, cancelled) == (True, True)
    assert kept == MOST_WAITING + 1


def test_one_wake_up_serves_all_streams_of_a_step() -> None:
    async def main() -> list[int]:
        wake = asyncio.get_running_loop().call_soon_threadsafe
        calls: list[Callable[[], None]] = []

        def counted(run: Callable[[], None]) -> None:
            calls.append(run)
            wake(run)

        wakes = Wakes(counted)
        relays = [Relay(wakes, threading.Event()) for _ in range(8)]
        for relay in relays * 3:
            relay.listener(0).text("a")
        told = [len(calls)]
        for relay in relays:
            relay.put(Event(0, "done", None))
            [events] = await read(relay, 1)()
            assert [event.value for event in events] == ["aaa", None]
        return told

    assert asyncio.run(main()) == [1]


def test_an_ended_server_does_not_disturb_the_model() -> None:
    async def main() -> Relay:
        return Relay(Wakes(asyncio.get_running_loop().call_soon_threadsafe), threading.Event())

    relay = asyncio.run(main())
    relay.listener(0).text("a")
    relay.put(Event(0, "done", None))
    assert not relay.news.is_set()


def test_an_event_is_one_line_to_every_client() -> None:
    line = data_line({"content": "a\u2028b\u2029c\x85d\ne"})
    assert len(line.splitlines()) == 2


class Kept:
    """A shortcut that keeps what it is given, while `ready`."""

    def __init__(self) -> None:
        self.ready = True
        self.given: list[Event] = []

    def open(self) -> bool:
        return self.ready

    def pass_on(self, events: list[Event]) -> bool:
        self.given += events
        return True


def test_the_shortcut_takes_what_comes_while_the_reader_waits_and_leaves_it_the_end() -> None:
    async def main() -> tuple[list[Any], list[list[Any]]]:
        relay, kept = Relay(Wakes(asyncio.get_running_loop().call_soon_threadsafe), threading.Event()), Kept()
        relay.shortcut = kept
        listener = relay.listener(0)
        reader = asyncio.ensure_future(read(relay, 1)())
        for kind in ("a", "b", "shut", "c", "open", "d"):
            await asyncio.sleep(0)
            if kind in ("shut", "open"):
                kept.ready = kind == "open"
            else:
                listener.text(kind)
            for _ in range(5):
                await asyncio.sleep(0)
        listener.text("e")
        relay.put(Event(0, "done", None))
        return [event.value for event in kept.given], [[event.value for event in batch] for batch in await reader]

    assert asyncio.run(main()) == (["a", "b", "d"], [["c"], ["e", None]])


def test_threads_that_send_and_a_loop_that_looks_keep_everybodys_order() -> None:
    """Three works, their threads' own shortcut, the loop's, and the reader; turns as short as can be."""

    def write(relay: Relay, choice: int) -> None:
        listener = relay.listener(choice)
        for number in range(4000):
            with Step(on_cores=number % 5 > 0):
                listener.arguments(0, str(number))
            kept.ready = number % 7 > 0
        relay.put(Event(choice, "done", None))

    async def main() -> None:
        relay = Relay(Wakes(asyncio.get_running_loop().call_soon_threadsafe), threading.Event())
        relay.shortcut = relay.nearer = kept
        threads = [threading.Thread(target=write, args=(relay, choice)) for choice in range(3)]
        for thread in threads:
            thread.start()
        async for batch in relay.batches(3):
            kept.given += batch
        for thread in threads:
            thread.join()

    kept, before = Kept(), sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        asyncio.run(main())
    finally:
        sys.setswitchinterval(before)
    for choice in range(3):
        said = [event.value for event in kept.given if event.choice == choice]
        assert said == [*((0, str(number)) for number in range(4000)), None]


def test_in_a_models_step_only_a_first_word_is_told_at_once() -> None:
    def write(relay: Relay) -> None:
        with Step():
            relay.listener(0).text("first")
            heard.wait(10)
            relay.listener(0).text("second")
            seen.append(waiting.wait(0.3))
        waiting.wait(10)
        relay.put(Event(0, "done", None))

    async def main() -> list[str]:
        relay = Relay(Wakes(asyncio.get_running_loop().call_soon_threadsafe), threading.Event())
        thread = threading.Thread(target=write, args=(relay,))
        thread.start()
        values = []
        async for batch in relay.batches(1):
            values += [event.value for event in batch]
            heard.set()
            if "second" in values:
                waiting.set()
        thread.join()
        return values

    heard, waiting = threading.Event(), threading.Event()
    seen: list[bool] = []
    assert asyncio.run(main()) == ["first", "second", None]
    assert seen == [False]


def test_what_is_put_off_is_done_once_and_also_after_an_error() -> None:
    done: list[str] = []

    def call() -> None:
        done.append("called")

    with pytest.raises(ValueError, match="amid"), Step():
        at_step_end(call)
        at_step_end(call)
        assert done == []
        raise ValueError("amid")
    assert done == ["called"]
    at_step_end(call)
    assert done == ["called", "called"]
