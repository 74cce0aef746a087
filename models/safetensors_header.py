"""A safetensors file's header: which tensors it holds and where, checked against the file, without their values.

Format: https://github.com/huggingface/safetensors#format. Whoever reads such a file reads its header here.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

LARGEST = 100 * 2**20
# A type's word -> bytes of a value.
BYTES = {
    **dict.fromkeys(("F64", "I64", "U64"), 8),
    **dict.fromkeys(("F32", "I32", "U32"), 4),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 2),
    **dict.fromkeys(("I8", "U8", "BOOL", "F8_E4M3", "F8_E5M2", "F8_E8M0"), 1),
}
Rows = dict[str, dict[str, Any]]


class BadHeader(ValueError):
    """A header that is not one, or lies. `code` and `values`: the reason for whoever says it in another language."""

    def __init__(self, code: str, text: str, **values: str) -> None:
        super().__init__(text.format(**values))
        self.code, self.values = code, values


def read(path: Path) -> tuple[Rows, int]:
    """Each tensor's row (dtype, shape, data_offsets), and at which byte of the file the data begin.

    Raises OSError, and ValueError with the reason for a header that is not one, lies, or tells of more than the file
    holds.
    """
    whole = path.stat().st_size
    with path.open("rb") as file:
        begin = data_begin(file.read(8), whole)
        try:
            header = json.loads(file.read(begin - 8))
        except RecursionError:
            raise BadHeader("header_nested", "its header is nested without end") from None
    if not isinstance(header, dict):
        raise BadHeader("header_no_object", "its header is no object")
    rows = {name: row for name, row in header.items() if name != "__metadata__"}
    for name, row in rows.items():
        _check(name, row, whole - begin)
    _check_overlaps(rows)
    return rows, begin


def data_begin(first: bytes, whole: int) -> int:
    """Where the data of a file of `whole` bytes begin, by its first eight. Raises ValueError."""
    size = int.from_bytes(first, "little")
    if len(first) < 8 or not 2 <= size <= min(LARGEST, whole - 8):
        raise BadHeader("header_cut_off", "its header is cut off")
    return 8 + size


def _check(name: str, row: Any, room: int) -> None:
    try:
        (start, end), shape, kind = row["data_offsets"], row["shape"], row["dtype"]
        usable = isinstance(shape, list) and all(type(n) is int and n >= 0 for n in (*shape, start, end))
    except (KeyError, TypeError, ValueError):
        usable = False
    if not usable:
        raise BadHeader("tensor_no_shape", "{name} has no usable shape", name=name)
    if not isinstance(kind, str) or kind not in BYTES:
        raise BadHeader("tensor_no_type", "{name} is of the unknown type {type}", name=name, type=str(kind))
    if end > room:
        raise BadHeader(
            "tensor_behind_end",
            "{name} ends {bytes} bytes behind the end of the file: it is cut off",
            name=name,
            bytes=str(end - room),
        )
    if end - start != math.prod(shape) * BYTES[kind]:
        raise BadHeader(
            "tensor_not_its_shape",
            "{name} takes {bytes} bytes, which is not its shape",
            name=name,
            bytes=str(end - start),
        )


def _check_overlaps(rows: Rows) -> None:
    """No tensor may lie inside another one: a small file could claim to be a huge model."""
    last = 0
    for start, end in sorted(tuple(row["data_offsets"]) for row in rows.values()):
        if start < last:
            raise BadHeader("tensors_overlap", "tensors lie over each other")
        last = max(last, end)
