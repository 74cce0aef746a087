"""Quantizing straight from a checkpoint's tensors, without a file of 16 bits between."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from convert.family import Entries
from convert.mix import Choice, Facts, choices
from convert.note import note
from convert.operations import Array, Laid
from convert.plan import Planned
from convert.recipe import Recipe
from convert.stream import Encoder
from convert.values import PLAIN, Loss, as_float32, encode

Importance = Mapping[str, NDArray[np.float32]]


def types_of(chosen: Recipe, tensors: tuple[Planned, ...], entries: Entries, imatrix: bool) -> dict[str, Choice]:
    """The type of every tensor that a recipe quantizes. Raises UserError odd_tensor, bad_override."""
    shapes = {tensor.name: tensor.shape[::-1] or (1,) for tensor in tensors}
    return choices(chosen, shapes, facts_of(entries), imatrix)


def with_notes(tensors: tuple[Planned, ...], found: dict[str, Choice]) -> tuple[Planned, ...]:
    """The tensors, each with why it is not of the type the recipe wanted."""
    text = "instead of {wanted}: its rows do not fit"
    return tuple(
        replace(tensor, note=note("instead_of", text, wanted=found[tensor.name].wanted))
        if tensor.name in found and found[tensor.name].fallback
        else tensor
        for tensor in tensors
    )


def facts_of(entries: Entries) -> Facts:
    """What the mix depends on, from the header that will be written."""
    arch = str(entries["general.architecture"][1])

    def count(name: str) -> int | None:
        value = entries.get(f"{arch}.{name}", ("", None))[1]
        found = value[0] if isinstance(value, list) else value
        return found if isinstance(found, int) else None

    heads = count("attention.head_count") or 0
    kv_heads = count("attention.head_count_kv")
    layers, experts = count("block_count") or 0, count("expert_count") or 0
    return Facts(arch, layers, heads, heads if kv_heads is None else kv_heads, experts)


def encoder(importance: Importance) -> Encoder:
    """Makes slabs in any of llama.cpp's types, weighed by the importances of their columns where there are some."""

    def encode_slab(values: Array, tensor: Planned, made: Laid, row: int) -> tuple[bytes | memoryview, Loss]:
        weights = importance.get(tensor.name)
        if weights is None or tensor.type in PLAIN:
            return encode(values, tensor.dtype, tensor.type, made.change)
        floats = as_float32(np.ascontiguousarray(values), tensor.dtype).reshape(-1, tensor.shape[-1])
        if made.change:
            floats = made.change(floats)
        lost = Loss(int(floats.size - np.count_nonzero(np.isfinite(floats))))
        return _weighed(floats, weights, tensor, row), lost

    return encode_slab


def _weighed(floats: NDArray[np.float32], weights: NDArray[np.float32], tensor: Planned, row: int) -> bytes:
    """Rows from `row` on; of a stack of experts each has its own weights."""
    from engine.llama.ggml_types import quantize_rows

    each = tensor.shape[-2] if len(tensor.shape) > 2 else floats.shape[0] + row
    by_expert = weights.reshape(-1, tensor.shape[-1])
    parts = []
    while floats.shape[0]:
        count = min(each - row % each, floats.shape[0])
        parts.append(quantize_rows(floats[:count], tensor.type, by_expert[min(row // each, len(by_expert) - 1)]))
        floats, row = floats[count:], row + count
    return b"".join(parts)
