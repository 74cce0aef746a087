"""One sequence of tokens in a model's KV cache."""

from __future__ import annotations

import ctypes

from engine.llama.model import Model
from engine.llama.quiet import library

AdapterKey = tuple[tuple[str, float], ...]  # path and scale of each


class Slot:
    """The tokens that sequence `number` holds in the KV cache. Belongs to the model's thread.

    `held` is what the cache holds, always: whatever fails is cut back to it. `adapters` are those it was read with:
    the keys and values of a token depend on them.
    """

    def __init__(self, model: Model, number: int) -> None:
        c = library()
        self.model, self.number = model, number
        self.held: list[int] = []
        self.adapters: AdapterKey = ()
        self.conversation = ""  # whose tokens these are, for the disk
        self.dirty = False  # holds tokens that the disk does not
        self.used = 0.0  # when last, for "least recently used"
        self._window = int(c.llama_model_n_swa(model.handle))
        self._memory = c.llama_get_memory(model.context)

    def shared(self, tokens: list[int], adapters: AdapterKey) -> int:
        """How many tokens of a prompt are here already; the last one is always decoded anew, for its logits."""
        if adapters != self.adapters:
            return 0
        return min(shared_prefix(self.held, tokens), len(tokens) - 1)

    def cut(self, length: int) -> None:
        """Leave the first `length` tokens, or nothing where the memory cannot be cut there.

        Recurrent models cannot give up their end alone, nor can a sliding window that has gone by.
        """
        c = library()
        if length < len(self.held) or c.llama_memory_seq_pos_max(self._memory, self.number) >= length:
            whole = c.llama_memory_seq_rm(self._memory, self.number, length, -1)
            if not whole or not self._window_is_there(length):
                c.llama_memory_seq_rm(self._memory, self.number, -1, -1)
                length = 0
        del self.held[length:]

    def clear(self) -> None:
        """Give all cells back."""
        library().llama_memory_seq_rm(self._memory, self.number, -1, -1)
        self.held.clear()
        self.conversation, self.dirty, self.adapters = "", False, ()

    def copy(self, other: Slot, length: int) -> None:
        """Begin with the first `length` tokens of another slot; their cells are shared, not doubled."""
        self.clear()
        library().llama_memory_seq_cp(self._memory, other.number, self.number, 0, length)
        self.held[:] = other.held[:length]
        self.adapters = other.adapters

    def state_bytes(self) -> int:
        """What `state` would take."""
        return int(library().llama_state_seq_get_size(self.model.context, self.number))

    def state(self) -> memoryview:
        """Keys and values of all tokens, as llama.cpp writes them."""
        size = self.state_bytes()
        room = (ctypes.c_uint8 * size)()
        written = library().llama_state_seq_get_data(self.model.context, room, size, self.number)
        return memoryview(room).cast("B")[:written]

    def restore(self, tokens: list[int], state: bytes | memoryview, adapters: AdapterKey) -> bool:
        """Take over a state that `state` gave earlier; False where llama.cpp does not want it."""
        self.clear()
        kind = ctypes.c_uint8 * len(state)
        room = kind.from_buffer_copy(state) if isinstance(state, bytes) else kind.from_buffer(state)
        read = library().llama_state_seq_set_data(self.model.context, room, len(state), self.number)
        if not read or self._last() != len(tokens) - 1:
            self.clear()
            return False
        self.held[:], self.adapters = tokens, adapters
        return True

    def _last(self) -> int:
        return int(library().llama_memory_seq_pos_max(self._memory, self.number))

    def _window_is_there(self, length: int) -> bool:
        """With a sliding window the tokens just before `length` may have left the cache already."""
        oldest = library().llama_memory_seq_pos_min(self._memory, self.number)
        return length == 0 or self._window == 0 or 0 <= oldest <= max(0, length - self._window)


def shared_prefix(one: list[int], other: list[int]) -> int:
    """How many tokens both begin with. Compares slices, for lists of tens of thousands."""
    low, high = 0, min(len(one), len(other))
    if one[:high] == other[:high]:
        return high
    while high - low > 1:
        middle = (low + high) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle
    return low


def can_be_cut(model: Model) -> bool:
    """Whether the end of a sequence can be taken back: guessing ahead needs it. Recurrent states cannot."""
    c = library()
    return not (c.llama_model_is_recurrent(model.handle) or c.llama_model_is_hybrid(model.handle))
