"""One checkpoint of several, or of a base and an adapter: tensor by tensor, rows at a time, in bounded memory."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert.checkpoint import FLOATS, Checkpoint, Source
from convert.lora import Adapter, Pair
from convert.merge_methods import NAME, Share, Stack
from convert.note import note, spoken
from convert.operations import Laid, laid
from convert.safetensors_file import Wanted
from convert.values import as_float32
from engine.api.errors import UserError
from engine.api.parts import load_part

ROWS = 1 << 22  # values of one model that are merged at a time
Pieces = Iterator[tuple[Laid, str]]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Recipe:
    """How to merge: the method's part, each model's share, and the seed of what is random."""

    method: ModuleType
    shares: tuple[Share, ...]
    seed: int


def recipe_of(params: dict[str, Any], base: bool) -> Recipe:
    """Check a job's parameters. Raises UserError unknown_part, bad_merge."""
    method, models = load_part(NAME, str(params["method"])), params["models"]
    shares = tuple(Share(*(_number(model, name) for name in ("weight", "density"))) for model in models)
    if not 2 <= len(shares) + (len(shares) == 1 and method.NEEDS_BASE) <= 16 or any(
        share.weight <= 0 or not 0 < share.density <= 1 for share in shares
    ):
        raise _bad(
            note(
                "merge_numbers",
                "weights must be above 0, densities above 0 and at most 1, and there must be two models or more",
            )
        )
    if method.NEEDS_BASE and not base:
        raise _bad(
            note(
                "merge_without_base",
                "{method} needs the base that the models were trained from",
                method=params["method"],
            )
        )
    if params["method"] == "slerp" and len(shares) != 2:
        raise _bad(note("slerp_of_two", "slerp goes between two models"))
    return Recipe(method, shares, int(params.get("seed") or 0))


def _number(model: dict[str, Any], name: str) -> float:
    value = model.get(name)
    try:
        return 1.0 if value is None else float(value)
    except (TypeError, ValueError):
        raise _bad(note("no_number", "{name} is no number: {value}", name=name, value=repr(value))) from None


def _bad(reason: str) -> UserError:
    return UserError(
        "bad_merge", f"These models cannot be merged so: {reason}.", "Change it and try again.", reason=spoken(reason)
    )


def merged(models: list[Checkpoint], base: Checkpoint | None, recipe: Recipe, dtype: str) -> list[Wanted]:
    """Every tensor of the result. Raises UserError not_alike where the models are not of one shape."""
    first = models[0].tensors
    for other in [*models[1:], *([base] if base else [])]:
        _check_alike(first, other)
    found = []
    for name, source in first.items():
        if source.dtype not in FLOATS:
            found.append(Wanted(name, source.shape, source.dtype, partial(_copy, source)))
            continue
        sources = [model.tensors[name] for model in models]
        pieces = partial(_mix, sources, base.tensors[name] if base else None, recipe)
        found.append(Wanted(name, source.shape, dtype or source.dtype, pieces))
    return found


def _check_alike(first: dict[str, Source], other: Checkpoint) -> None:
    shapes = {name: source.shape for name, source in other.tensors.items()}
    odd = next((n for n, source in first.items() if shapes.get(n) != source.shape), "") or next(
        iter(set(shapes) - set(first)), ""
    )
    if odd:
        raise UserError(
            "not_alike",
            f"{other.folder.name} is not of the same shape as the first model: {odd}.",
            "Only models trained from one base can be merged.",
            name=other.folder.name,
            tensor=odd,
        )


def _copy(source: Source) -> Pieces:
    yield laid(source.array()), source.dtype


def _mix(sources: list[Source], base: Source | None, recipe: Recipe) -> Pieces:
    arrays = [(source.array(), source.dtype) for source in sources]
    under = (base.array(), base.dtype) if base else None
    seed = zlib.crc32(sources[0].name.encode()) + recipe.seed
    for start, stop in _rows(sources[0].shape, recipe.method.WHOLE):
        rows = tuple(as_float32(array[start:stop], dtype) for array, dtype in arrays)
        stack = Stack(rows, as_float32(under[0][start:stop], under[1]) if under else None)
        made: Floats = recipe.method.merge(stack, recipe.shares, seed + start)
        yield laid(made), "F32"


def _rows(shape: tuple[int, ...], whole: bool) -> Iterator[tuple[int, int]]:
    """From which row to which a tensor is worked on at a time."""
    if whole or len(shape) < 2:
        yield 0, shape[0] if shape else 1
        return
    step = max(1, ROWS // int(np.prod(shape[1:])))
    for start in range(0, shape[0], step):
        yield start, min(start + step, shape[0])


def with_adapter(base: Checkpoint, adapter: Adapter, dtype: str) -> list[Wanted]:
    """The base with an adapter's changes in it; DoRA's and whole tensors too. Raises UserError adapter_of_another."""
    pairs = {f"{module}.weight": pair for module, pair in adapter.pairs.items()}
    lost = sorted({*pairs, *adapter.saved} - set(base.tensors))
    if lost:
        raise UserError(
            "adapter_of_another",
            f"The base has no {lost[0]}: the adapter belongs to another model.",
            "Choose the base it was trained on.",
            name=lost[0],
        )
    found = []
    for name, source in base.tensors.items():
        kind = dtype or source.dtype
        whole = adapter.saved.get(name)
        pair = pairs.get(name)
        pieces = partial(_changed, source, pair, adapter.transposed) if pair else partial(_copy, whole or source)
        found.append(Wanted(name, source.shape, kind if source.dtype in FLOATS else source.dtype, pieces))
    return found


def _changed(source: Source, pair: Pair, transposed: bool) -> Pieces:
    """weight + scale * b @ a, some rows at a time; of DoRA the rows brought to their own length after it."""
    a, b = (as_float32(one.array(), one.dtype) for one in (pair.a, pair.b))
    left, right = (a.T, b.T) if transposed or pair.embedding else (b, a)
    if (left.shape[0], right.shape[1]) != source.shape:
        raise UserError(
            "odd_adapter",
            f"The matrices of {pair.module} do not fit the base.",
            "Choose its own base.",
            name=pair.module,
        )
    lengths = as_float32(pair.magnitude.array(), pair.magnitude.dtype).reshape(-1) if pair.magnitude else None
    weights = source.array()
    for start, stop in _rows(source.shape, lengths is not None and transposed):
        rows = as_float32(weights[start:stop], source.dtype)
        rows = rows + np.float32(pair.scale) * (left[start:stop] @ right)
        if lengths is not None:
            rows = _brought_to(rows, lengths if transposed else lengths[start:stop], axis=0 if transposed else 1)
        yield laid(np.ascontiguousarray(rows, np.float32)), "F32"


def _brought_to(rows: Floats, lengths: Floats, axis: int) -> Floats:
    norms = np.linalg.norm(rows, axis=axis, keepdims=True)
    wanted = lengths[None, :] if axis == 0 else lengths[:, None]
    return np.asarray(rows * wanted / np.maximum(norms, np.float32(1e-12)), np.float32)
