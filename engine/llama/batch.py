"""Tokens of one or several sequences for one llama_decode, and the only call of it for text."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from enum import Enum
from typing import Any

from engine.llama.brake import Brake
from engine.llama.card_steps import CardSteps
from engine.llama.compute import COMPUTE
from engine.llama.model import Model
from engine.llama.pace import Pace
from engine.llama.quiet import library, lines
from engine.llama.slot import Slot

LONG_STEP = 32  # tokens; shorter steps are over before anyone could pull the brake


class Outcome(Enum):
    """What came of a step."""

    DONE = 0
    NO_ROOM = 1
    ABORTED = 2
    FAILED = 3


class Batch:
    """Belongs to the model's thread."""

    def __init__(self, model: Model) -> None:
        self.size, self.count = model.batch_size, 0
        self._brake, self._pace = Brake(model.context), Pace(model.context, model.threads)
        self._context, self._decode = model.context, library().llama_decode
        self._shares = model.needs_cores  # with other models
        self._card = CardSteps(model.context) if model.gpu_layers else None
        self._wanted = False  # logits of this step
        self._batch: Any = library().llama_batch_init(self.size, 0, 1)
        batch = self._batch
        self._token, self._position, self._logits = batch.token, batch.pos, batch.logits
        self._sequence = [batch.seq_id[index] for index in range(self.size)]
        self._status = 0
        for index in range(self.size):
            batch.n_seq_id[index] = 1

    def clear(self) -> None:
        """Begin anew."""
        self.count, self._wanted = 0, False

    def add(self, tokens: list[int], slot: Slot, logits: int) -> int:
        """Put tokens after those the slot holds; the last `logits` of them get logits. The place of the first."""
        start, position, first_logits = self.count, len(slot.held), len(tokens) - logits
        number, sequence = slot.number, self._sequence
        for index, token in enumerate(tokens):
            at = start + index
            self._token[at] = token
            self._position[at] = position + index
            sequence[at][0] = number
            self._logits[at] = index >= first_logits
        self.count, self._wanted = start + len(tokens), self._wanted or logits > 0
        return start

    def decode(self, given_up: Callable[[], bool], steady: bool) -> Outcome:
        """Run the model over the batch. A long step is stopped once `given_up` says that nobody wants it any more.

        `steady`: all threads, whatever happens, so that texts repeat to the last bit.
        """
        self._batch.n_tokens = self.count
        if steady:
            self._pace.steady()
        if self.count < LONG_STEP:
            self._run_paced(steady)
        elif self._shares:
            with self._brake.pulled_by(given_up):
                self._run()
        else:
            self._run()  # a card does not look at the brake, and is quick enough without
        known = self._status in (0, 1, 2)
        return Outcome(self._status) if known else Outcome.FAILED

    def detail(self) -> str:
        """What llama.cpp said of a failure."""
        return lines.last_error() or f"status {self._status}"

    def close(self) -> None:
        """Free the batch. Calling it twice does no harm."""
        batch, self._batch = self._batch, None
        if batch is not None:
            library().llama_batch_free(batch)

    def _run_paced(self, steady: bool) -> None:
        begun = time.monotonic()
        self._run()
        if not steady:
            self._pace.took(time.monotonic() - begun, self.count)

    def _run(self) -> None:
        with COMPUTE if self._shares else nullcontext():
            if self._card:
                self._card.began()
            self._status = int(self._decode(self._context, self._batch))
            if self._card:
                self._card.decoded(self._wanted, self.count >= LONG_STEP)
