"""Weights of eight bits with a scale for all, for each row, or for each block."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from convert.checkpoint import Source
from convert.dequantize import odd_scales
from convert.operations import Array
from convert.values import as_float32


def scaled(weights: Source, scale: Source, block: tuple[int, int] | None) -> Source:
    """weights * scale in float32. `block`: rows and columns that share a scale; None where the shapes tell."""
    if block is None and scale.elements not in (1, weights.shape[0]):
        raise odd_scales(weights.name)
    if block and scale.shape != tuple(-(-n // b) for n, b in zip(weights.shape, block, strict=True)):
        raise odd_scales(weights.name)
    return Source(weights.name, weights.shape, "F32", partial(_values, weights, scale, block), weights.file)


def _values(weights: Source, scale: Source, block: tuple[int, int] | None) -> NDArray[np.float32]:
    values = floats_of(weights.array(), weights.dtype)
    steps = as_float32(scale.array(), scale.dtype)
    if block:
        rows, columns = block
        steps = np.repeat(np.repeat(steps, rows, 0)[: values.shape[0]], columns, 1)[:, : values.shape[1]]
        values *= steps
        return values
    values *= steps.reshape(-1, *(1,) * (values.ndim - 1)) if steps.size > 1 else steps.reshape(())
    return values


def floats_of(values: Array, dtype: str) -> NDArray[np.float32]:
    """Values of eight bits (or more) as float32."""
    if not dtype.startswith("F8"):
        return as_float32(values.view(np.int8) if dtype == "U8" else values, dtype)
    found: NDArray[np.float32] = _table(dtype)[values]
    return found


def _table(dtype: str) -> NDArray[np.float32]:
    """The 256 values of an FP8 kind (OCP 8-bit floating point specification)."""
    exponent_bits, bias = (4, 7) if dtype == "F8_E4M3" else (5, 15)
    mantissa_bits = 7 - exponent_bits
    codes = np.arange(256)
    exponent = (codes >> mantissa_bits) & ((1 << exponent_bits) - 1)
    fraction = (codes & ((1 << mantissa_bits) - 1)) / (1 << mantissa_bits)
    normal = np.where(exponent > 0, (1 + fraction) * 2.0 ** (exponent - bias), fraction * 2.0 ** (1 - bias))
    found = np.where(codes >> 7, -normal, normal).astype(np.float32)
    if dtype == "F8_E4M3":
        found[[0x7F, 0xFF]] = np.nan
    else:
        top = exponent == 31
        found[top] = np.where(fraction[top] > 0, np.nan, np.where(codes[top] >> 7, -np.inf, np.inf))
    return found
