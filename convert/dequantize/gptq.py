"""GPTQ: 2, 3, 4 or 8 bits along the inputs, a scale and a zero for each group of inputs.

Format: https://github.com/ModelCloud/GPTQModel (qlinear). Format 1 stores zeros less one.
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
from convert.note import note
from convert.values import as_float32

PARTS = ("qweight", "qzeros", "scales", "g_idx")


def unpack(tensors: Mapping[str, Source], settings: Mapping[str, Any]) -> Unpacked:
    """See the package."""
    bits = number(settings, "bits", (2, 3, 4, 8))
    added = 1 if settings.get("checkpoint_format", "gptq") == "gptq" else 0
    made, used = {}, set()
    for name in [name for name in tensors if name.endswith(".qweight")]:
        stem = name.removesuffix(".qweight")
        packed, zeros, scales = (part_of(tensors, f"{stem}.{part}") for part in PARTS[:3])
        order = tensors.get(f"{stem}.g_idx")
        inputs, outputs = packed.shape[0] * 32 // bits, packed.shape[1]
        if scales.shape != (zeros.shape[0], outputs) or (order and order.shape != (inputs,)):
            raise odd_scales(stem)
        look = partial(_values, packed, zeros, scales, order, bits, added)
        made[f"{stem}.weight"] = Source(f"{stem}.weight", (outputs, inputs), "F32", look, packed.file)
        used |= {f"{stem}.{part}" for part in PARTS}
    return made, used


def _values(
    packed: Source, zeros: Source, scales: Source, order: Source | None, bits: int, added: int
) -> NDArray[np.float32]:
    """(outputs, inputs)."""
    weights = from_words(packed.array(), bits)
    steps = as_float32(scales.array(), scales.dtype)
    middle = from_words(zeros.array().T, bits).T[:, : steps.shape[1]].astype(np.int16) + added
    groups = order.array().astype(np.int64) if order else np.arange(len(weights)) // -(-len(weights) // len(steps))
    if groups.size and (groups.min() < 0 or groups.max() >= len(steps)):
        raise odd_packing(packed.name, note("input_of_no_group", "an input belongs to no group"))
    found: NDArray[np.float32] = np.empty((weights.shape[1], weights.shape[0]), np.float32)
    np.multiply((weights - middle[groups]).T, steps[groups].T, out=found)
    return found
