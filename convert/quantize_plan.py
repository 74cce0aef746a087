"""What quantizing a GGUF model will give, before anyone waits: each tensor's type and size, the bits, the fallbacks.

Computed from the header alone in milliseconds, for one recipe or for many; equal to what llama.cpp then writes.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from convert.mix import Choice, Facts, Shape, choices, wanting_importance
from convert.recipe import Recipe, recipe, recipes
from engine.api.errors import UserError
from engine.llama.ggml_types import BLOCKS, PLAIN
from models.damage import damaged
from models.gguf_header import parts
from models.gguf_reader import Raw, read_raw

LONGEST_NAME = 63  # bytes of a tensor's name that ggml keeps
_PADDING = 32
_ADDED = 512  # bytes of header entries that are added, at most


@dataclass(frozen=True)
class Source:
    """A model to be quantized, as its header tells it: tensors in the order in which they are written."""

    path: Path
    files: tuple[Path, ...]
    facts: Facts
    shapes: dict[str, Shape]
    types: dict[str, str]
    header_bytes: int  # of all parts
    licence: str = ""  # as the header names it

    @property
    def elements(self) -> int:
        """Weights of the model."""
        return sum(math.prod(shape) for shape in self.shapes.values())

    @property
    def tensor_bytes(self) -> int:
        """Bytes of its tensors as they are."""
        return sum(tensor_bytes(self.shapes[name], type) for name, type in self.types.items())

    @property
    def bits(self) -> float:
        """Bits a weight as it is."""
        return 8 * self.tensor_bytes / max(self.elements, 1)

    @property
    def quantized(self) -> str:
        """The type that most of its quantized bytes are in, "" where none are."""
        sizes: Counter[str] = Counter()
        for name, type in self.types.items():
            sizes[type] += 0 if type in PLAIN or len(self.shapes[name]) < 2 else tensor_bytes(self.shapes[name], type)
        return next((type for type, size in sizes.most_common(1) if size), "")


@dataclass(frozen=True)
class Line:
    """One tensor of the preview; `fallback` is the type that its shape did not allow, or ""."""

    name: str
    shape: Shape
    before: str
    after: str
    bytes: int
    fallback: str

    def to_json(self) -> dict[str, Any]:
        """As the job's result has it."""
        shown = {"name": self.name, "shape": list(self.shape), "from": self.before, "to": self.after}
        return {**shown, "bytes": self.bytes, "fallback": self.fallback}


