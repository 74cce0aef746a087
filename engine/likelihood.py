"""How likely a text is to a model after a prompt; nothing is written."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator

from engine.api.job import Cancelled
from engine.llama.logprobs import logprob
from engine.llama.slot import Slot
from engine.slots import Slots

Read = Callable[[list[int], Slot, int], int]  # tokens, their slot, how many get logits: the place of the first


def likelihood(
    slots: Slots, read: Read, prompt: list[int], text: list[int], cancelled: threading.Event
) -> Generator[None, None, float]:
    """log P(text | prompt), natural, summed over the tokens of `text`; neither may be empty.

    One portion of tokens a step, others have theirs in between. Raises Cancelled, and what `read` raises.
    """
    while not slots.free():
        _go_on(cancelled)
        yield
    tokens = [*prompt, *text]
    slot = slots.take(tokens, (), "")
    try:
        slot.cut(min(len(slot.held), len(prompt) - 1))  # what is scored must be read now
        slots.make_room(len(tokens) - len(slot.held))
        total = 0.0
        while len(slot.held) < len(tokens) - 1:
            _go_on(cancelled)
            total += _portion(slots, read, slot, tokens, len(prompt))
            yield
        return total
    finally:
        slots.give_back(slot)


def _go_on(cancelled: threading.Event) -> None:
    if cancelled.is_set():
        raise Cancelled


def _portion(slots: Slots, read: Read, slot: Slot, tokens: list[int], scored_from: int) -> float:
    """Read the next tokens; the sum of what they tell of those behind them, from number `scored_from` on."""
    model, at = slots.model, len(slot.held)
    part = tokens[at : min(at + model.step_size, len(tokens) - 1)]
    scored = min(len(part), max(0, at + len(part) + 1 - scored_from))
    first = read(part, slot, scored)
    places = range(len(part) - scored, len(part))
    return sum(logprob(model, model.context, first + place, tokens[at + place + 1], 0).logprob for place in places)
