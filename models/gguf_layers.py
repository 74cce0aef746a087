"""How many bytes each layer of a model takes: what can be put on a graphics card, piece by piece."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path

from models.gguf_reader import read_raw
from models.gguf_types import TENSOR_TYPES

_LAYER = re.compile(r"blk\.(\d+)\.")
_BLOCKS = {name: (elements, size) for name, elements, size in TENSOR_TYPES.values()}


def layer_bytes(files: Sequence[Path]) -> list[int]:
    """Bytes of each layer in order, and of the output at the end; [] for a model without layers.

    Where the output is the table of words, that is counted: it is kept twice. Raises UserError as read_raw.
    """
    layers: dict[int, int] = {}
    table = output = 0
    for tensor in (tensor for file in files for tensor in read_raw(file).inventory):
        elements, size = _BLOCKS.get(tensor.type, (1, 4))
        taken = math.prod(tensor.shape) // elements * size
        if found := _LAYER.match(tensor.name):
            layers[int(found[1])] = layers.get(int(found[1]), 0) + taken
        elif tensor.name.startswith("token_embd."):
            table += taken
        elif tensor.name.startswith("output"):
            output += taken
    if not layers:
        return []
    tied = table if output < table // 8 else 0  # a norm alone is no output
    return [*(layers[number] for number in sorted(layers)), output + tied]
