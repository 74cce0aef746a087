"""The model that writes answers from documents: any that chats, here or elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from engine.api.errors import UserError
from engine.api.messages import Stats
from engine.api.sampling import Sampling
from engine.completion import ChatRequest, complete
from engine.core import Core
from engine.documents.prompting import lead_of
from engine.generation import TokenLogprob
from engine.remotes.addresses import is_remote

REMOTE_SIZE = 8192  # tokens that a context elsewhere is taken to have
NO_ROOM = ("context_too_long", "out_of_memory")
CHARACTERS_A_TOKEN = 2  # where nobody can count: few for English, enough for Chinese


class ModelWriter:
    """Writes with one model, by greedy choice: the same passages and question give the same answer."""

    def __init__(self, core: Core, model: str, cancelled: threading.Event) -> None:
        """Loads the model if it is not in memory. Raises UserError as `Residents.use`, and Cancelled."""
        self._core, self._model, self._cancelled = core, model, cancelled
        self.size = REMOTE_SIZE if is_remote(model) else self._context()

    def count(self, text: str) -> int:
        """Tokens of a text."""
        if is_remote(self._model):
            return len(text) // CHARACTERS_A_TOKEN
        with self._core.residents.use(self._model, _quiet, self._cancelled) as resident:
            return resident.count(text)

    def write(self, messages: list[dict[str, Any]], max_tokens: int, heard: Callable[[str], None]) -> tuple[str, Stats]:
        """The answer to a chat; reasoning is left out of it. Raises UserError and Cancelled as `complete`."""
        sampling = Sampling(temperature=0.0, max_tokens=max_tokens)
        request = ChatRequest(self._model, messages, sampling=sampling, thinking=False)
        done = complete(self._core, request, _Heard(heard), self._cancelled)
        return done.text, done.stats

    def foretold(self, passage: str, question: str) -> float | None:
        """How much of a question a passage foretells, at most 1: the share of what it says, in the model's bits, that
        is no news after the passage. None where the model is elsewhere, or has no room for both just now."""
        lead = lead_of(question)
        if is_remote(self._model):
            return None
        try:
            with self._core.residents.use(self._model, _quiet, self._cancelled) as resident:
                alone = resident.likelihood(lead, question, self._cancelled)
                after = resident.likelihood(f"{passage}\n\n{lead}", question, self._cancelled)
        except UserError as error:
            if error.code in NO_ROOM:
                return None
            raise
        return (after - alone) / max(1e-6, -alone)

    def _context(self) -> int:
        with self._core.residents.use(self._model, _quiet, self._cancelled) as resident:
            return resident.info.context_size


class _Heard:
    """Hears the text alone."""

    def __init__(self, heard: Callable[[str], None]) -> None:
        self.text = heard

    def prefill(self, done: int, total: int, left_s: float | None) -> None:
        """Not told."""

    def thinking(self, piece: str) -> None:
        """Not told."""

    def call(self, index: int, identity: str, name: str) -> None:
        """There are no tools."""

    def arguments(self, index: int, piece: str) -> None:
        """There are no tools."""

    def logprob(self, token: TokenLogprob) -> None:
        """Not asked for."""


def _quiet(done: float) -> None:
    """Nobody watches the loading."""
