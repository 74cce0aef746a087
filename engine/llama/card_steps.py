"""When to wait for a graphics card, which goes on computing after llama_decode has returned."""

from __future__ import annotations

import time

from engine.llama.quiet import library

AHEAD = 3  # steps of a prompt that may be left computing while the next one is prepared …
QUICK_S = 0.1  # … if one takes no longer than this: whoever cancels should not wait for many slow ones


class CardSteps:
    """Of one context. Who measures a step or wants its logits must wait for it; but a long prompt is read a sixth
    quicker if the card never waits for the next piece of it."""

    def __init__(self, context: object) -> None:
        self._context, self._wait = context, library().llama_synchronize
        self._ahead, self._begun = 0, 0.0
        self._step_s = QUICK_S  # not known yet: as good as slow

    def began(self) -> None:
        """Before llama_decode."""
        if not self._ahead:
            self._begun = time.monotonic()

    def decoded(self, wanted: bool, long: bool) -> None:
        """After llama_decode of a step; `wanted`: its logits are read next, `long`: it read a prompt."""
        if not wanted and self._ahead < AHEAD and self._step_s < QUICK_S:
            self._ahead += 1
            return
        self._wait(self._context)
        if long:
            self._step_s = (time.monotonic() - self._begun) / (self._ahead + 1)
        self._ahead = 0
