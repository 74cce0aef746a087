"""Tokens of one or several sequences for one llama_decode, and the only call of it for text."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from enum import Enum

from engine.llama.brake import Brake
from engine.llama.card_steps import CardSteps
from engine.llama.compute import COMPUTE
from engine.llama.model import Model
from engine.llama.pace import Pace
from engine.llama.quiet import library, lines
from engine.llama.rows import Rows
from engine.llama.slot import Slot

LONG_STEP = 32  # tokens; shorter steps are over before anyone could pull the brake


class Outcome(Enum):
    """What came of a step."""

    DONE = 0
    NO_ROOM = 1
    ABORTED = 2
    FAILED = 3


_BY_STATUS = {outcome.value: outcome for outcome in (Outcome.DONE, Outcome.NO_ROOM, Outcome.ABORTED)}


class Batch:
    """Belongs to the model's thread."""

    def __init__(self, model: Model) -> None:
        self.size, self.count = model.batch_size, 0
        self.seconds = 0.0  # that the last step took
        self._brake, self._pace = Brake(model.context), Pace(model.context, model.threads)
        self._context, self._decode = model.context, library().llama_decode
        self._shares = model.needs_cores  # with other models
        self._card = CardSteps(model.context) if model.gpu_layers else None
        self._wanted = False  # logits of this step
        self._rows, self._status = Rows(self.size), 0

    def clear(self) -> None:
        """Begin anew."""
        self.count, self._wanted = 0, False

    def add(self, tokens: list[int], slot: Slot, logits: int) -> int:
        """Put tokens after those the slot holds; the last `logits` of them get logits. The place of the first."""
        start = self.count
        self.count = self._rows.put(start, tokens, len(slot.held), slot.number, logits)
        self._wanted = self._wanted or logits > 0
        return start

    def decode(self, given_up: Callable[[], bool], steady: bool) -> Outcome:
        """Run the model over the batch. A long step is stopped once `given_up` says that nobody wants it any more.

        `steady`: all threads, whatever happens, so that texts repeat to the last bit.
        """
        begun = time.perf_counter()
        if steady:
            self._pace.steady()
        if self.count >= LONG_STEP and self._shares:
            with self._brake.pulled_by(given_up):
                self._run()
        else:
            self._run()  # a card does not look at the brake, and is quick enough without
        self.seconds = time.perf_counter() - begun
        if self.count < LONG_STEP and not steady:
            self._pace.took(self.seconds, self.count)
        return _BY_STATUS.get(self._status, Outcome.FAILED)

    def detail(self) -> str:
        """What llama.cpp said of a failure."""
        return lines.last_error() or f"status {self._status}"

    def _run(self) -> None:
        with COMPUTE if self._shares else nullcontext():
            if self._card:
                self._card.began()
            self._status = self._rows.run(self._decode, self._context, self.count)
            if self._card:
                self._card.decoded(self._wanted, self.count >= LONG_STEP)
