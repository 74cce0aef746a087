"""compressed-tensors: integers packed in words, integers and floats of eight bits.

Format: https://github.com/neuralmagic/compressed-tensors (compressors/quantized_compressors).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert.checkpoint import Source
from convert.dequantize import Unpacked, number, odd_packing, odd_scales, part_of
from convert.dequantize._bits import from_words
from convert.dequantize._scaled import scaled
from convert.dequantize.fp8 import block_of
from convert.note import note
from convert.values import as_float32

UNUSED = (".input_scale", ".k_scale", ".v_scale", ".output_scale", ".input_global_scale")


def unpack(tensors: Mapping[str, Source], settings: Mapping[str, Any]) -> Unpacked:
    """See the package."""
    weights = _weights(settings)
    made: dict[str, Source] = {}
    used = {name for name in tensors if name.endswith(UNUSED)}
    for name, scale in tensors.items():
        if not name.endswith(".weight_scale"):
            continue
        stem = name.removesuffix("_scale")
        if f"{stem}_packed" in tensors:
            made[stem] = _packed(tensors, stem, scale, number(weights, "num_bits", (2, 4, 8)))
            used |= {f"{stem}_{part}" for part in ("packed", "scale", "shape", "zero_point", "g_idx")}
        else:
            made[stem] = scaled(part_of(tensors, stem), scale, block_of(stem, scale, weights.get("block_structure")))
            used |= {stem, name, f"{stem}_zero_point"}
    return made, used


def _weights(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """What is said of weights, the same for all layers. Raises UserError odd_packing."""
    groups = settings.get("config_groups")
    said = (
        [group.get("weights") for group in groups.values() if isinstance(group, dict)]
        if isinstance(groups, dict)
        else []
    )
    if not said or not isinstance(said[0], dict) or any(one != said[0] for one in said):
        raise odd_packing("config_groups", note("packings_unknown", "more than one way of packing is not known here"))
    return said[0]


def _packed(tensors: Mapping[str, Source], name: str, scale: Source, bits: int) -> Source:
    packed, shaped = part_of(tensors, f"{name}_packed"), part_of(tensors, f"{name}_shape")
    shape = tuple(int(length) for length in shaped.array())
    words = -(-shape[1] * bits // 32) if len(shape) == 2 else 0
    if packed.shape != (shape[0], words) or len(scale.shape) != 2 or shape[1] % max(1, scale.shape[1]):
        raise odd_scales(name)
    return Source(name, shape, "F32", partial(_values, tensors, name, scale, shape, bits), packed.file)


def _values(
    tensors: Mapping[str, Source], name: str, scale: Source, shape: tuple[int, ...], bits: int
) -> NDArray[np.float32]:
    codes = from_words(part_of(tensors, f"{name}_packed").array().T, bits).T[:, : shape[1]].astype(np.int16)
    steps = as_float32(scale.array(), scale.dtype)
    zero = tensors.get(f"{name}_zero_point")
    middle: Any = 1 << (bits - 1)
    if zero is not None:  # packed along the rows
        middle = from_words(zero.array(), bits)[: shape[0]].astype(np.int16)[:, :, None]
    order = tensors.get(f"{name}_g_idx")
    if order is not None and order.array().min(initial=0) >= 0:
        groups = np.minimum(order.array(), steps.shape[1] - 1)
        middle = middle if isinstance(middle, int) else middle[:, groups, 0]
        return np.asarray((codes - middle) * steps[:, groups], np.float32)
    blocks = codes.reshape(shape[0], steps.shape[1], -1) - middle
    return np.asarray(blocks * steps[:, :, None], np.float32).reshape(shape)
