"""What is done once at the end of a model's step, rather than for each of its tokens."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Call = Callable[[], object]


class _Step(threading.local):
    """The calls that wait in this thread; None outside a step."""

    calls: dict[Call, None] | None = None


_step = _Step()


@contextmanager
def step() -> Iterator[None]:
    """A step of this thread: what it puts off is done when the block ends, however it does."""
    _step.calls = {}
    try:
        yield
    finally:
        calls, _step.calls = _step.calls, None
        for call in calls:
            call()


def at_step_end(call: Call) -> None:
    """Have `call` done at the end of this thread's step, once however often it is asked for; at once outside a step."""
    if _step.calls is None:
        call()
    else:
        _step.calls[call] = None
