"""Linear attention's layers (gated delta net): what Qwen 3 Next and 3.5 do to them on the way to GGUF.

Several heads of values share a head of keys. Checkpoints keep a key's values together; llama.cpp repeats keys as a
whole, so that it wants the first values of all keys, then the second ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from convert.operations import Array, Laid, Sizes, grouped, laid, odd_shape

KEYS, VALUES = "linear_num_key_heads", "linear_num_value_heads"
KEY_WIDTH, VALUE_WIDTH = "linear_key_head_dim", "linear_value_head_dim"


def _shared(sizes: Sizes) -> int:
    """Heads of values for each of keys."""
    return sizes.size(VALUES) // sizes.size(KEYS)


@dataclass(frozen=True)
class Heads:
    """Rows of heads, [query, key, values, gates] again and again -> all queries, keys, values; all gates."""

    rows: bool = field(default=True, init=False)

    def forward(self, arrays: Sequence[Array], sizes: Sizes) -> list[Laid]:
        (array,) = arrays
        heads, width, inner = grouped(array, sizes.size(KEYS)), sizes.size(KEY_WIDTH), self._inner(sizes)
        if heads.shape[1] != 2 * width + 2 * inner:
            raise odd_shape(array, f"a head should have {2 * width + 2 * inner} rows")
        first, last = heads[:, : 2 * width + inner], heads[:, 2 * width + inner :]
        parts = np.split(first, [width, 2 * width], axis=1)
        rest = array.shape[1:]
        count = heads.shape[0]
        return [Laid((count * first.shape[1], *rest), tuple(parts)), laid(last, (count * inner, *rest))]

    def inverse(self, arrays: Sequence[Array], sizes: Sizes) -> list[Laid]:
        joined, gates = arrays
        heads, width = sizes.size(KEYS), sizes.size(KEY_WIDTH)
        cuts = [heads * width, 2 * heads * width]
        parts = [grouped(part, heads) for part in (*np.split(joined, cuts), gates)]
        return [laid(np.concatenate(parts, axis=1), (joined.shape[0] + gates.shape[0], *joined.shape[1:]))]

    def _inner(self, sizes: Sizes) -> int:
        return _shared(sizes) * sizes.size(VALUE_WIDTH)


@dataclass(frozen=True)
class ValueRows:
    """Rows of values put in llama.cpp's order. `width` names a head's rows; `behind`: queries and keys come first."""

    width: str | int = VALUE_WIDTH
    behind: bool = False
    rows: bool = field(default=True, init=False)

    def forward(self, arrays: Sequence[Array], sizes: Sizes) -> list[Laid]:
        return [self._turned(arrays[0], sizes, (sizes.size(KEYS), _shared(sizes)))]

    def inverse(self, arrays: Sequence[Array], sizes: Sizes) -> list[Laid]:
        return [self._turned(arrays[0], sizes, (_shared(sizes), sizes.size(KEYS)))]

    def _turned(self, array: Array, sizes: Sizes, counts: tuple[int, int]) -> Laid:
        first = 2 * sizes.size(KEYS) * sizes.size(KEY_WIDTH) if self.behind else 0
        rows = sizes.size(VALUES) * sizes.size(self.width)
        if not array.ndim or array.shape[0] != first + rows:
            raise odd_shape(array, f"it should have {first + rows} rows")
        values = grouped(array[first:], *counts).swapaxes(0, 1)
        return Laid(array.shape, (array[:first], values) if first else (values,))


@dataclass(frozen=True)
class ValueColumns:
    """The same for columns, of the matrix that takes values in. They are copied: rows are written whole."""

    rows: bool = field(default=False, init=False)

    def forward(self, arrays: Sequence[Array], sizes: Sizes) -> list[Laid]:
        return [self._turned(arrays[0], (sizes.size(KEYS), _shared(sizes)))]

    def inverse(self, arrays: Sequence[Array], sizes: Sizes) -> list[Laid]:
        return [self._turned(arrays[0], (_shared(sizes), sizes.size(KEYS)))]

    def _turned(self, array: Array, counts: tuple[int, int]) -> Laid:
        heads = counts[0] * counts[1]
        if array.ndim != 2 or array.shape[1] % heads:
            raise odd_shape(array, f"its columns are not {heads} heads")
        apart = array.reshape(array.shape[0], *counts, array.shape[1] // heads)
        return laid(apart.swapaxes(1, 2).reshape(array.shape))
