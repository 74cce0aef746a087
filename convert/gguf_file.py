"""The header of a GGUF file: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, version 3, little-endian."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, Protocol

from convert.family import Entries
from convert.values import TYPES

ALIGNMENT = 32
_KINDS = {"u8": 0, "i8": 1, "u16": 2, "i16": 3, "u32": 4, "i32": 5, "f32": 6, "bool": 7, "str": 8}
_KINDS |= {"array": 9, "u64": 10, "i64": 11, "f64": 12}
_FORMS = {"u8": "B", "i8": "b", "u16": "H", "i16": "h", "u32": "I", "i32": "i", "f32": "f", "bool": "?"}
_LENGTH = struct.Struct("<Q").pack
_FORMS |= {"u64": "Q", "i64": "q", "f64": "d"}


class Described(Protocol):
    """What a header says of a tensor: `shape` in numpy's order, `offset` in bytes from the beginning of the data."""

    @property
    def name(self) -> str: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def type(self) -> str: ...
    @property
    def offset(self) -> int: ...


def header_bytes(entries: Entries, tensors: Sequence[Described]) -> bytes:
    """All that stands before the data, padded to the alignment."""
    parts = [b"GGUF", struct.pack("<IQQ", 3, len(tensors), len(entries))]
    for name, (kind, value) in entries.items():
        parts += [_text(name), _value(kind, value)]
    for tensor in tensors:
        dimensions = tensor.shape[::-1] or (1,)
        described = struct.pack(
            f"<I{len(dimensions)}QIQ", len(dimensions), *dimensions, TYPES[tensor.type][0], tensor.offset
        )
        parts += [_text(tensor.name), described]
    made = b"".join(parts)
    return made + bytes(-len(made) % ALIGNMENT)


def padded(size: int) -> int:
    """A size up to the next multiple of the alignment."""
    return -(-size // ALIGNMENT) * ALIGNMENT


def _text(text: str | bytes) -> bytes:
    raw = text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")
    return _LENGTH(len(raw)) + raw


def _value(kind: str, value: Any) -> bytes:
    if kind.startswith("["):
        inner = kind[1:-1]
        return struct.pack("<IIQ", _KINDS["array"], _KINDS[inner], len(value)) + _list(inner, value)
    return struct.pack("<I", _KINDS[kind]) + (_text(value) if kind == "str" else struct.pack("<" + _FORMS[kind], value))


def _list(kind: str, values: Sequence[Any]) -> bytes:
    if kind == "str":
        return b"".join(_text(value) for value in values)
    return struct.pack(f"<{len(values)}{_FORMS[kind]}", *values)
