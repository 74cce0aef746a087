"""What is done once at the end of a model's step, rather than for each of its tokens."""

from __future__ import annotations

import threading
from collections.abc import Callable

Call = Callable[[], object]


class _Waiting(threading.local):
    """The calls that wait in this thread, None outside a step; and whether the step took the processor's cores."""

    calls: dict[Call, None] | None = None
    on_cores = False


_waiting = _Waiting()


class Step:
    """A step of this thread: what it puts off is done when the block ends, however it does.

    `on_cores`: the model computes on the processor's cores, which it does not share gladly with other threads.
    """

    def __init__(self, on_cores: bool = False) -> None:
        self._on_cores = on_cores

    def __enter__(self) -> None:
        _waiting.calls, _waiting.on_cores = {}, self._on_cores

    def __exit__(self, kind: object, error: object, _: object) -> None:
        calls, _waiting.calls, _waiting.on_cores = _waiting.calls, None, False
        for call in calls or ():
            call()


def at_step_end(call: Call) -> None:
    """Have `call` done at the end of this thread's step, once however often it is asked for; at once outside a step."""
    if _waiting.calls is None:
        call()
    else:
        _waiting.calls[call] = None


def cores_are_wanted() -> bool:
    """Whether this thread is in a step of a model on the processor: another thread that wakes up now disturbs it."""
    return _waiting.on_cores
