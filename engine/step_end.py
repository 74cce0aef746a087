"""What is done once at the end of a model's step, rather than for each of its tokens."""

from __future__ import annotations

import threading
from collections.abc import Callable

Call = Callable[[], object]


class _Waiting(threading.local):
    """The calls that wait in this thread; None outside a step."""

    calls: dict[Call, None] | None = None


_waiting = _Waiting()


class Step:
    """A step of this thread: what it puts off is done when the block ends, however it does."""

    def __enter__(self) -> None:
        _waiting.calls = {}

    def __exit__(self, kind: object, error: object, _: object) -> None:
        calls, _waiting.calls = _waiting.calls, None
        for call in calls or ():
            call()


def at_step_end(call: Call) -> None:
    """Have `call` done at the end of this thread's step, once however often it is asked for; at once outside a step."""
    if _waiting.calls is None:
        call()
    else:
        _waiting.calls[call] = None
