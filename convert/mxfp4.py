"""Experts of 4 bits with a scale for 32 values (OCP Microscaling, MXFP4): moved into ggml's blocks, lossless.

A checkpoint has (…, rows, groups, 16) bytes, two neighbouring values a byte, the first one low; and (…, rows, groups)
scales. ggml has a scale and 16 bytes a group: value j low and value j + 16 high in byte j.
https://www.opencompute.org/documents/ocp-microscaling-formats-mx-v1-0-spec-final-pdf
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import overload

import numpy as np
from numpy.typing import NDArray

from convert.operations import Array, Laid, Sizes, laid, odd_shape

GROUP, PAIRS, BLOCK = 32, 16, 17


@dataclass(frozen=True)
class Mxfp4:
    """Blocks and scales of all experts -> one packed tensor, or two where gate and up take every second row."""

    parts: int = 1
    rows: bool = field(default=False, init=False)
    packed: str = field(default="MXFP4", init=False)

    def forward(self, arrays: Sequence[Array], sizes: Sizes) -> list[Laid]:
        blocks, scales = arrays
        if blocks.ndim != 4 or blocks.shape[-1] != PAIRS or blocks.shape[:-1] != scales.shape:
            raise odd_shape(blocks, "MXFP4 has 16 bytes and one scale for 32 values")
        if blocks.shape[1] % self.parts:
            raise odd_shape(blocks, f"its rows should be a multiple of {self.parts}")
        return [self._part(blocks[:, part :: self.parts], scales[:, part :: self.parts]) for part in range(self.parts)]

    def _part(self, blocks: Array, scales: Array) -> Laid:
        experts, rows, groups, _ = blocks.shape
        return Laid((experts, rows, groups * GROUP), Repacked(blocks, scales))

    def inverse(self, arrays: Sequence[Array], sizes: Sizes) -> list[Laid]:
        """Packed bytes (experts, rows, groups * 17) -> blocks and scales."""
        experts, rows, width = arrays[0].shape
        raw = [np.asarray(array, np.uint8) for array in arrays]
        whole = np.stack(raw, axis=2).reshape(experts, rows * len(arrays), width // BLOCK, BLOCK)
        low, high = whole[..., 1:] & 0x0F, whole[..., 1:] >> 4
        values = np.concatenate([low, high], axis=-1)
        return [laid(values[..., 0::2] | (values[..., 1::2] << 4)), laid(whole[..., 0])]


class Repacked(Sequence[Array]):
    """One expert after the other, each made when it is asked for."""

    def __init__(self, blocks: Array, scales: Array) -> None:
        self.blocks, self.scales = blocks, scales

    def __len__(self) -> int:
        return len(self.blocks)

    @overload
    def __getitem__(self, place: int) -> Array: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Array]: ...
    def __getitem__(self, place: int | slice) -> Array | Sequence[Array]:
        if isinstance(place, slice):
            return Repacked(self.blocks[place], self.scales[place])
        return repacked(self.blocks[place], self.scales[place])


def repacked(blocks: Array, scales: Array) -> NDArray[np.uint8]:
    """(rows, groups, 16) and (rows, groups) -> (rows, groups * 17) bytes."""
    raw = np.asarray(blocks, np.uint8)
    values = np.stack([raw & 0x0F, raw >> 4], axis=-1).reshape(*raw.shape[:2], GROUP)
    made = np.empty((*raw.shape[:2], BLOCK), np.uint8)
    made[..., 0] = scales
    made[..., 1:] = values[..., :PAIRS] | (values[..., PAIRS:] << 4)
    return made.reshape(raw.shape[0], -1)
