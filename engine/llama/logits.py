"""llama.cpp's logits as arrays."""

from __future__ import annotations

import ctypes
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
        self._find = library().llama_get_logits_ith

    def of(self, context: Any, index: int) -> Floats:
        """Those of output `index` (-1 = the last), llama.cpp's own memory: valid until the next decode."""
        pointer = self._find(context, index)
        address = ctypes.addressof(pointer.contents)
        view = self._views.get(address)
        return self._view(pointer, address) if view is None else view

    def _view(self, pointer: Any, address: int) -> Floats:
        import numpy as np

        if len(self._views) >= MOST_VIEWS:
            self._views.clear()
        view = self._views[address] = np.ctypeslib.as_array(pointer, (self._size,))
        return view
