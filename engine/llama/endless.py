"""Texts that are far too long are known by their beginning.

llama.cpp takes 14 s for 8 MB of one letter, in one call that nobody can stop.
"""

from __future__ import annotations

from engine.api.errors import UserError
from engine.llama.model import Model

WORTH_COUNTING = 2**18  # letters that are cut into tokens in any case, in half a second at worst
LETTERS = 8  # a token; with fewer a text may still fit
PART = 2**16
SURELY = 2.0  # times what fits: cut in other places, a text has somewhat fewer tokens


def endless(model: Model, text: str, limit: int) -> int:
    """About how many tokens a text has that is far longer than `limit` tokens; 0 for all others, to be counted."""
    if len(text) <= max(WORTH_COUNTING, LETTERS * limit):
        return 0
    counted = 0
    for at in range(0, len(text), PART):
        counted += len(model.tokenize(text[at : at + PART], special=False))
        if counted > SURELY * limit:
            return counted * len(text) // min(len(text), at + PART)
    return 0


def refuse_endless(model: Model, text: str) -> None:
    """Raises UserError context_too_long for a text far longer than the context; `over` is an estimate then."""
    about = endless(model, text, model.context_size)
    if about:
        raise too_long(about - model.context_size + 1, model.context_size)


def too_long(over: int, context: int) -> UserError:
    """The error for a prompt that leaves no room for a token."""
    return UserError(
        "context_too_long",
        f"The conversation is {over} tokens longer than the context of {context} tokens.",
        "Shorten it, or choose a larger context.",
        over=over,
        context=context,
    )
