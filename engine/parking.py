"""Sequences that nobody asks for at the moment, kept outside the KV cache.

llama.cpp computes attention up to the last cell in use, whoever's it is: three idle conversations of 470 tokens beside
one of the same length cost a 135M model 11 % of its prefill and 15 % of its decoding. A copy there and back costs
milliseconds. A graphics card pays less for them and more for the copy (0.12 s for 1,200 tokens of an 8B model, which it
reads anew in as long): what it holds stays, and only the window's conversations are parked when others need their room.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from engine.llama.slot import AdapterKey, shared_prefix


@dataclass
class Parked:
    """What one sequence held. `dirty`: the disk does not have it; `used`: on time.monotonic's clock."""

    tokens: list[int]
    adapters: AdapterKey
    conversation: str
    dirty: bool
    used: float
    state: bytes | memoryview

    def shared(self, tokens: list[int], adapters: AdapterKey) -> int:
        """How many tokens of a prompt this begins with, but for its last one."""
        return min(shared_prefix(self.tokens, tokens), len(tokens) - 1) if adapters == self.adapters else 0

    def holds(self, other: Parked) -> bool:
        """Whether this begins with all of the other, of the same conversation."""
        mine = (self.adapters, self.conversation, self.tokens[: len(other.tokens)])
        return mine == (other.adapters, other.conversation, other.tokens)


class Parking:
    """At most `limit_bytes` of states. Belongs to the model's thread, but for `forget`."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self._parked: list[Parked] = []  # least recently used first
        self._lock = threading.Lock()

    def put(self, parked: Parked) -> list[Parked]:
        """Keep one; gives those that had to go for it."""
        with self._lock:
            gone: list[Parked] = []
            kept = [old for old in self._parked if not parked.holds(old)]
            while kept and sum(len(one.state) for one in kept) + len(parked.state) > self.limit_bytes:
                gone.append(kept.pop(0))
            self._parked = [*kept, parked]
        return gone

    def has(self, tokens: list[int], adapters: AdapterKey, conversation: str) -> bool:
        """Whether exactly this is parked."""
        return any(
            (one.tokens, one.adapters, one.conversation) == (tokens, adapters, conversation) for one in self.all()
        )

    def spare(self) -> int:
        """Bytes that can be put without any having to go. For any thread."""
        return self.limit_bytes - self.bytes()

    def longest(self, tokens: list[int], adapters: AdapterKey) -> Parked | None:
        """The one that shares the most tokens with the beginning of a prompt."""
        return max(self.all(), key=lambda parked: parked.shared(tokens, adapters), default=None)

    def remove(self, parked: Parked) -> None:
        """It went back into the KV cache."""
        with self._lock:
            self._parked = [one for one in self._parked if one is not parked]

    def all(self) -> list[Parked]:
        """All there are."""
        with self._lock:
            return list(self._parked)

    def bytes(self) -> int:
        """What all of them take. For any thread."""
        return sum(len(one.state) for one in self.all())

    def forget(self, conversation: str) -> None:
        """Keep nothing of this conversation. For any thread."""
        with self._lock:
            self._parked = [one for one in self._parked if one.conversation != conversation]
