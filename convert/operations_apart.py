"""Operations that treat several tensors each in its own way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from convert.operations import SAME, Array, Change, Laid, Operation, Sizes, laid


@dataclass(frozen=True)
class Apart:
    """One operation of one tensor for each of them, in order."""

    operations: tuple[Operation, ...]

    @property
    def rows(self) -> bool:
        """Whether each touches the first axis only."""
        return all(each.rows for each in self.operations)

    def forward(self, arrays: Sequence[Array], sizes: Sizes) -> list[Laid]:
        pairs = zip(self.operations, arrays, strict=True)
        return [one for operation, array in pairs for one in operation.forward([array], sizes)]

    def inverse(self, arrays: Sequence[Array], sizes: Sizes) -> list[Laid]:
        pairs = zip(self.operations, arrays, strict=True)
        return [one for operation, array in pairs for one in operation.inverse([array], sizes)]


@dataclass(frozen=True)
class RootScale:
    """Every value divided by the square root of a count."""

    count: str
    rows: bool = field(default=False, init=False)

    def forward(self, arrays: Sequence[Array], sizes: Sizes) -> list[Laid]:
        return [_scaled(array, sizes.size(self.count) ** -0.5) for array in arrays]

    def inverse(self, arrays: Sequence[Array], sizes: Sizes) -> list[Laid]:
        return [_scaled(array, sizes.size(self.count) ** 0.5) for array in arrays]


@dataclass(frozen=True)
class Times:
    """What an operation gives, every value times a power of two: exact, whatever the type."""

    factor: float
    operation: Operation = SAME

    @property
    def rows(self) -> bool:
        """Whether it touches the first axis only."""
        return self.operation.rows

    def forward(self, arrays: Sequence[Array], sizes: Sizes) -> list[Laid]:
        made = self.operation.forward(arrays, sizes)
        return [Laid(each.shape, each.blocks, _multiply(self.factor)) for each in made]

    def inverse(self, arrays: Sequence[Array], sizes: Sizes) -> list[Laid]:
        made = self.operation.inverse(arrays, sizes)
        return [Laid(each.shape, each.blocks, _multiply(1 / self.factor)) for each in made]


def _scaled(array: Array, factor: float) -> Laid:
    return laid(array, change=_multiply(factor))


def _multiply(factor: float) -> Change:
    def change(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return values * np.float32(factor)

    return change
