"""How much of whose prompt is read in a step."""

from __future__ import annotations

import time
from dataclasses import dataclass

from engine.llama.writing import Writing

STEP_S = 0.2  # a step that others wait for with their next token is not longer than this
TOGETHER_S = 0.4  # nor is a first word put off longer by the prompts that came with its own
LEAST_CHUNK = 16
OLD_S = 6.0  # who waits for so long comes before shorter prompts


@dataclass
class Portion:
    """What one request gets decoded in a step: so many tokens, the last `logits` of them with logits."""

    writing: Writing
    tokens: list[int]
    logits: int
    first: int = 0  # place in the batch


@dataclass
class Plan:
    """A step. `reads`: tokens of prompts; `steady`: somebody's text must repeat to the last bit."""

    portions: list[Portion]
    steady: bool
    reads: int = 0

    def read(self, portions: list[Portion]) -> None:
        """Have these prompts read, too."""
        self.portions += portions
        self.reads = sum(len(portion.tokens) for portion in portions)

    def tokens(self) -> int:
        """How many are decoded."""
        return sum(len(portion.tokens) for portion in self.portions)

    def writings(self) -> list[Writing]:
        """Whose they are."""
        return [portion.writing for portion in self.portions]

    def given_up(self) -> bool:
        """Whether nobody wants it any more."""
        return all(portion.writing.cancelled.is_set() for portion in self.portions)


class Shares:
    """Shares a step out to prompts: short ones first, but none for ever. It learns how quickly the model reads."""

    def __init__(self, step_size: int, batch_size: int) -> None:
        """Tokens of prompts in a step, and of all in a step, at most."""
        self._step_size, self._batch_size = step_size, batch_size
        self._rate = 0.0  # tokens read a second

    def of(self, readers: list[Writing], written: int) -> list[Portion]:
        """The portions of those who read, in a step in which `written` tokens go to others."""
        now, portions = time.monotonic(), list[Portion]()
        in_turn = sorted(readers, key=lambda writing: (now - writing.asked < OLD_S, writing.left))
        room = min(self._budget(in_turn, written > 0), self._batch_size - written)
        for writing in in_turn:
            count = min(room, writing.left)
            if count > 0:
                tokens = writing.until_medium(writing.held, writing.held + count)
                portions.append(Portion(writing, tokens, int(len(tokens) == writing.left)))
                room -= len(tokens)
        return portions

    def took(self, seconds: float, read: int) -> None:
        """A step in which so many tokens of prompts were read lasted so long."""
        if read >= LEAST_CHUNK:
            self._rate = 0.7 * (self._rate or read / seconds) + 0.3 * read / seconds

    def _budget(self, readers: list[Writing], awaited: bool) -> int:
        """Tokens of all prompts together; the first of the readers has what it needs before the others have any."""
        if awaited:
            return max(LEAST_CHUNK, self._read_in(STEP_S))
        if len(readers) == 1:
            return self._step_size
        return min(self._step_size, readers[0].left + self._read_in(TOGETHER_S))

    def _read_in(self, seconds: float) -> int:
        return min(self._step_size, int(self._rate * seconds) or self._step_size // 4)
