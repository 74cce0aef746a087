"""One sequence of tokens in a model's context, and the only calls of llama_decode."""

from __future__ import annotations

from typing import Any

from engine.api.errors import UserError
from engine.llama.brake import Brake
from engine.llama.model import Model
from engine.llama.pace import Pace
from engine.llama.quiet import library, lines

ABORTED = 2


class Sequence:
    """The tokens that sequence `number` holds in the KV cache. Not thread-safe.

    `held` is what the cache holds, always: after an abort or a failure the cache is cut back to it.
    """

    def __init__(self, model: Model, number: int = 0) -> None:
        c = library()
        self.model, self.number = model, number
        self.held: list[int] = []
        self.brake = Brake(model.context)
        self.pace = Pace(model.context, model.threads)
        self._memory = c.llama_get_memory(model.context)
        self._batch = c.llama_batch_init(model.batch_size, 0, 1)
        for index in range(model.batch_size):
            self._batch.n_seq_id[index] = 1
            self._batch.seq_id[index][0] = number
            self._batch.logits[index] = 0

    def close(self) -> None:
        """Free the batch. Calling it twice does no harm."""
        batch, self._batch = self._batch, None
        if batch is not None:
            library().llama_batch_free(batch)

    def keep_prefix(self, tokens: list[int]) -> int:
        """Cut the cache back to what it shares with `tokens`; the answer is how many tokens that is.

        At least the last token is left to be decoded, for its logits are needed. A memory that cannot give up
        its end alone (recurrent models, sliding windows gone by) is cleared, and the answer is 0.
        """
        shared = shared_prefix(self.held, tokens)
        self._cut(min(shared, len(tokens) - 1))
        return len(self.held)

    def add(self, tokens: list[int]) -> bool:
        """Decode at most a batch of tokens at the end; the logits of the last are there afterwards.

        False if it was aborted. Raises UserError out_of_memory where llama.cpp finds no room.
        """
        batch, start, last = self._batch, len(self.held), len(tokens) - 1
        batch.n_tokens = last + 1
        for index, token in enumerate(tokens):
            batch.token[index] = token
            batch.pos[index] = start + index
        batch.logits[last] = 1
        status = library().llama_decode(self.model.context, batch)
        batch.logits[last] = 0
        if status == 0:
            self.held.extend(tokens)
            return True
        self._cut(start)
        if status == ABORTED:
            return False
        raise _no_room(status)

    def stepper(self) -> Any:
        """`add` for one token, with everything looked up beforehand: (token) -> None. For the inner loop."""
        batch, held, decode, context = self._batch, self.held, library().llama_decode, self.model.context
        tokens, positions = batch.token, batch.pos
        batch.n_tokens = 1
        batch.logits[0] = 1

        def step(token: int) -> None:
            tokens[0] = token
            positions[0] = len(held)
            status = decode(context, batch)
            if status:
                self._cut(len(held))
                raise _no_room(status)
            held.append(token)

        return step

    def _cut(self, length: int) -> None:
        """Leave the first `length` tokens, or nothing where the memory cannot be cut there."""
        c = library()
        if length < len(self.held) or c.llama_memory_seq_pos_max(self._memory, self.number) >= length:
            whole = c.llama_memory_seq_rm(self._memory, self.number, length, -1)
            if not whole or not self._window_is_there(length):
                c.llama_memory_seq_rm(self._memory, self.number, -1, -1)
                length = 0
        del self.held[length:]

    def _window_is_there(self, length: int) -> bool:
        """With a sliding window the tokens just before `length` may have left the cache already."""
        c = library()
        window = int(c.llama_model_n_swa(self.model.handle))
        oldest = c.llama_memory_seq_pos_min(self._memory, self.number)
        return length == 0 or window == 0 or 0 <= oldest <= max(0, length - window)


def shared_prefix(one: list[int], other: list[int]) -> int:
    """How many tokens both begin with."""
    shortest = min(len(one), len(other))
    return next((at for at in range(shortest) if one[at] != other[at]), shortest)


def _no_room(status: int) -> UserError:
    detail = lines.last_error() or f"status {status}"
    return UserError(
        "out_of_memory",
        f"llama.cpp could not go on: {detail}.",
        "Choose a smaller context, or start a new chat.",
        detail=detail,
    )