@dataclass(frozen=True)
class Plan:
    """What a recipe makes of a source. `file_bytes`: of the file, close; `lines` are exact."""

    recipe: Recipe
    source: Source
    lines: tuple[Line, ...]
    wanting: tuple[str, ...]  # tensors that become garbage without importances

    @property
    def types(self) -> dict[str, str]:
        """The type of every tensor of the result."""
        return {line.name: line.after for line in self.lines}

    @property
    def tensor_bytes(self) -> int:
        """Bytes of all tensors."""
        return sum(line.bytes for line in self.lines)

    @property
    def file_bytes(self) -> int:
        """Bytes of the file, within a few kilobytes."""
        return self.source.header_bytes + _ADDED + sum(-(-line.bytes // _PADDING) * _PADDING for line in self.lines)

    @property
    def bits(self) -> float:
        """Bits a weight."""
        return 8 * self.tensor_bytes / max(self.source.elements, 1)

    @property
    def fallbacks(self) -> Counter[tuple[str, str]]:
        """How many tensors got another type (wanted, given) because of their shape."""
        return Counter((line.fallback, line.after) for line in self.lines if line.fallback)

    @property
    def requantized(self) -> tuple[str, ...]:
        """Names of tensors that are quantized already and would be once more."""
        return tuple(line.name for line in self.lines if line.before not in PLAIN and line.before != line.after)

    def to_json(self, tensors: bool = True) -> dict[str, Any]:
        """For the window and the command line; with the table of tensors or without."""
        usual = self.recipe.quality.get("bits", 0.0)
        return {
            "type": self.recipe.id,
            "bytes": self.file_bytes,
            "bits": round(self.bits, 3),
            "usual_bits": usual,
            "imatrix": self.recipe.imatrix,
            "quality": self.recipe.quality,
            "words": self.recipe.words,
            "fallbacks": [[wanted, given, count] for (wanted, given), count in self.fallbacks.most_common()],
            "fallback_tensors": self.fallbacks.total(),
            "tensor_count": len(self.lines),
            "requantized": len(self.requantized),
            "wanting_importance": len(self.wanting),
            "tensors": [line.to_json() for line in self.lines] if tensors else [],
        }


def read_source(path: Path) -> Source:
    """Read what is needed of a GGUF model, of a split one all parts.

    Raises UserError damaged_model, not_gguf, vanished_model, missing_part, not_quantizable …
    """
    files = parts(path)
    raws = [read_raw(file) for file in files]
    inventory = [tensor for raw in raws for tensor in raw.inventory]
    shapes = {tensor.name: tensor.shape for tensor in inventory}
    if len(shapes) != len(inventory) or any(len(name.encode()) > LONGEST_NAME for name in shapes):
        raise damaged(path, "a tensor's name is there twice, or too long")
    if not shapes or raws[0].values.get("general.type") in ("adapter", "imatrix"):
        raise UserError(
            "not_quantizable",
            f"{path.name} is no model whose weights can be quantized.",
            "Choose the model's own GGUF file.",
            name=path.name,
        )
    types = {tensor.name: tensor.type for tensor in inventory}
    headers = sum(file.stat().st_size for file in files) - sum(raw.tensor_bytes for raw in raws)
    licence = str(raws[0].values.get("general.license") or "")
    return Source(path, files, read_facts(raws[0]), shapes, types, headers, licence)


def read_facts(raw: Raw) -> Facts:
    """What the mix depends on, from a model's header."""
    name = raw.values.get("general.architecture")
    architecture = name if isinstance(name, str) else ""
    heads = _first(raw, f"{architecture}.attention.head_count")
    kv_heads = _first(raw, f"{architecture}.attention.head_count_kv")
    return Facts(
        architecture,
        layers=_first(raw, f"{architecture}.block_count") or 0,
        heads=heads or 0,
        kv_heads=(heads or 0) if kv_heads is None else kv_heads,
        experts=_first(raw, f"{architecture}.expert_count") or 0,
    )


def _first(raw: Raw, key: str) -> int | None:
    """A number of the header, of one for each layer the first."""
    value = raw.values.get(key)
    if isinstance(value, list):
        value = value[0] if value else None
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def plan(
    source: Source,
    chosen: Recipe | str,
    overrides: Iterable[Sequence[str]] = (),
    imatrix: bool = False,
    keep_split: bool = False,
) -> Plan:
    """What a recipe makes of a source. `imatrix`: whether importances will be given.

    Raises UserError unknown_recipe, bad_override, odd_tensor.
    """
    found = recipe(chosen, overrides) if isinstance(chosen, str) else chosen
    chosen_types = choices(found, source.shapes, source.facts, imatrix, ordered=keep_split and len(source.files) > 1)
    lines = tuple(_line(source, name, chosen_types.get(name)) for name in source.shapes)
    changed = {line.name: line.after for line in lines if line.after != line.before}
    return Plan(found, source, lines, wanting_importance(changed, found))


def preview(source: Source, names: Iterable[str] = (), imatrix: bool = False) -> list[Plan]:
    """Plans of several recipes at once, by default of all that can be used on this model."""
    wanted = list(names) or list(recipes())
    plans = []
    for name in wanted:
        try:
            plans.append(plan(source, name, imatrix=imatrix))
        except UserError as error:
            if error.code != "odd_tensor":
                raise
    return plans


def with_types(planned: Plan, types: dict[str, str]) -> Plan:
    """The same plan with other types for some tensors, as llama.cpp says them."""
    lines = tuple(
        replace(line, after=types[line.name], bytes=tensor_bytes(line.shape, types[line.name]))
        if types.get(line.name, line.after) != line.after
        else line
        for line in planned.lines
    )
    changed = {line.name: line.after for line in lines if line.after != line.before}
    return replace(planned, lines=lines, wanting=wanting_importance(changed, planned.recipe))


def tensor_bytes(shape: Shape, type: str) -> int:
    """Bytes of a tensor in a type."""
    block, size = BLOCKS[type]
    return math.prod(shape) // block * size


def _line(source: Source, name: str, choice: Choice | None) -> Line:
    before, shape = source.types[name], source.shapes[name]
    after = choice.type if choice else before
    fallback = choice.wanted if choice and choice.fallback else ""
    return Line(name, shape, before, after, tensor_bytes(shape, after), fallback)
