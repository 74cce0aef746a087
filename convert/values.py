"""Values of one type made values of another, a slab at a time, and what gets lost in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from convert.operations import Array, Change
from models.gguf_types import TENSOR_TYPES

TYPES = {name: (number, elements, size) for number, (name, elements, size) in TENSOR_TYPES.items()}
PLAIN = ("F32", "F16", "BF16", "I8", "I16", "I32", "I64", "F64")
LARGEST_F16 = 65504.0


@dataclass
class Loss:
    """What was seen of a tensor's values: how many are no numbers, and how many a float16 cannot hold."""

    not_finite: int = 0
    too_large: int = 0

    def __iadd__(self, other: Loss) -> Loss:
        self.not_finite += other.not_finite
        self.too_large += other.too_large
        return self


def row_bytes(kind: str, columns: int) -> int:
    """Bytes of one row in a ggml type; `columns` is a multiple of the type's block."""
    _, elements, size = TYPES[kind]
    return columns // elements * size


def slabs(block: Array, most: int) -> Iterator[Array]:
    """A block's values in order in pieces of about `most` of them; a row of the last axis is never cut."""
    if block.size <= most or block.ndim <= 1:
        yield block
        return
    inner = block.size // block.shape[0]
    if inner > most and block.ndim > 2:
        for part in block:
            yield from slabs(part, most)
        return
    step = max(1, most // inner)
    for start in range(0, block.shape[0], step):
        yield block[start : start + step]


def as_float32(values: Array, dtype: str) -> NDArray[np.float32]:
    """Values of a checkpoint's type (see checkpoint.DTYPES) as float32. Raises KeyError for FP8: that has a scale."""
    if dtype == "BF16":
        wide = values.astype(np.uint32)
        wide <<= 16
        return wide.view(np.float32)
    if dtype.startswith("F8"):
        raise KeyError(dtype)
    return values.astype(np.float32)


def encode(values: Array, dtype: str, kind: str, change: Change | None) -> tuple[bytes | memoryview, Loss]:
    """A slab in its ggml type, and its loss. `values`: whole rows, as the bits of `dtype`."""
    if dtype == kind and change is None:
        plain = np.ascontiguousarray(values)
        return plain.reshape(-1).view(np.uint8).data, _loss_of_bits(plain, dtype)
    if dtype == "BF16" and kind == "F16" and change is None:
        return _from_bfloat16(values)
    floats = np.ascontiguousarray(as_float32(values, dtype))
    if change:
        floats = np.ascontiguousarray(change(floats), np.float32)
    loss = Loss(int(floats.size - np.count_nonzero(np.isfinite(floats))))
    if kind == "F16":
        return _as_f16(floats, loss), loss
    if kind == "F32":
        return floats.reshape(-1).view(np.uint8).data, loss
    if kind == "BF16":
        return as_bfloat16(floats).reshape(-1).view(np.uint8).data, loss
    from engine.llama.ggml_types import quantize_rows

    return quantize_rows(floats.reshape(-1, floats.shape[-1]), kind), loss


def as_bfloat16(values: NDArray[np.float32]) -> NDArray[np.uint16]:
    """To the nearest, ties to even; a NaN stays one."""
    bits = values.view(np.uint32)
    rounded = (bits + (np.uint32(0x7FFF) + ((bits >> 16) & 1))) >> 16
    broken = (bits & 0x7FFFFFFF) > 0x7F800000
    if broken.any():
        rounded = np.where(broken, (bits >> 16) | 64, rounded)
    return rounded.astype(np.uint16)


@cache
def _halves() -> NDArray[np.uint16]:
    """The bits of a float16 for each of the 65,536 bfloat16."""
    every = as_float32(np.arange(1 << 16, dtype=np.uint32).astype(np.uint16), "BF16")
    with np.errstate(over="ignore", invalid="ignore"):
        return every.astype(np.float16).view(np.uint16)


def _from_bfloat16(values: Array) -> tuple[memoryview, Loss]:
    """bfloat16 -> float16 on the bits: most need only their exponent moved, those near its ends are looked up."""
    bits = np.ascontiguousarray(values, np.uint16).reshape(-1)
    moved = (bits & 0x7FFF) - np.uint16(112 << 7)  # from a bias of 127 to one of 15; wraps below
    half = (moved << 3) | (bits & 0x8000)
    odd = np.flatnonzero((moved - np.uint16(1 << 7)) >= (30 << 7))
    half[odd] = _halves()[bits[odd]]
    loss = _loss_of_bits(bits, "BF16")
    infinite = int(np.count_nonzero((half & 0x7FFF) == 0x7C00))
    if infinite:
        loss.too_large = infinite - int(np.count_nonzero((bits & 0x7FFF) == 0x7F80))
    return half.view(np.uint8).data, loss


def _as_f16(floats: NDArray[np.float32], loss: Loss) -> memoryview:
    with np.errstate(over="ignore", invalid="ignore"):
        half = floats.astype(np.float16)
    infinite = int(np.count_nonzero((half.view(np.uint16) & 0x7FFF) == 0x7C00))
    if infinite:
        loss.too_large = infinite - int(np.count_nonzero(np.isinf(floats)))
    return half.reshape(-1).view(np.uint8).data


def _loss_of_bits(values: Array, dtype: str) -> Loss:
    """Infinities and NaNs are the values whose exponent is all ones."""
    ones = {"F32": (np.uint32, 0x7F800000), "F16": (np.uint16, 0x7C00), "BF16": (np.uint16, 0x7F80)}
    if dtype not in ones:
        return Loss()
    kind, mask = ones[dtype]
    bits = values.reshape(-1).view(kind)
    return Loss(int(np.count_nonzero((bits & kind(mask)) == kind(mask))))
