"""Images and sounds in a prompt: they stand among its tokens as negative numbers, so that prefixes can be compared."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

from engine.api.errors import UserError
from engine.llama.media import Medium, Projector
from engine.llama.model import Model
from engine.llama.slot import Slot


@dataclass(frozen=True)
class CutPrompt:
    """A prompt with media. Each medium fills as many places in `tokens` as it takes positions, all with one number
    that comes from its bytes."""

    tokens: list[int]
    media: dict[int, Medium]
    projector: Projector

    def read(self, prompt: list[int], slot: Slot) -> int:
        """Have the medium that stands at the slot's end read into the cache; how many places it takes."""
        medium = self.media[prompt[len(slot.held)]]
        self.projector.read(medium, slot.model.context, slot.number, len(slot.held))
        return medium.positions


class PromptMedia:
    """The projector of one model, which turns images and sounds into what the model reads."""

    def __init__(self, model: Model, model_file: Path) -> None:
        from models.projector import projector_of

        path = projector_of(model_file)
        if path is None:
            raise UserError(
                "no_vision",
                "This model cannot see or hear: there is no projector file beside it.",
                "Put its mmproj file into the same folder, or choose another model.",
            )
        self._projector, self._lock = Projector(model, path), threading.Lock()

    @property
    def memory(self) -> int:
        """Bytes that the projector takes."""
        return self._projector.memory

    def cut(self, prompt: str, media: tuple[bytes, ...]) -> CutPrompt:
        """The prompt's tokens and media. Raises UserError bad_image, bad_audio, no_vision."""
        with self._lock:
            pieces = self._projector.cut(prompt, media)
        tokens: list[int] = []
        found: dict[int, Medium] = {}
        for piece in pieces:
            if isinstance(piece, list):
                tokens += piece
            else:
                number = -1 - int(piece.key[:12], 16)
                found[number] = piece
                tokens += [number] * piece.positions
        return CutPrompt(tokens, found, self._projector)

    def close(self) -> None:
        """Free the projector."""
        self._projector.close()
