"""AWQ: 4 bits along the outputs in an order of its own, a scale and a zero for each group of inputs.

Format: https://github.com/casper-hansen/AutoAWQ (packing_utils, gemm).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert.checkpoint import Source
from convert.dequantize import Unpacked, number, odd_scales, part_of
from convert.dequantize._bits import from_words
from convert.operations import Array
from convert.values import as_float32

ORDER = [0, 4, 1, 5, 2, 6, 3, 7]  # where each of eight outputs lies in its word


def unpack(tensors: Mapping[str, Source], settings: Mapping[str, Any]) -> Unpacked:
    """See the package."""
    number(settings, "bits", (4,))
    made, used = {}, set()
    for name in [name for name in tensors if name.endswith(".qweight")]:
        stem = name.removesuffix(".qweight")
        packed, zeros, scales = (part_of(tensors, f"{stem}.{part}") for part in ("qweight", "qzeros", "scales"))
        shape = (packed.shape[1] * 8, packed.shape[0])
        if scales.shape != (zeros.shape[0], shape[0]) or shape[1] % scales.shape[0]:
            raise odd_scales(stem)
        made[f"{stem}.weight"] = Source(
            f"{stem}.weight", shape, "F32", partial(_values, packed, zeros, scales), packed.file
        )
        used |= {f"{stem}.{part}" for part in ("qweight", "qzeros", "scales")}
    return made, used


def _values(packed: Source, zeros: Source, scales: Source) -> NDArray[np.float32]:
    """(outputs, inputs)."""
    steps = as_float32(scales.array(), scales.dtype)
    each = packed.shape[0] // len(steps)
    weights = _sorted(packed.array()).reshape(len(steps), each, -1).astype(np.int16)
    values = (weights - _sorted(zeros.array())[:, None]) * steps[:, None]
    return np.ascontiguousarray(values.reshape(packed.shape[0], -1).T, np.float32)


def _sorted(words: Array) -> NDArray[np.uint8]:
    """(rows, words) -> (rows, words * 8), outputs in their order."""
    raw = from_words(words.T, 4).T.reshape(words.shape[0], -1, 8)
    return np.ascontiguousarray(raw[:, :, ORDER]).reshape(words.shape[0], -1)
