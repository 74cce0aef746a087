"""FP8 with a scale for each block of weights (DeepSeek V3, Qwen 3 FP8 …) or for each tensor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from convert.checkpoint import Source
from convert.dequantize import Unpacked, odd_packing, part_of
from convert.dequantize._scaled import scaled
from convert.note import note

UNUSED = (".activation_scale", "_activation_scale", ".input_scale", ".qscale_act")


def unpack(tensors: Mapping[str, Source], settings: Mapping[str, Any]) -> Unpacked:
    """See the package."""
    size = settings.get("weight_block_size")
    made: dict[str, Source] = {}
    used = {name for name in tensors if name.endswith(UNUSED)}
    for name, scale in tensors.items():
        stem = next((name.removesuffix(end) for end in ("_scale_inv", "_scale") if name.endswith(f".weight{end}")), "")
        if stem:
            made[stem] = scaled(part_of(tensors, stem), scale, block_of(stem, scale, size))
            used |= {stem, name}
    return made, used


def block_of(name: str, scale: Source, size: Any) -> tuple[int, int] | None:
    """Rows and columns of a block, None where the scale is one for all or one a row."""
    if scale.elements == 1 or len(scale.shape) < 2 or scale.shape[1] == 1:
        return None
    if not isinstance(size, list) or len(size) != 2 or not all(isinstance(one, int) and one > 0 for one in size):
        raise odd_packing(name, note("block_size_unsaid", "config.json does not say how large its blocks are"))
    return size[0], size[1]
