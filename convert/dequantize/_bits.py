"""Small numbers out of the words they are packed in."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from convert.operations import Array


def from_words(words: Array, bits: int) -> NDArray[np.uint8]:
    """Numbers of `bits` bits that follow each other in 32-bit words along the first axis, the lowest bits first.

    Shape (words, …) -> (words * 32 // bits, …). Three bits run on over the words' borders.
    """
    raw = np.ascontiguousarray(np.moveaxis(words, 0, -1)).view(np.uint8)
    if bits == 8:
        return np.moveaxis(raw, -1, 0)
    if 8 % bits == 0:
        parts = [(raw >> shift) & ((1 << bits) - 1) for shift in range(0, 8, bits)]
        found = np.stack(parts, axis=-1).reshape(*raw.shape[:-1], -1)
        return np.moveaxis(found, -1, 0)
    single = np.unpackbits(raw, axis=-1, bitorder="little")
    grouped = single.reshape(*single.shape[:-1], -1, bits)
    weights = (1 << np.arange(bits)).astype(np.uint8)
    return np.moveaxis((grouped * weights).sum(-1, dtype=np.uint8), -1, 0)
