"""What is done to tensors between a checkpoint and GGUF, each with its inverse.

Operations rearrange numpy views and copy nothing: the result is one or several blocks whose values, in order, are the
tensor. So the same code serves the plan (views of nothing, for shapes only), the stream (views of mapped files, read a
slab at a time), the way back, and the matrices of an adapter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.api.errors import UserError

Array = NDArray[np.generic]
Change = Callable[[NDArray[np.float32]], NDArray[np.float32]]


class Sizes(Protocol):
    """Where operations learn counts: Config."""

    def size(self, name: str | int) -> int:
        """A count by name."""


@dataclass(frozen=True)
class Laid:
    """A tensor of `shape`: the blocks' values one after the other in C order, `change` applied to them as float32.

    The last axis of a block is the last axis of the tensor, or a part of it where the tensor has one axis.
    """

    shape: tuple[int, ...]
    blocks: Sequence[Array]
    change: Change | None = None

    def array(self) -> Array:
        """All of it as one array, a view where that is possible; `change` is not applied."""
        if len(self.blocks) == 1:
            return self.blocks[0].reshape(self.shape)
        return np.concatenate([block.reshape(-1) for block in self.blocks]).reshape(self.shape)


def laid(array: Array, shape: Sequence[int] | None = None, change: Change | None = None) -> Laid:
    """One block, of its own shape or another with as many values."""
    return Laid(tuple(shape if shape is not None else array.shape), (array,), change)


class Operation(Protocol):
    """`forward`: checkpoint -> GGUF, `inverse`: back. `rows`: only the first axis is touched, whatever the others are.

    Both raise UserError odd_shape where a shape cannot be what the config says, no_way_back where there is no inverse.
    """

    @property
    def rows(self) -> bool: ...

    def forward(self, arrays: Sequence[Array], sizes: Sizes) -> list[Laid]:
        """Sources in the rule's order -> targets in its order."""

    def inverse(self, arrays: Sequence[Array], sizes: Sizes) -> list[Laid]:
        """Targets in the rule's order -> sources in its order."""


def odd_shape(array: Array, wanted: str) -> UserError:
    """The error of a tensor whose shape contradicts config.json."""
    shape = " x ".join(str(length) for length in array.shape)
    return UserError(
        "odd_shape",
        f"A tensor of {shape} does not fit config.json: {wanted}.",
        "config.json and the weights are not of the same model; download both again.",
        shape=shape,
        wanted=wanted,
    )


