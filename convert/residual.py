"""What quantizing lost, as an adapter: the strongest directions of W - Q for every quantized matrix of a model.

The quantized file stays as it is; llama.cpp adds the two thin matrices when it runs (LQER, arXiv 2402.02446).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from convert.checkpoint import open_checkpoint
from convert.dequantize import unpacked
from convert.families import family_of
from convert.family import Entries
from convert.gguf_source import GGUF, open_gguf
from convert.lowrank import Matrix, Rank, factors
from convert.note import note
from convert.plan import tensors_of
from convert.refusals import refuse
from convert.stream import made_of
from convert.values import PLAIN, as_float32
from engine.api.errors import UserError

USUAL = r"blk\.\d+\..*\.weight"
ALIKE = 0.95  # of a matrix: what quantizing may have changed at most; strange matrices differ by 1.4


@dataclass(frozen=True)
class Whole:
    """The unquantized model: the shapes of its tensors under their GGUF names, each in float32 when asked for."""

    path: Path
    files: list[Path]
    shapes: dict[str, tuple[int, ...]]
    matrix: Callable[[str], Matrix]
    forget: Callable[[], None]


@dataclass(frozen=True)
class Thin:
    """Both matrices of a tensor's correction, mapped, and the share of what was lost that they bring back."""

    name: str
    a: Matrix
    b: Matrix
    kept: float


def whole_of(source: Path) -> Whole:
    """A checkpoint's folder, through its family's rules, or a GGUF file of 16 or 32 bits."""
    return _of_checkpoint(source) if source.is_dir() else _of_gguf(source)


def _of_checkpoint(folder: Path) -> Whole:
    checkpoint, _ = unpacked(open_checkpoint(folder))
    found = family_of(checkpoint.config)
    if found is None:
        raise refuse(checkpoint.config)
    checkpoint.config = found[1].adjust(checkpoint.config)
    tensors = {tensor.name: tensor for tensor in tensors_of(found[1], checkpoint, "F32")}

    def matrix(name: str) -> Matrix:
        made = made_of(tensors[name], checkpoint)
        values = as_float32(made.array(), tensors[name].dtype)
        return made.change(values) if made.change else values

    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    return Whole(folder, checkpoint.files, shapes, matrix, checkpoint.forget)


def _of_gguf(file: Path) -> Whole:
    model = open_gguf(file)

    def matrix(name: str) -> Matrix:
        source = model.tensors[name]
        return as_float32(source.array(), source.dtype)

    shapes = {name: source.shape for name, source in model.tensors.items()}
    return Whole(file, model.files, shapes, matrix, model.forget)


def chosen(whole: Whole, quantized: GGUF, pattern: str) -> list[str]:
    """The quantized matrices that match. Raises UserError nothing_to_factor, not_made_of."""
    found = [name for name in _matching(quantized, pattern) if len(quantized.tensors[name].shape) == 2]
    for name in found:
        if whole.shapes.get(name) != quantized.tensors[name].shape:
            raise _not_made_of(quantized.path, name)
    if not found:
        raise nothing(quantized.path.name, pattern or USUAL)
    return found


def left_out(quantized: GGUF, pattern: str) -> list[str]:
    """A line on the stacks of experts' matrices, which stay as they are; none where there are none."""
    stacks = [name for name in _matching(quantized, pattern) if len(quantized.tensors[name].shape) != 2]
    text = "{count} stacks of experts' matrices stay as they are: this kind of adapter is for single matrices."
    return [note("residual_stacks", text, count=len(stacks))] if stacks else []


def _matching(quantized: GGUF, pattern: str) -> list[str]:
    fits = compiled(pattern or USUAL, quantized.path.name)
    return [name for name, kind in quantized.types.items() if kind not in PLAIN and fits.fullmatch(name)]


def thin(
    name: str, whole: Whole, quantized: GGUF, rank: Rank, importance: NDArray[np.float32] | None
) -> tuple[Matrix, Matrix, float]:
    """a, b, and what they bring back. Raises UserError not_made_of where the two matrices have nothing in common."""
    matrix = whole.matrix(name)
    length = float(np.linalg.norm(matrix))
    lost: Matrix = matrix - as_float32(quantized.tensors[name].array(), "F32")
    if not np.isfinite(lost).all() or float(np.linalg.norm(lost)) > ALIKE * length:
        raise _not_made_of(quantized.path, name)
    found = factors(lost, rank, importance)
    return found.a, found.b, found.kept


def entries_of(quantized: GGUF, ranks: set[int], file_type: int) -> Entries:
    """The adapter's metadata. llama.cpp multiplies by alpha / rank, and by nothing where alpha is 0."""
    name = str(quantized.value("general.name", "") or quantized.path.stem)
    return {
        "general.architecture": ("str", str(quantized.value("general.architecture", ""))),
        "general.type": ("str", "adapter"),
        "general.name": ("str", f"{name}: what quantizing lost"),
        "general.file_type": ("u32", file_type),
        "general.quantization_version": ("u32", 2),
        "general.base_model.count": ("u32", 1),
        "general.base_model.0.name": ("str", name),
        "adapter.type": ("str", "lora"),
        "adapter.lora.alpha": ("f32", float(ranks.pop()) if len(ranks) == 1 else 0.0),
    }


def compiled(pattern: str, name: str) -> re.Pattern[str]:
    """A person's regular expression. Raises UserError nothing_to_factor where it is none."""
    try:
        return re.compile(pattern)
    except (re.error, RecursionError, OverflowError):
        raise nothing(name, pattern) from None


def nothing(name: str, pattern: str) -> UserError:
    """The error of a pattern that no matrix matches."""
    return UserError(
        "nothing_to_factor",
        f"{name} has no matrices to work on: {pattern}.",
        "Choose another pattern.",
        name=name,
        pattern=pattern[:200],
    )


def _not_made_of(file: Path, tensor: str) -> UserError:
    return UserError(
        "not_made_of",
        f"{file.name} was not made of this source: {tensor} is not the same there.",
        "Choose the file that was quantized from it.",
        name=file.name,
        tensor=tensor,
    )
