"""bitsandbytes: NF4 and FP4 in blocks whose largest value is stored beside them, and LLM.int8's rows.

Format: https://github.com/bitsandbytes-foundation/bitsandbytes (functional.QuantState, nn.modules).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert.checkpoint import Source
from convert.dequantize import Unpacked, odd_packing, odd_scales, part_of
from convert.note import note
from convert.values import as_float32

STATE = ".quant_state.bitsandbytes__"
LARGEST_STATE = 1 << 16


def unpack(tensors: Mapping[str, Source], settings: Mapping[str, Any]) -> Unpacked:
    """See the package."""
    made: dict[str, Source] = {}
    used: set[str] = set()
    for name, source in tensors.items():
        if STATE in name:
            stem = name.partition(STATE)[0]
            made[stem] = _four_bits(tensors, stem, source)
            used |= {each for each in tensors if each.startswith(f"{stem}.")} | {stem}
        elif name.endswith(".SCB"):
            stem = name.removesuffix(".SCB") + ".weight"
            made[stem] = _rows(part_of(tensors, stem), source)
            used |= {stem, name, name.removesuffix(".SCB") + ".weight_format"}
    return made, used


def _rows(packed: Source, largest: Source) -> Source:
    if packed.shape[:1] != largest.shape:
        raise odd_scales(packed.name)

    def values() -> NDArray[np.float32]:
        return packed.array().view(np.int8) * (largest.array().astype(np.float32) / np.float32(127))[:, None]

    return Source(packed.name, packed.shape, "F32", values, packed.file)


def _four_bits(tensors: Mapping[str, Source], name: str, state: Source) -> Source:
    try:
        said = json.loads(state.array()[:LARGEST_STATE].astype(np.uint8).tobytes())
        shape, block = tuple(int(length) for length in said["shape"]), int(said["blocksize"])
        if min(*shape, block) <= 0:
            raise odd_packing(
                name, note("description_length", "its description cannot be read: a length is not positive")
            )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise odd_packing(
            name, note("description_unread", "its description cannot be read: {error}", error=str(error))
        ) from None
    packed, largest = part_of(tensors, name), part_of(tensors, f"{name}.absmax")
    elements = int(np.prod(shape, dtype=np.int64))
    if packed.bytes != -(-elements // 2) or largest.elements != -(-elements // block):
        raise odd_packing(name, note("blocks_otherwise", "its blocks do not make its shape"))
    return Source(name, shape, "F32", partial(_values, tensors, name, said, shape, block), packed.file)


def _values(
    tensors: Mapping[str, Source], name: str, said: dict[str, Any], shape: tuple[int, ...], block: int
) -> NDArray[np.float32]:
    levels = part_of(tensors, f"{name}.quant_map").array().astype(np.float32)
    raw = part_of(tensors, name).array().reshape(-1).view(np.uint8)
    codes = np.stack([raw >> 4, raw & 15], axis=-1).reshape(-1)[: int(np.prod(shape, dtype=np.int64))]
    values = levels[codes]
    scales = np.repeat(_largest(tensors, name, said), block)[: values.size]
    return (values * scales).reshape(shape)


def _largest(tensors: Mapping[str, Source], name: str, said: dict[str, Any]) -> NDArray[np.float32]:
    """Each block's largest value, which may be packed once more."""
    stored = part_of(tensors, f"{name}.absmax")
    if f"{name}.nested_absmax" not in tensors:
        return as_float32(stored.array(), stored.dtype).reshape(-1)
    levels = part_of(tensors, f"{name}.nested_quant_map").array().astype(np.float32)
    outer = part_of(tensors, f"{name}.nested_absmax").array().astype(np.float32)
    each = np.repeat(outer, int(said["nested_blocksize"]))
    codes = stored.array().reshape(-1).view(np.uint8)
    return levels[codes] * each[: codes.size] + np.float32(said.get("nested_offset", 0.0))