def grouped(array: Array, *counts: int) -> Array:
    """The first axis cut into axes of these counts and the rest: a view."""
    if not array.ndim or array.shape[0] % int(np.prod(counts)):
        raise odd_shape(array, f"its rows are not a multiple of {int(np.prod(counts))}")
    return array.reshape(*counts, array.shape[0] // int(np.prod(counts)), *array.shape[1:])


@dataclass(frozen=True)
class Same:
    """As it is."""

    rows: bool = field(default=True, init=False)

    def forward(self, arrays: Sequence[Array], sizes: Sizes) -> list[Laid]:
        return [laid(array) for array in arrays]

    inverse = forward


SAME = Same()


@dataclass(frozen=True)
class Permute:
    """Rows of rotary heads: halves (Hugging Face) -> pairs (ggml's NORM kind). `heads` names their count."""

    heads: str | int = "heads"
    rows: bool = field(default=True, init=False)

    def forward(self, arrays: Sequence[Array], sizes: Sizes) -> list[Laid]:
        return [laid(grouped(a, sizes.size(self.heads), 2).swapaxes(1, 2), a.shape) for a in arrays]

    def inverse(self, arrays: Sequence[Array], sizes: Sizes) -> list[Laid]:
        heads = sizes.size(self.heads)
        return [
            laid(grouped(a, heads, a.shape[0] // heads // 2).swapaxes(1, 2), a.shape) for a in map(_even(heads), arrays)
        ]


def _even(heads: int) -> Callable[[Array], Array]:
    def check(array: Array) -> Array:
        if array.shape[0] % (2 * heads):
            raise odd_shape(array, f"its rows are not {heads} heads of even width")
        return array

    return check


@dataclass(frozen=True)
class Split:
    """One tensor -> several along an axis. `lengths` name each part's length; () means `parts` of the same."""

    lengths: tuple[str | int, ...] = ()
    parts: int = 2
    axis: int = 0
    rows: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rows", self.axis == 0)

    def forward(self, arrays: Sequence[Array], sizes: Sizes) -> list[Laid]:
        (array,) = arrays
        whole = array.shape[self.axis]
        lengths = [sizes.size(name) for name in self.lengths] or [whole // self.parts] * self.parts
        if sum(lengths) != whole:
            raise odd_shape(array, f"it should be {sum(lengths)} long")
        return [laid(part) for part in np.split(array, np.cumsum(lengths)[:-1], axis=self.axis)]

    def inverse(self, arrays: Sequence[Array], sizes: Sizes) -> list[Laid]:
        if self.axis != 0:
            return [laid(np.concatenate(arrays, axis=self.axis))]
        return Join().forward(arrays, sizes)


@dataclass(frozen=True)
class Join:
    """Several tensors -> one, along the first axis. `lengths` are for the way back."""

    lengths: tuple[str | int, ...] = ()
    rows: bool = field(default=True, init=False)

    def forward(self, arrays: Sequence[Array], sizes: Sizes) -> list[Laid]:
        rows = sum(array.shape[0] for array in arrays)
        return [Laid((rows, *arrays[0].shape[1:]), tuple(arrays))]

    def inverse(self, arrays: Sequence[Array], sizes: Sizes) -> list[Laid]:
        if not self.lengths:
            raise no_way_back("tensors that were joined")
        return Split(self.lengths).forward(arrays, sizes)


@dataclass(frozen=True)
class Groups:
    """Rows in groups of heads, [q … q k v] again and again -> all q, all k, all v: as one tensor or as three.

    `groups` names how many there are; `queries` how many q heads a group has. `permute`: q and k go from halves to
    pairs on the way, as in Permute.
    """

    groups: str | int = "kv_heads"
    heads: str | int = "heads"
    fused: bool = False
    permute: bool = False
    rows: bool = field(default=True, init=False)

    def forward(self, arrays: Sequence[Array], sizes: Sizes) -> list[Laid]:
        (array,) = arrays
        groups = sizes.size(self.groups)
        queries = sizes.size(self.heads) // groups
        heads = grouped(array, groups, queries + 2)
        parts = [self._turned(heads[:, :queries]), self._turned(heads[:, -2:-1]), heads[:, -1:]]
        width, rest = heads.shape[2], array.shape[1:]
        if self.fused:
            return [Laid(array.shape, tuple(parts))]
        rows = (groups * queries * width, groups * width, groups * width)
        return [laid(part, (count, *rest)) for part, count in zip(parts, rows, strict=True)]

    def inverse(self, arrays: Sequence[Array], sizes: Sizes) -> list[Laid]:
        groups = sizes.size(self.groups)
        queries = sizes.size(self.heads) // groups
        rows = sum(array.shape[0] for array in arrays)
        width = rows // (groups * (queries + 2))
        if self.fused:
            arrays = np.split(arrays[0], [groups * queries * width, groups * (queries + 1) * width])
        q, k, v = (a.reshape(groups, a.shape[0] // groups // width, width, *a.shape[1:]) for a in arrays)
        if self.permute:
            q, k = (self._back(heads) for heads in (q, k))
        return [laid(np.concatenate([q, k, v], axis=1), (rows, *arrays[0].shape[1:]))]

    def _turned(self, heads: Array) -> Array:
        """(groups, n, width, …) with the width's halves made pairs."""
        if not self.permute:
            return heads
        return heads.reshape(*heads.shape[:2], 2, heads.shape[2] // 2, *heads.shape[3:]).swapaxes(2, 3)

    def _back(self, heads: Array) -> Array:
        turned = heads.reshape(*heads.shape[:2], heads.shape[2] // 2, 2, *heads.shape[3:]).swapaxes(2, 3)
        return turned.reshape(heads.shape)


@dataclass(frozen=True)
class Stack:
    """One tensor an expert -> one of all."""

    rows: bool = field(default=False, init=False)

    def forward(self, arrays: Sequence[Array], sizes: Sizes) -> list[Laid]:
        if len({array.shape for array in arrays}) != 1:
            raise odd_shape(arrays[0], "the experts are not of one shape")
        return [Laid((len(arrays), *arrays[0].shape), tuple(arrays))]

    def inverse(self, arrays: Sequence[Array], sizes: Sizes) -> list[Laid]:
        return [laid(one) for one in arrays[0]]


@dataclass(frozen=True)
class Transpose:
    """The last two axes change places."""

    rows: bool = field(default=False, init=False)

    def forward(self, arrays: Sequence[Array], sizes: Sizes) -> list[Laid]:
        return [laid(array.swapaxes(-1, -2)) for array in arrays]

    inverse = forward


@dataclass(frozen=True)
class Add:
    """A number added to every value (norms that are stored as their distance from one)."""

    number: float
    rows: bool = field(default=False, init=False)

    def forward(self, arrays: Sequence[Array], sizes: Sizes) -> list[Laid]:
        return [laid(array, change=lambda values: values + np.float32(self.number)) for array in arrays]

    def inverse(self, arrays: Sequence[Array], sizes: Sizes) -> list[Laid]:
        return Add(-self.number).forward(arrays, sizes)


@dataclass(frozen=True)
class NegativeExp:
    """-exp(x): the decay of a state space layer, stored as its logarithm. Rounded once: numpy's own is off by a bit."""

    rows: bool = field(default=False, init=False)

    def forward(self, arrays: Sequence[Array], sizes: Sizes) -> list[Laid]:
        return [laid(array, change=_decay) for array in arrays]

    def inverse(self, arrays: Sequence[Array], sizes: Sizes) -> list[Laid]:
        return [laid(array, change=_undecay) for array in arrays]


def _decay(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return (-np.exp(values.astype(np.float64))).astype(np.float32)


def _undecay(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.log(-values.astype(np.float64)).astype(np.float32)


@dataclass(frozen=True)
class UnitRows:
    """Every row made of length one (Baichuan 2's head does so whenever it is used). Its inverse is to leave it."""

    rows: bool = field(default=False, init=False)

    def forward(self, arrays: Sequence[Array], sizes: Sizes) -> list[Laid]:
        return [laid(array, change=_unit) for array in arrays]

    def inverse(self, arrays: Sequence[Array], sizes: Sizes) -> list[Laid]:
        return [laid(array) for array in arrays]


def _unit(values: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(values, axis=-1, keepdims=True)
    found: NDArray[np.float32] = values / np.maximum(lengths, np.float32(1e-7))
    return found


@dataclass(frozen=True)
class Cut:
    """The first rows left out (positions that padding takes). `count` names how many. The way back makes them zero."""

    count: str | int
    rows: bool = field(default=True, init=False)

    def forward(self, arrays: Sequence[Array], sizes: Sizes) -> list[Laid]:
        return [laid(array[sizes.size(self.count) :]) for array in arrays]

    def inverse(self, arrays: Sequence[Array], sizes: Sizes) -> list[Laid]:
        count = sizes.size(self.count)
        made = [np.concatenate([np.zeros((count, *a.shape[1:]), a.dtype), a]) for a in arrays]
        return [laid(array) for array in made]


@dataclass(frozen=True)
class FirstRows:
    """No more than the first rows: an embedding without rows that no token has. They stay away on the way back."""

    count: str | int
    rows: bool = field(default=True, init=False)

    def forward(self, arrays: Sequence[Array], sizes: Sizes) -> list[Laid]:
        return [laid(array[: sizes.size(self.count)]) for array in arrays]

    def inverse(self, arrays: Sequence[Array], sizes: Sizes) -> list[Laid]:
        return [laid(array) for array in arrays]


@dataclass(frozen=True)
class Squeeze:
    """An axis of length one left out (convolutions over one channel)."""

    axis: int = 1
    rows: bool = field(default=False, init=False)

    def forward(self, arrays: Sequence[Array], sizes: Sizes) -> list[Laid]:
        if any(array.ndim <= self.axis or array.shape[self.axis] != 1 for array in arrays):
            raise odd_shape(arrays[0], f"axis {self.axis} should be of length one")
        return [laid(array.squeeze(self.axis)) for array in arrays]

    def inverse(self, arrays: Sequence[Array], sizes: Sizes) -> list[Laid]:
        return [laid(np.expand_dims(array, self.axis)) for array in arrays]


@dataclass(frozen=True)
class Chain:
    """One operation after the other. What the first rearranges is copied where the second cannot look through it."""

    steps: tuple[Operation, ...]

    @property
    def rows(self) -> bool:
        """Whether every step touches the first axis only."""
        return all(step.rows for step in self.steps)

    def forward(self, arrays: Sequence[Array], sizes: Sizes) -> list[Laid]:
        return self._through([step.forward for step in self.steps], arrays, sizes)

    def inverse(self, arrays: Sequence[Array], sizes: Sizes) -> list[Laid]:
        return self._through([step.inverse for step in reversed(self.steps)], arrays, sizes)

    def _through(
        self,
        steps: Sequence[Callable[[Sequence[Array], Sizes], list[Laid]]],
        arrays: Sequence[Array],
        sizes: Sizes,
    ) -> list[Laid]:
        found = [laid(array) for array in arrays]
        changes: list[Change] = []
        for step in steps:
            found = step([each.array() for each in found], sizes)
            changes += [change for change in {id(each.change): each.change for each in found}.values() if change]
        return [Laid(each.shape, each.blocks, _after_each_other(changes)) for each in found]


def _after_each_other(changes: list[Change]) -> Change | None:
    def apply(values: NDArray[np.float32]) -> NDArray[np.float32]:
        for change in changes:
            values = change(values)
        return values

    return apply if changes else None


def no_way_back(what: str) -> UserError:
    """The error of an operation without an inverse."""
    return UserError(
        "no_way_back",
        f"{what[:1].upper()}{what[1:]} cannot be taken apart again.",
        "Use the original checkpoint.",
        what=what,
    )
