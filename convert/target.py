"""The best quality under a number of bytes: a type for each tensor, found from errors measured on the model itself.

Rows of every tensor are quantized into every candidate and turned back; the error is the part of a layer's output that
is lost: the sum of importance x (difference)^2 over importance x weight^2, with an importance matrix, else unweighted.
The sum over all tensors is made small by taking, tensor after tensor, the step that saves most error per byte. What was
measured is kept in a file, so that an interrupted search goes on, and another budget is found at once.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from convert.mix import choices, odd_tensor
from convert.note import note
from convert.quantize_plan import Source, preview, tensor_bytes
from convert.recipe import Override, Recipe, recipe
from engine.api.errors import UserError
from engine.llama.ggml_types import NEEDS_IMPORTANCE, dequantize_rows, fits, quantize_rows, row_bytes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Bytes = NDArray[np.uint8]

# The smallest first. Rows that do not fill blocks of 256 have only the later half of these.
CANDIDATES = (
    *("IQ2_XXS", "IQ2_S", "Q2_K", "IQ3_XXS", "Q3_K", "IQ3_S", "IQ4_XS", "Q4_K", "Q5_K", "Q6_K"),
    *("IQ4_NL", "Q5_0", "Q5_1", "Q8_0", "F16"),
)
ROWS = 64  # of each tensor, evenly spread
_LABELS = ("Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q3_K_M", "Q2_K")
_UNREAD = ("Q1_0", "Q2_0")  # the gguf package knows them not
Errors = dict[str, dict[str, float]]  # tensor -> type -> part of the output lost
Step = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Option:
    """One type for one tensor."""

    type: str
    bytes: int
    error: float


def search(source: Source, budget: int, errors: Errors) -> Recipe:
    """The recipe whose file is at most `budget` bytes and loses least. `errors` of `measure`.

    Raises UserError budget_too_small.
    """
    fixed = source.header_bytes + 64 * len(source.shapes) + 1024
    kept = sum(tensor_bytes(source.shapes[name], source.types[name]) for name in source.shapes if name not in errors)
    options = {name: _options(source, name, found) for name, found in errors.items()}
    least = fixed + kept + sum(choice[0].bytes for choice in options.values())
    if least > budget:
        raise UserError(
            "budget_too_small",
            f"This model cannot be made smaller than {least / 1e9:.2f} GB this way.",
            "Allow more, give an importance matrix for smaller types, or choose a smaller model.",
            least=f"{least / 1e9:.2f}",
            budget=f"{budget / 1e9:.2f}",
        )
    return _as_recipe(source, _filled(options, budget - fixed - kept))


def forced(errors: Errors, chosen: Recipe) -> Errors:
    """Only what overrides leave open: a tensor that one of them names has its type alone, where it was measured."""
    found = {}
    for name, measured in errors.items():
        type = next((item.type for item in chosen.overrides if item.matches(name)), "")
        found[name] = {type: measured[type]} if type in measured else measured
    return found


def expected(errors: Errors, types: Mapping[str, str]) -> float:
    """The error of a mix by these measurements, summed over tensors; infinite for a type that was not measured."""
    return sum(found.get(types[name], float("inf")) for name, found in errors.items())


def measure(
    source: Source,
    importance: Mapping[str, Floats],
    file: Path,
    step: Step = lambda *_: None,
    also: Iterable[str] = (),
    threads: int = 0,
    candidates: tuple[str, ...] = CANDIDATES,
) -> Errors:
    """The errors of candidates (and types `also`) on every tensor that is quantized, from `file` as far as it goes.

    `step(tensors done, tensors, name)` may raise to stop. Raises UserError not_finite_weights, odd_tensor.
    """
    names = list(choices(recipe("Q8_0"), source.shapes, source.facts))
    types = tuple(dict.fromkeys((*candidates, *also)))
    journal = _Journal(file, _signature(source, importance, types))
    rows = _Rows(source)
    with ThreadPoolExecutor(threads or len(_cores())) as pool:
        for number, name in enumerate(names):
            step(number, len(names), name)
            if name not in journal.errors:
                journal.add(name, _measured(rows, name, importance.get(name), types, pool))
    return {name: journal.errors[name] for name in names}


def _measured(
    rows: _Rows, name: str, importance: Floats | None, types: tuple[str, ...], pool: ThreadPoolExecutor
) -> dict[str, float]:
    """Type -> error for one tensor; the type it has already costs nothing."""
    groups = [(values, _slice(importance, expert, values)) for expert, values in rows.sample(name)]
    before, columns = rows.source.types[name], rows.source.shapes[name][0]
    usable = [
        type
        for type in types
        if type != before and fits(columns, type) and (importance is not None or type not in NEEDS_IMPORTANCE)
    ]
    errors = pool.map(lambda type: _error(groups, type), usable)
    return {before: 0.0, **dict(zip(usable, errors, strict=True))}


def _slice(importance: Floats | None, expert: int, values: Floats) -> Floats | None:
    """The importances of one expert's columns."""
    if importance is None:
        return None
    columns = values.shape[1]
    whole = importance.size > columns
    return importance[expert * columns : (expert + 1) * columns] if whole else importance


