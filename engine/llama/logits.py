"""llama.cpp's logits as arrays."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from engine.llama.quiet import library

if TYPE_CHECKING:
    from engine.llama.ggml_types import Floats

MOST_VIEWS = 1024  # rows of a batch, and some more for a buffer that moved


class Logits:
    """The logits of one context's last batch, float32 and `vocab_size` wide.

    The views are kept by address: to make one takes longer than to find the likeliest token in it.
    """

    def __init__(self, vocab_size: int) -> None:
        self._size, self._views = vocab_size, dict[int, "Floats"]()
        self._find = _as_numbers()

    def of(self, context: Any, index: int) -> Floats:
        """Those of output `index` (-1 = the last), llama.cpp's own memory: valid until the next decode."""
        address = self._find(context, index)
        view = self._views.get(address)
        return self._view(address) if view is None else view

    def _view(self, address: int) -> Floats:
        import numpy as np

        if len(self._views) >= MOST_VIEWS:
            self._views.clear()
        row = (ctypes.c_float * self._size).from_address(address)
        view = self._views[address] = np.ctypeslib.as_array(row)
        return view


def _as_numbers() -> Callable[[Any, int], int]:
    """llama_get_logits_ith with the address as a number: llama_cpp's own makes three objects of each."""
    find: Any = library()._lib["llama_get_logits_ith"]  # by index: a new one, whose types are nobody else's
    find.argtypes, find.restype = [ctypes.c_void_p, ctypes.c_int32], ctypes.c_void_p
    found: Callable[[Any, int], int] = find
    return found
