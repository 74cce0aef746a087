"""What of a conversation goes to a remote model that has told how much it can hold."""

from __future__ import annotations

from engine.api.errors import UserError
from engine.context import Plan, Turn, make_room

LETTERS = 3.5  # a token of ordinary English; letters of other scripts are counted as a token each
AROUND = 8  # tokens that a template puts around a message
MEDIUM = 1000  # tokens of an image or a sound


def make_room_there(plan: Plan, begun: str, size: int, reserve: int) -> None:
    """Drop the oldest turns until the rest and an answer fit in `size` tokens; by an estimate, as its words are not
    known here. The last question goes in any case: whether it fits is for the server to say."""
    try:
        make_room(plan, lambda tried: sum(map(about, tried.turns())) + _tokens(begun), size, reserve)
    except UserError:
        return


def about(turn: Turn) -> int:
    """Tokens of a message, estimated."""
    return AROUND + _tokens(str(turn["content"])) + MEDIUM * len(turn.get("media", ()))


def _tokens(text: str) -> int:
    plain = sum(letter.isascii() for letter in text)
    return int(plain / LETTERS) + len(text) - plain
