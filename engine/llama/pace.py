"""Fewer threads while other programs want the cores.

llama.cpp's threads wait for each other several hundred times a token, spinning. With one core taken by another
program they wait for a thread that is not running: on two cores 120 tokens/s were seen to fall to 1-4, where a
single thread still makes 60. So a step that takes far longer than its like gives up a thread, and wins it back later.
"""

from __future__ import annotations

from engine.llama.quiet import library

SLOW = 3.0  # times the quickest step with as many threads …
SLOW_S = 0.01  # … and this much longer: tiny models jitter
SLOW_STEPS = 2  # so many, close together
FIRST_TRY, LAST_TRY = 64, 2048  # steps until a thread is tried again, doubled each time it was too early
FORGET = 1.001  # the quickest step ages: they grow slower as the context fills


class Pace:
    """The thread count of one context, adapted by `took` after each step that writes."""

    def __init__(self, context: object, threads: int) -> None:
        self._context = context
        self.most = self.threads = threads
        self._quickest: dict[tuple[int, int], float] = {}  # by threads and rows
        self._slow = 0.0
        self._calm, self._wait = 0, FIRST_TRY
        self._on_trial = False  # a thread was won back only just now

    def steady(self) -> None:
        """All threads, whatever happens: their number decides how sums are split, so the last bits of a logit."""
        self._set(self.most)

    def took(self, seconds: float, rows: int = 1) -> None:
        """A step of so many rows took that long."""
        like = (self.threads, rows)
        quickest = self._quickest[like] = min(seconds, self._quickest.get(like, seconds) * FORGET)
        if seconds > SLOW * quickest + SLOW_S:
            self._slow += 1
            if self._slow >= SLOW_STEPS and self.threads > 1:
                self._give_up_one()
        else:
            self._slow = max(0.0, self._slow - 0.25)
            self._calm += 1
            if self.threads < self.most and self._calm >= self._wait:
                self._set(self.threads + 1)
                self._on_trial = True
            elif self._calm >= FIRST_TRY:
                self._on_trial = False

    def _give_up_one(self) -> None:
        self._wait = min(LAST_TRY, self._wait * 2) if self._on_trial else FIRST_TRY
        self._set(self.threads - 1)

    def _set(self, threads: int) -> None:
        self._slow, self._calm = 0.0, 0
        if threads != self.threads:
            self.threads = threads
            library().llama_set_n_threads(self._context, threads, threads)
