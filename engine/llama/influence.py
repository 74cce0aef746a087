"""How much each block of a model changes what passes through it, watched while it reads."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from engine.llama.hook import F32, Hook, Tensor

if TYPE_CHECKING:
    from engine.llama.hook import Floats

SLAB = 64
_BLOCK = re.compile(rb"l_out-(\d+)")
_INPUT = (b"embd", b"inp_embd", b"inp_scaled")  # what goes into the first block; the last where embeddings are scaled


class Influence(Hook):
    """`cosines`: for each block the sum over tokens of the cosine between what goes in and what comes out; `tokens`."""

    def __init__(self) -> None:
        super().__init__()
        self.cosines: dict[int, float] = {}
        self.tokens: dict[int, int] = {}
        self._before: Floats | None = None
        self._number = -1  # of the block whose output `_before` is; -1 the embeddings

    def begin(self) -> None:
        """A new batch."""
        self._before, self._number = None, -1

    def wants(self, tensor: Tensor) -> bool:
        """The embeddings and each block's output."""
        return tensor.type == F32 and (tensor.name in _INPUT or bool(_BLOCK.fullmatch(tensor.name)))

    def take(self, tensor: Tensor) -> bool:
        """Compare with what went in."""
        values = self.floats(tensor)[0, 0].copy()  # llama.cpp reuses the memory
        block = _BLOCK.fullmatch(tensor.name)
        number = int(block[1]) if block else -1
        if self._before is not None and number == self._number + 1 and len(values) == len(self._before):
            self.cosines[number] = self.cosines.get(number, 0.0) + cosines(self._before, values)
            self.tokens[number] = self.tokens.get(number, 0) + len(values)
        self._before, self._number = values, number
        return True


def cosines(a: Floats, b: Floats) -> float:
    """The sum over rows of the cosine between a row of `a` and that of `b`; 0 for rows of zeros."""
    import numpy as np

    total = 0.0
    for start in range(0, len(a), SLAB):
        x, y = a[start : start + SLAB].astype(np.float64), b[start : start + SLAB].astype(np.float64)
        lengths = np.sqrt((x * x).sum(1) * (y * y).sum(1))
        total += float(((x * y).sum(1) / np.where(lengths > 0, lengths, 1.0)).sum())
    return total
