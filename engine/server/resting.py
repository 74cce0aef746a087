"""uvicorn's server, which looks ten times a second whether it shall end: each look takes a core from a model's step."""

from __future__ import annotations

import asyncio
import contextlib
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import uvicorn

DATE_S = 1.0  # the Date header is as old as this at most


@cache
def resting() -> Any:
    """The server class; uvicorn is imported on the first call."""
    import uvicorn

    class Resting(uvicorn.Server):
        """Wakes for what happens, and once a second for the Date header. Made on the loop that it runs on."""

        def __init__(self, config: uvicorn.Config) -> None:
            super().__init__(config)
            self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()

        def end(self) -> None:
            """Have it end soon. Any thread may call."""
            self.should_exit = True
            with contextlib.suppress(RuntimeError):  # the loop is closed: it has ended
                self._loop.call_soon_threadsafe(self._ended.set)

        async def main_loop(self) -> None:
            while not await self.on_tick(0):  # at 0 it looks at the clock
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._ended.wait(), DATE_S)

    return Resting
