"""The rows of a llama_decode: a llama_batch whose arrays are Python's own, so that they are filled by slices.

One row at a time, as llama_batch_init's arrays must be, a prompt of 512 tokens took a millisecond to hand over: a
twentieth of what a graphics card needs to read it.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

from engine.llama.quiet import library


class Rows:
    """At most `size` tokens of any sequences. `batch` is the llama_batch, valid for as long as this lives."""

    def __init__(self, size: int) -> None:
        c, pointer = library(), ctypes.POINTER(ctypes.c_int32)
        arrays: list[Any] = [(ctypes.c_int32 * size)() for _ in range(3)]
        self._token, self._position, self._sequence = arrays
        self._logits: Any = (ctypes.c_int8 * size)()
        each = (ctypes.c_int32 * size)(*[1] * size)  # sequences of a row
        begin = ctypes.addressof(self._sequence)
        places = (ctypes.c_void_p * size)(*range(begin, begin + 4 * size, 4))
        self.batch = c.llama_batch(
            0, self._token, None, self._position, each, ctypes.cast(places, ctypes.POINTER(pointer)), self._logits
        )

    def put(self, at: int, tokens: Sequence[int], position: int, sequence: int, logits: int) -> int:
        """Fill the rows from `at` on with tokens that follow each other from `position`; the last `logits` of them get
        logits. The row after them."""
        count = len(tokens)
        end = at + count
        if count == 1:  # as in nearly all steps, and slices take five times as long
            self._token[at], self._position[at] = tokens[0], position
            self._sequence[at], self._logits[at] = sequence, logits
            return end
        self._token[at:end] = tokens
        self._position[at:end] = range(position, position + count)
        self._sequence[at:end] = [sequence] * count
        self._logits[at:end] = [0] * (count - logits) + [1] * logits
        return end

    def run(self, read: Callable[[Any, Any], int], context: Any, count: int) -> int:
        """Have llama_decode or llama_encode `read` the first `count` rows; its status."""
        self.batch.n_tokens = count
        return int(read(context, self.batch))
