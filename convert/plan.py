"""The first pass: from headers alone, every tensor a GGUF file will have, exactly; no value is read."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from convert.checkpoint import DTYPES, Checkpoint, Source
from convert.family import Entries, Family, Rule, filled
from convert.gguf_file import header_bytes, padded
from convert.note import note
from convert.operations import Laid, laid
from convert.values import TYPES, row_bytes
from engine.api.errors import UserError
from models.hardware import free_disk
from models.registry import disk_full

# Tensors that llama.cpp computes with in float32 only, whatever the file's type is.
ALWAYS_F32 = re.compile(
    r".*_norm(_\w+)?\.weight|.*\.ffn_gate_inp(_shexp)?\.weight|(position_embd|token_types)\.weight|.*\.ssm_conv1d\.weight"
    r"|.*\.ssm_conv1d_[qkv]\.weight|.*\.shortconv\.conv\.weight|altup_.*_coef\.weight|.*\.altup_(correct|predict)_coef\.weight"
    r"|.*\.indexer\.proj\.weight"
)
FILE_TYPES = {"F32": 0, "F16": 1, "Q8_0": 7, "BF16": 32}


@dataclass(frozen=True)
class Work:
    """One use of a rule: its sources at hand, and the names its results get."""

    rule: Rule
    sources: tuple[Source, ...]
    targets: tuple[str, ...]


@dataclass(frozen=True)
class Planned:
    """One tensor of the file: `shape` in numpy's order, `offset` and `bytes` within its data; `made` from `work`."""

    name: str
    shape: tuple[int, ...]
    type: str
    offset: int
    bytes: int
    dtype: str
    work: Work | None
    number: int = 0
    values: object = field(default=None, repr=False, compare=False)
    note: str = ""

    @property
    def elements(self) -> int:
        """How many values."""
        return int(np.prod(self.shape, dtype=np.int64))


@dataclass(frozen=True)
class Plan:
    """All that will be written. `notes`: what a person should know before."""

    family: str
    entries: Entries
    tensors: tuple[Planned, ...]
    notes: tuple[str, ...] = ()

    @property
    def data_bytes(self) -> int:
        """Of the data, each tensor padded."""
        return sum(padded(tensor.bytes) for tensor in self.tensors)

    def header(self) -> bytes:
        """What stands before the data."""
        return self._header

    @cached_property
    def _header(self) -> bytes:
        return header_bytes(self.entries, self.tensors)

    @property
    def file_bytes(self) -> int:
        """Of the whole file."""
        return len(self._header) + self.data_bytes

    @property
    def bits(self) -> float:
        """Bits a weight."""
        elements = sum(tensor.elements for tensor in self.tensors)
        return 8 * sum(tensor.bytes for tensor in self.tensors) / max(1, elements)


def work_of(family: Family, checkpoint: Checkpoint) -> list[Work]:
    """Every tensor of the checkpoint put to its rule. Raises UserError unknown_tensors, missing_tensors."""
    groups: dict[tuple[int, str, str], dict[tuple[int, int], Source]] = {}
    unknown = []
    for name, source in checkpoint.tensors.items():
        placed = family.place(checkpoint.config, name)
        left_out = not placed or family.drops(placed)
        found = None if left_out else family.places(placed)
        if found:
            rule, number, places = found
            key = (family.rules.index(rule), places.get("i", ""), places.get("end", ""))
            groups.setdefault(key, {})[number, int(places.get("e", 0))] = source
        elif not left_out:
            unknown.append(name)
    if unknown:
        raise _unknown(unknown)
    ordered = sorted(groups.items(), key=lambda group: (group[0][1] != "", int(group[0][1] or 0), group[0][0]))
    return [_work(family.rules[key[0]], key[1:], found) for key, found in ordered]


def _work(rule: Rule, places: tuple[str, str], found: dict[tuple[int, int], Source]) -> Work:
    experts = sorted({expert for _, expert in found})
    wanted = [(number, expert) for number in range(len(rule.sources)) for expert in experts]
    lost = [rule.sources[number] for number, expert in wanted if (number, expert) not in found]
    if lost or experts != list(range(len(experts))):
        name = lost[0] if lost else rule.sources[0]
        raise UserError(
            "missing_tensors",
            f"The checkpoint lacks tensors: {name} of layer {places[0] or '-'}.",
            "Download all of its files again.",
            name=name,
            layer=places[0] or "-",
        )
    named = {"i": places[0], "end": places[1]}
    targets = tuple(filled(target, named) for target in rule.targets)
    return Work(rule, tuple(found[each] for each in wanted), targets)


