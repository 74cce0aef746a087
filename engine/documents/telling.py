"""What a client hears while an answer from documents comes about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.documents.search import Hit


def _nobody(*pieces: object, **data: object) -> None:
    """Nobody listens."""


class Told:
    """Events through `emit(event, **data)`, the model's words through `text(piece)`; without them nobody listens."""

    def __init__(self, emit: Callable[..., object] = _nobody, text: Callable[[str], None] = _nobody) -> None:
        self._emit, self.text = emit, text

    def rewritten(self, question: str) -> None:
        """The question as it is looked for."""
        self._emit("rewritten", question=question)

    def passages(self, hits: list[Hit]) -> None:
        """What was found, before the answer begins."""
        self._emit("passages", hits=[asdict(hit) for hit in hits])
