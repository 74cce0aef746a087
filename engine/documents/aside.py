"""A model used for work that nobody waits for: only while nobody else wants one, given up within a token if they do."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from engine.api.errors import UserError
from engine.api.job import Cancelled
from engine.api.messages import Stats
from engine.documents.writers import ModelWriter

if TYPE_CHECKING:
    from engine.core import Core

QUIET_S = 1.0  # nobody used a model for so long, before the work goes on
REST_S = 300.0  # and for so long before another model is loaded, which may push out theirs
LOOK_S = 0.1
LATER = ("busy", "out_of_memory")  # others were quicker, or their texts need the room: tried again


class AsideWriter(ModelWriter):
    """Writes as ModelWriter does, from the beginning again after it had to give way."""

    def __init__(self, core: Core, model: str, stopped: threading.Event) -> None:
        """Loads nothing yet; `size` is unknown. `stopped`: raise Cancelled."""
        self._core, self._model, self._stopped = core, model, stopped
        self.size, self._gave_way = 0, True

    def write(self, messages: list[dict[str, Any]], max_tokens: int, heard: Callable[[str], None]) -> tuple[str, Stats]:
        """See ModelWriter; blocks until nobody else wants the model."""
        while True:
            self._wait()
            self._cancelled = _Turn(self._stopped, lambda: self._core.residents.wanted_beside(self._model))
            try:
                text, stats = super().write(messages, max_tokens, heard)
                self._gave_way = stats["stop"] == "cancelled"
                if not self._gave_way:
                    return text, stats
            except Cancelled:
                self._gave_way = True  # before it began
            except UserError as error:
                if error.code not in LATER:
                    raise
                self._gave_way = True

    def _wait(self) -> None:
        """Raises Cancelled."""
        residents = self._core.residents
        while not self._stopped.is_set():
            here, idle_s = residents.find(self._model) is not None, residents.idle_s()
            least = (QUIET_S if self._gave_way else 0.0) if here else REST_S
            if idle_s > least:
                return
            self._stopped.wait(LOOK_S)
        raise Cancelled


class _Turn(threading.Event):
    """Set once the work is stopped, or somebody else wants the model; asked between two steps, and within them."""

    def __init__(self, stopped: threading.Event, wanted: Callable[[], bool]) -> None:
        super().__init__()
        self._stopped, self._wanted = stopped, wanted

    def is_set(self) -> bool:
        """Once it is, it stays."""
        if not super().is_set() and (self._stopped.is_set() or self._wanted()):
            self.set()
        return super().is_set()