def _unknown(names: list[str]) -> UserError:
    return UserError(
        "unknown_tensors",
        f"{len(names)} tensors of this checkpoint belong to no part of its family: {', '.join(names[:3])}.",
        "It may be a variant that is not known yet; please report its name.",
        count=len(names),
        names=", ".join(names[:3]),
    )


def shaped(work: Work, sizes: object) -> list[Laid]:
    """What the work gives, as views of nothing: for shapes."""
    empty = [np.broadcast_to(np.zeros((), DTYPES[source.dtype]), source.shape) for source in work.sources]
    return work.rule.operation.forward(empty, sizes)  # type: ignore[arg-type]


def packed_of(work: Work) -> str:
    """The ggml type that an operation gives bytes of, where it moves packed values; "" for all others."""
    return str(getattr(work.rule.operation, "packed", ""))


def type_of(family: Family, name: str, shape: tuple[int, ...], wished: str) -> tuple[str, str]:
    """The type a tensor gets, and why where it is not the one wished for."""
    for each, kind in family.types:
        if re.fullmatch(each, name):
            chosen = ("F16" if wished == "F16" else "F32") if kind == "F16/F32" else kind
            return chosen, note("family_wants", "the family wants it so")
    if len(shape) <= 1 or not name.endswith(".weight") or ALWAYS_F32.fullmatch(name):
        return "F32", "" if wished == "F32" else note("always_f32", "always F32")
    if shape[-1] % TYPES[wished][1]:
        return "F16", note(
            "rows_no_multiple",
            "its rows of {columns} are not a multiple of {block}",
            columns=shape[-1],
            block=TYPES[wished][1],
        )
    return wished, ""


def tensors_of(
    family: Family, checkpoint: Checkpoint, wished: str, types: dict[str, str] | None = None
) -> tuple[Planned, ...]:
    """All tensors with their places in the file. `types`: by name, where a recipe says more than `wished`."""
    rows: list[tuple[str, tuple[int, ...], str, Work | None, int, object]] = []
    for extra in family.extras:
        values = extra.values(checkpoint.config)
        if values is not None:
            array = np.asarray(values, np.float32)
            rows.append((extra.name, array.shape, "F32", None, 0, laid(array)))
    for work in work_of(family, checkpoint):
        for number, made in enumerate(shaped(work, checkpoint.config)):
            dtype = packed_of(work) or work.sources[0].dtype
            rows.append((work.targets[number], made.shape, dtype, work, number, None))
    return _placed(family, rows, wished, types or {})


def _placed(
    family: Family,
    rows: Iterable[tuple[str, tuple[int, ...], str, Work | None, int, object]],
    wished: str,
    types: dict[str, str],
) -> tuple[Planned, ...]:
    offset, found, names = 0, [], set()
    for name, shape, dtype, work, number, values in rows:
        if name in names:
            raise UserError(
                "tensor_twice",
                f"Two tensors of the checkpoint would become {name}.",
                "The checkpoint is not of one model.",
                name=name,
            )
        names.add(name)
        kind, why = type_of(family, name, shape, wished) if work else ("F32", "")
        kind = types.get(name, kind)
        if work and packed_of(work):
            kind, why = dtype, note("published_so", "it is published so, and kept")
        size = row_bytes(kind, shape[-1]) * int(np.prod(shape[:-1], dtype=np.int64)) if shape else row_bytes(kind, 1)
        found.append(Planned(name, shape, kind, offset, size, dtype, work, number, values, why))
        offset += padded(size)
    return tuple(found)


def counts_of(tensors: tuple[Planned, ...]) -> tuple[int, int, int, int]:
    """Parameters in all, of them outside experts, an expert's, and how many experts: for the size in a name."""
    total = experts = count = 0
    for tensor in tensors:
        total += tensor.elements
        if "_exps." in tensor.name and len(tensor.shape) == 3:
            experts, count = experts + tensor.elements, tensor.shape[0]
    return total, total - experts, experts // count if count else 0, count


def check_room(plan: Plan, out: Path) -> None:
    """Raises UserError disk_full where the file will not fit."""
    free = free_disk(out.parent)
    if plan.file_bytes > free:
        raise disk_full(plan.file_bytes, free)
