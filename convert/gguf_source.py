"""A GGUF model read back: its metadata whole, its tensors as arrays, quantized ones as float32."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from convert.checkpoint import Mapped, Source
from convert.family import Entries
from convert.operations import Array
from convert.values import PLAIN, row_bytes
from models.gguf_header import parts
from models.gguf_reader import Raw, read_raw

_KINDS = {str: "str", bool: "bool", int: "i32", float: "f32"}
_SCALARS = {0: "u8", 1: "i8", 2: "u16", 3: "i16", 4: "u32", 5: "i32", 6: "f32", 7: "bool", 8: "str"}
_SCALARS |= {10: "u64", 11: "i64", 12: "f64"}
NUMPY = {"F32": "<f4", "F16": "<f2", "BF16": "<u2", "F64": "<f8", "I8": "<i1", "I16": "<i2", "I32": "<i4", "I64": "<i8"}
ROWS = 1 << 22  # values that are dequantized at a time


@dataclass
class GGUF:
    """An opened model. `tensors` in the file's order; their `dtype` is "F32" where the file has them quantized."""

    path: Path
    entries: Entries
    tensors: dict[str, Source]
    types: dict[str, str]
    maps: list[Mapped]

    @property
    def files(self) -> list[Path]:
        """Its parts."""
        return [mapped.path for mapped in self.maps]

    def value(self, name: str, default: Any = None) -> Any:
        """A value of the header; "{arch}." may stand for the architecture."""
        full = name.replace("{arch}", str(self.entries.get("general.architecture", ("", ""))[1]))
        return self.entries[full][1] if full in self.entries else default

    def forget(self) -> None:
        """Let go of what was read of the file so far."""
        for mapped in self.maps:
            mapped.forget()


def open_gguf(path: Path) -> GGUF:
    """Open a model, of a split one all parts. Raises UserError damaged_model, not_gguf, missing_part …"""
    found = GGUF(path, {}, {}, {}, [])
    for number, file in enumerate(parts(path)):
        raw = read_raw(file, whole=True)
        if number == 0:
            found.entries = entries_of(raw)
        mapped = Mapped(file)
        found.maps.append(mapped)
        for tensor in raw.inventory:
            shape = tuple(reversed(tensor.shape))
            plain = tensor.type in PLAIN
            look = partial(mapped.view, tensor.start, shape, NUMPY[tensor.type]) if plain else None
            unpack = look or partial(dequantized, mapped, tensor.start, shape, tensor.type)
            found.tensors[tensor.name] = Source(tensor.name, shape, tensor.type if plain else "F32", unpack, file.name)
            found.types[tensor.name] = tensor.type
    return found


def entries_of(raw: Raw) -> Entries:
    """A header's values with their kinds; of lists the kind is that of their first item."""
    found: Entries = {}
    for name, value in raw.values.items():
        if isinstance(value, list):
            found[name] = (f"[{_KINDS.get(type(value[0]) if value else int, 'i32')}]", value)
        else:
            found[name] = (_SCALARS[raw.kinds[name]], value)
    return found


def dequantized(mapped: Mapped, start: int, shape: tuple[int, ...], kind: str) -> Array:
    """A quantized tensor as float32, some rows at a time."""
    import gguf

    columns, rows = shape[-1], int(np.prod(shape[:-1], dtype=np.int64))
    size, number = row_bytes(kind, columns), gguf.GGMLQuantizationType[kind]
    raw = mapped.view(start, (rows, size), "<u1")
    found = np.empty((rows, columns), np.float32)
    step = max(1, ROWS // columns)
    for row in range(0, rows, step):
        found[row : row + step] = gguf.dequantize(raw[row : row + step], number)
    return found.reshape(shape)