def _error(groups: list[tuple[Floats, Floats | None]], type: str) -> float:
    lost = whole = 0.0
    for values, importance in groups:
        back = dequantize_rows(quantize_rows(values, type, importance), type, values.shape[1])
        weight = 1.0 if importance is None else importance
        lost += float(np.sum(weight * np.square(values - back, dtype=np.float64)))
        whole += float(np.sum(weight * np.square(values, dtype=np.float64)))
    return lost / whole if whole > 0 else 0.0


class _Rows:
    """Some rows of each tensor, read where they lie."""

    def __init__(self, source: Source) -> None:
        from gguf import GGUFReader

        for name, type in source.types.items():
            if type in _UNREAD:
                raise odd_tensor(name, note("unmeasured_type", "is in {type}, which cannot be measured", type=type))
        self.source = source
        self._tensors = {tensor.name: tensor for file in source.files for tensor in GGUFReader(file).tensors}

    def sample(self, name: str) -> list[tuple[int, Floats]]:
        """(expert, float32 rows) for ROWS rows of a tensor."""
        shape, type = self.source.shapes[name], self.source.types[name]
        lines: Bytes = self._tensors[name].data.view(np.uint8).reshape(-1, row_bytes(shape[0], type))
        per_expert = shape[1] if len(shape) > 1 else 1
        wanted = np.unique(np.linspace(0, len(lines) - 1, min(ROWS, len(lines))).astype(np.int64))
        found = []
        for expert in np.unique(wanted // per_expert):
            chosen = lines[wanted[wanted // per_expert == expert]]
            found.append((int(expert), dequantize_rows(chosen.tobytes(), type, shape[0])))
        return found


class _Journal:
    """What was measured, a line a tensor; a file of another model or other importances counts as none."""

    def __init__(self, file: Path, signature: str) -> None:
        self.file, self.errors = file, dict[str, dict[str, float]]()
        if not self._read(signature):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(signature) + "\n", encoding="utf-8")

    def _read(self, signature: str) -> bool:
        try:
            lines = self.file.read_bytes().splitlines(keepends=True)
            if not lines or json.loads(lines[0]) != signature:
                return False
            good = 1
            for line in lines[1:]:
                name, errors = json.loads(line) if line.endswith(b"\n") else (None, {})
                if name is None:
                    break
                self.errors[name] = {type: float(error) for type, error in errors.items()}
                good += 1
        except (OSError, ValueError, TypeError, AttributeError):
            self.errors = {}
            return False
        if good < len(lines):  # the last line was cut off by the end of the machine or the disk
            self.file.write_bytes(b"".join(lines[:good]))
        return True

    def add(self, name: str, errors: dict[str, float]) -> None:
        self.errors[name] = errors
        with self.file.open("a", encoding="utf-8") as file:
            file.write(json.dumps([name, errors]) + "\n")


def _signature(source: Source, importance: Mapping[str, Floats], types: tuple[str, ...]) -> str:
    found = hashlib.sha256(f"{ROWS} {types}".encode())
    for file in source.files:
        stat = file.stat()
        found.update(f"{stat.st_size} {stat.st_mtime_ns}\n".encode())
    for name, values in importance.items():
        found.update(name.encode() + values.tobytes())
    return found.hexdigest()


def _options(source: Source, name: str, found: dict[str, float]) -> list[Option]:
    """A tensor's types worth taking, the smallest first: each saves less error per byte than the one before."""
    shape = source.shapes[name]
    every = [Option(type, tensor_bytes(shape, type), error) for type, error in found.items()]
    hull: list[Option] = []
    for option in sorted(every, key=lambda each: (each.bytes, each.error)):
        if hull and option.error >= hull[-1].error:
            continue
        while len(hull) > 1 and _gain(hull[-2], option) >= _gain(hull[-2], hull[-1]):
            hull.pop()
        hull.append(option)
    return hull


def _gain(a: Option, b: Option) -> float:
    return (a.error - b.error) / max(b.bytes - a.bytes, 1)


def _filled(options: dict[str, list[Option]], room: int) -> dict[str, Option]:
    """From the smallest of each, the steps that save most error per byte, as long as there is room."""
    chosen = {name: found[0] for name, found in options.items()}
    room -= sum(option.bytes for option in chosen.values())
    steps = [(_gain(a, b), name, b) for name, found in options.items() for a, b in itertools.pairwise(found)]
    for _, name, option in sorted(steps, key=lambda step: -step[0]):
        more = option.bytes - chosen[name].bytes
        if 0 < more <= room:
            chosen[name], room = option, room - more
    return chosen


def _as_recipe(source: Source, chosen: dict[str, Option]) -> Recipe:
    """A recipe that names each tensor; its files are labelled as the usual mix that has as many bits on this model."""
    size = sum(option.bytes for option in chosen.values())
    labels = preview(source, _LABELS)
    sizes = {label.recipe.id: sum(line.bytes for line in label.lines if line.name in chosen) for label in labels}
    base = recipe(min(sizes, key=lambda name: abs(sizes[name] - size)))
    exact = tuple(Override(f"^{_escaped(name)}$", option.type) for name, option in chosen.items())
    wants = "required" if any(option.type in NEEDS_IMPORTANCE for option in chosen.values()) else "better"
    return replace(base, base=base.id, overrides=exact, imatrix=wants, quality={})


def _escaped(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "_-/:" else f"\\{letter}" for letter in name)


def _cores() -> set[int]:
    if hasattr(os, "sched_getaffinity"):
        return set(os.sched_getaffinity(0))
    return set(range(os.cpu_count() or 1))
