"""A LoRA adapter -> a GGUF adapter: each pair of matrices goes through the same rules as the weight it belongs to.

llama.cpp adds alpha / rank * b @ a, with one alpha for the file (llama-adapter.h): a module whose own factor is another
one gets it multiplied into its b.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convert.config import Config
from convert.family import Entries, Family, Rule, filled
from convert.gguf_file import padded
from convert.lora import Adapter, Pair
from convert.operations import SAME, Chain, Laid, Operation, Stack, Transpose, laid
from convert.plan import Planned
from convert.values import TYPES, as_float32, row_bytes
from engine.api.errors import UserError

Matrix = NDArray[np.float32]


@dataclass(frozen=True)
class Placed:
    """A pair under its GGUF name: a (rank, inputs) or (experts, rank, inputs), b (outputs, rank) …, in float32."""

    name: str
    a: Matrix
    b: Matrix


def placed(adapter: Adapter, family: Family, config: Config) -> tuple[float, list[Placed]]:
    """The file's alpha, and all pairs. Raises UserError needs_merging, adapter_of_another, odd_adapter."""
    _check(adapter)
    alpha = _alpha(adapter)
    groups: dict[tuple[int, str], dict[tuple[int, int], Pair]] = {}
    for pair in adapter.pairs.values():
        name = f"{pair.module}.weight"
        found = family.places(family.place(config, name))
        if found is None or (config.names and name not in config.names):
            raise _of_another(pair.module)
        rule, number, places = found
        if int(places.get("i", 0)) >= config.size("layers"):
            raise _of_another(pair.module)
        key = (family.rules.index(rule), places.get("i", ""))
        groups.setdefault(key, {})[number, int(places.get("e", 0))] = pair
    made: list[Placed] = []
    for (number, layer), pairs in sorted(
        groups.items(), key=lambda one: (one[0][1] != "", int(one[0][1] or 0), one[0][0])
    ):
        made += _through(family.rules[number], layer, pairs, alpha, config)
    return alpha, made


def _check(adapter: Adapter) -> None:
    """What a pair of matrices cannot say has to be merged into the base."""
    saved = next(iter(adapter.saved), "")
    dora = next((pair.module for pair in adapter.pairs.values() if pair.magnitude), "")
    if saved or dora:
        raise UserError(
            "needs_merging",
            f"This adapter also changes {saved or dora} as a whole, which an adapter file cannot hold.",
            "Merge it into its base model instead.",
            name=saved or dora,
        )
    if not adapter.pairs:
        raise UserError("odd_adapter", "The adapter holds no matrices.", "Download the adapter again.", name="-")


def _alpha(adapter: Adapter) -> float:
    """An alpha with which most pairs need no factor of their own."""
    each = [pair.scale * pair.rank for pair in adapter.pairs.values()]
    return max(sorted(set(each)), key=each.count)


def _through(rule: Rule, layer: str, pairs: dict[tuple[int, int], Pair], alpha: float, config: Config) -> list[Placed]:
    matrices = [_matrices(pairs[place], alpha) for place in sorted(pairs)]
    stacked = isinstance(rule.operation, Stack)
    if not stacked and len(matrices) != len(rule.sources):
        raise _cannot(rule, "the others of its group are missing")
    if stacked and len({a.shape for a, _ in matrices}) != 1:
        raise _cannot(rule, "its experts are not of one rank")
    names = [filled(target, {"i": layer, "end": "weight"}) for target in rule.targets]
    found = through(rule.operation, matrices, config, rule)
    # A table of embeddings is looked up by rows: llama.cpp wants its first matrix the other way round.
    turned = [(a.T.copy() if name == "token_embd.weight" else a, b) for name, (a, b) in zip(names, found, strict=True)]
    return [Placed(name, a, b) for name, (a, b) in zip(names, turned, strict=True)]


def through(
    operation: Operation, pairs: Sequence[tuple[Matrix, Matrix]], config: Config, rule: Rule
) -> list[tuple[Matrix, Matrix]]:
    """An operation on weights as one on the pairs whose products are added to them. Raises UserError needs_merging."""
    if operation is SAME or isinstance(operation, Transpose):
        # A transposed weight is PEFT's fan_in_fan_out: the product is turned already.
        return list(pairs)
    if isinstance(operation, Chain):
        for step in operation.steps:
            pairs = through(step, pairs, config, rule)
        return list(pairs)
    if isinstance(operation, Stack):
        return [(np.stack([a for a, _ in pairs]), np.stack([b for _, b in pairs]))]
    if operation.rows and len(pairs) == 1:
        a, b = pairs[0]
        return [(a, _array(made)) for made in operation.forward([b], config)]
    raise _cannot(rule, "its weight is rearranged in a way that two matrices cannot follow")


def _array(made: Laid) -> Matrix:
    array = np.ascontiguousarray(made.array(), np.float32)
    return made.change(array) if made.change else array


def _matrices(pair: Pair, alpha: float) -> tuple[Matrix, Matrix]:
    """a and b in float32, b times what the file's alpha does not say."""
    a, b = (as_float32(source.array(), source.dtype) for source in (pair.a, pair.b))
    factor = pair.scale * pair.rank / alpha if alpha else 1.0
    return a, b if factor == 1.0 else b * np.float32(factor)


def planned(found: list[Placed], kind: str) -> tuple[Planned, ...]:
    """The tensors of the adapter's file, with their places."""
    rows: list[Planned] = []
    offset = 0
    for one in found:
        for end, values in (("lora_a", one.a), ("lora_b", one.b)):
            use = kind if values.shape[-1] % TYPES[kind][1] == 0 else "F16"
            size = row_bytes(use, values.shape[-1]) * int(np.prod(values.shape[:-1]))
            made = laid(values)
            rows.append(Planned(f"{one.name}.{end}", values.shape, use, offset, size, "F32", None, 0, made))
            offset += padded(size)
    return tuple(rows)


def entries_of(adapter: Adapter, arch: str, alpha: float, file_type: int) -> Entries:
    """The adapter file's metadata, with the keys that llama.cpp looks for."""
    base = adapter.base_name.rpartition("/")[2]
    found: Entries = {
        "general.architecture": ("str", arch),
        "general.type": ("str", "adapter"),
        "general.name": ("str", adapter.folder.name),
        "general.file_type": ("u32", file_type),
        "general.quantization_version": ("u32", 2),
        "adapter.type": ("str", "lora"),
        "adapter.lora.alpha": ("f32", alpha),
    }
    if base:
        found |= {"general.base_model.count": ("u32", 1), "general.base_model.0.name": ("str", base)}
    return found


def _of_another(module: str) -> UserError:
    return UserError(
        "adapter_of_another",
        f"The base has no {module}: the adapter belongs to another model.",
        "Choose the base it was trained on.",
        name=module,
    )


def _cannot(rule: Rule, reason: str) -> UserError:
    return UserError(
        "needs_merging",
        f"The adapter's part for {rule.sources[0]} cannot stand alone: {reason}.",
        "Merge it into its base model instead.",
        name=rule.sources[0],
    )
