"""How many layers of a model go to the graphics cards: as many as the fit estimate says, fewer where that was too many.

llama.cpp counts the output as one layer more and takes it first, then the layers from the last on; the table of words
stays in main memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from engine.api.errors import UserError

if TYPE_CHECKING:
    from models.fit import Loading
    from models.shape import Shape

ALL_LAYERS = 999


def first_layers(asked: int, path: Path, loading: Loading, free: int) -> int:
    """Layers to begin with. `asked`: -1 = as many as fit; `free` bytes on all cards together, 0 = there is none."""
    if asked == 0 or not free:
        return 0
    from models.gguf_header import read
    from models.gguf_layers import layer_bytes

    try:
        header = read(path)
        parts = layer_bytes(header.files)
    except UserError:
        return asked if asked > 0 else ALL_LAYERS  # llama.cpp says what is wrong with it
    if asked > 0:
        return min(asked, len(parts) or asked)
    return fitting_layers(header.shape, header.tensor_bytes, loading, free, parts)


def fitting_layers(shape: Shape, weights: int, loading: Loading, free: int, parts: Sequence[int] = ()) -> int:
    """How many layers with their share of the KV cache fit into `free` bytes, beside the working memory.

    `parts`: bytes of every layer and then of the output, equal shares where that is not known.
    """
    from models.fit import compute_buffer, kv_cache, scratch, usable

    if not shape.known:
        return ALL_LAYERS
    parts = parts or [weights // (shape.layers + 1)] * (shape.layers + 1)
    cache = kv_cache(shape, loading) / shape.layers
    room: float = usable(free - scratch(shape.heads, loading)) - compute_buffer(shape, loading) - parts[-1]
    if room < 0:
        return 0
    layers = 1
    for size in reversed(parts[:-1]):
        room -= size + cache
        if room < 0:
            break
        layers += 1
    return layers


def fewer(layers: int) -> int:
    """What to try after so many were too many: an eighth less, at least one, 0 at the end."""
    layers = min(layers, 128)
    return layers - max(1, layers // 8) if layers else 0
