"""A bounds-checked walk over the header of one GGUF file. The file is hostile until proven otherwise."""

from __future__ import annotations

import math
import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from engine.api.errors import UserError
from models.damage import damaged
from models.gguf_types import ARRAY, SCALARS, STRING, TENSOR_TYPES

MAX_KEYS = 100_000
MAX_TENSORS = 1_000_000
MAX_STRINGS = 10_000_000  # in one array: ten times any real vocabulary
MAX_KEPT = 8 * 1024 * 1024  # bytes of a string that is kept
_KEEP_ITEMS = 4096  # longer arrays are skipped; only their length is kept
_KEEP_STRINGS = 64
_DEPTH = 4
_U32, _U64 = struct.Struct("<I"), struct.Struct("<Q")
_OLD_MAGICS = (b"lmgg", b"tjgg", b"fmgg", b"algg", b"ggml", b"ggjt", b"ggmf", b"ggla")


@dataclass(frozen=True)
class Skipped:
    """Stands for an array that was too long to keep."""

    length: int


@dataclass(frozen=True)
class Tensor:
    """One tensor as the header tells of it: dimensions in elements, the quickest first; the name of its type; the byte
    of the file that its data begin with."""

    name: str
    shape: tuple[int, ...]
    type: str
    start: int = 0


@dataclass(frozen=True)
class Raw:
    """What one file's header says: metadata, elements and bytes of its tensors, names of their types.

    `kinds` has the number of each value's type (models.gguf_types), for those who mind the difference between
    32 and 64 bits; `inventory` has one entry a tensor.
    """

    values: dict[str, Any]
    tensors: int
    elements: int
    tensor_bytes: int
    type_bytes: dict[str, int]
    kinds: dict[str, int]
    inventory: tuple[Tensor, ...]


def read_raw(path: Path, whole: bool = False) -> Raw:
    """Read one file's header; `whole`: long lists (the vocabulary) are kept too.

    Raises UserError: vanished_model, empty_file, not_gguf, old_model, damaged_model …
    """
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise UserError("not_gguf", f"{path.name} is not a file.", _CHOOSE, name=path.name)
        with path.open("rb") as file:
            return _read_open(path, file.fileno(), size, whole)
    except FileNotFoundError:
        raise UserError(
            "vanished_model",
            f"The model file {path.name} is not there.",
            "Put it back, or remove the model from the list.",
            name=path.name,
            path=str(path),
        ) from None
    except OSError as error:
        raise UserError(
            "unreadable_file",
            f"{path.name} cannot be read: {error.strerror or error}.",
            "Check the permissions of the file and its folder.",
            name=path.name,
            reason=error.strerror or str(error),
        ) from None


_CHOOSE = "Choose a model file in GGUF format."


def _read_open(path: Path, descriptor: int, size: int, whole: bool) -> Raw:
    if size == 0:
        raise UserError("empty_file", f"{path.name} is empty.", "Download or copy it again.", name=path.name)
    with mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ) as data:
        walk = _Walk(data, len(data), path, whole)
        try:
            return walk.raw()
        except (struct.error, OverflowError, IndexError):
            # The one bound that is left to the reading itself: running off the end of the file.
            walk.damaged("it ends in the middle of its header")


class _Walk:
    """A position in the header. Every step checks that it stays inside the file."""

    def __init__(self, data: mmap.mmap, size: int, path: Path, whole: bool) -> None:
        self.data, self.size, self.path, self.at, self.whole = data, size, path, 0, whole

    def damaged(self, reason: str) -> NoReturn:
        raise damaged(self.path, reason)

    def raw(self) -> Raw:
        self._magic()
        tensors, keys = self._u64(), self._u64()
        if keys > MAX_KEYS or tensors > MAX_TENSORS:
            self.damaged(f"it claims {tensors} tensors and {keys} values")
        values, kinds = self._values(keys)
        return self._tensors(tensors, values, kinds)

    def _magic(self) -> None:
        magic = self.data[:4]
        if magic in _OLD_MAGICS:
            raise _old(self.path.name)
        if magic == b"FUGG":
            raise _big_endian(self.path.name)
        if magic != b"GGUF":
            raise UserError("not_gguf", f"{self.path.name} is not a GGUF model.", _CHOOSE, name=self.path.name)
        self.at = 4
        version = self._u32()
        if version & 0xFFFF == 0 and version:
            raise _big_endian(self.path.name)
        if version == 1:
            raise _old(self.path.name)
        if version not in (2, 3):
            raise _newer(self.path.name, f"version {version} of GGUF")

    def _u32(self) -> int:
        (value,) = _U32.unpack_from(self.data, self.at)
        self.at += 4
        return int(value)

    def _u64(self) -> int:
        (value,) = _U64.unpack_from(self.data, self.at)
        self.at += 8
        return int(value)

    def _skip(self, count: int) -> None:
        if count > self.size - self.at:
            self.damaged("a length in its header points beyond its end")
        self.at += count

    def _string(self, most: int) -> str:
        length, start = self._u64(), self.at
        self._skip(length)
        if length > most:
            self.damaged("a text in its header is far too long")
        return self.data[start : self.at].decode("utf-8", "replace")

    def _values(self, count: int) -> tuple[dict[str, Any], dict[str, int]]:
        values: dict[str, Any] = {}
        kinds: dict[str, int] = {}
        for _ in range(count):
            key = self._string(65_535)
            if key in values:
                self.damaged(f"it gives {key[:80]!r} twice")
            if not key:
                self.damaged("a value in its header has no name")
            kinds[key] = self._u32()
            values[key] = self._value(kinds[key], _DEPTH)
        return values, kinds

    def _value(self, kind: int, depth: int) -> Any:
        if kind == STRING:
            return self._string(MAX_KEPT)
        if kind == ARRAY:
            return self._array(depth)
        if kind not in SCALARS:
            self.damaged(f"it holds a value of the unknown type {kind}")
        code = struct.Struct("<" + SCALARS[kind])
        (value,) = code.unpack_from(self.data, self.at)
        self.at += code.size
        return value

    def _array(self, depth: int) -> Any:
        kind, count = self._u32(), self._u64()
        if depth == 0:
            self.damaged("its lists are nested too deeply")
        if kind in SCALARS:
            return self._numbers(SCALARS[kind], count)
        if kind == STRING and count > _KEEP_STRINGS:
            return self._keep_strings(count) if self.whole else self._skip_strings(count)
        if kind not in (STRING, ARRAY):
            self.damaged(f"it holds a list of the unknown type {kind}")
        if count > _KEEP_STRINGS:
            self.damaged("a list of lists in it is far too long")
        return [self._value(kind, depth - 1) for _ in range(count)]

    def _numbers(self, code: str, count: int) -> Any:
        start = self.at
        self._skip(count * struct.calcsize("<" + code))
        if count > _KEEP_ITEMS and not self.whole:
            return Skipped(count)
        return list(struct.unpack_from(f"<{count}{code}", self.data, start))

    def _skip_strings(self, count: int) -> Skipped:
        if count > MAX_STRINGS:
            self.damaged(f"it claims a list of {count} texts")
        # A vocabulary has some 150,000 texts: the loop is bare, and running off the end is caught once.
        at, data, unpack = self.at, self.data, _U64.unpack_from
        for _ in range(count):
            at += 8 + unpack(data, at)[0]
        self._skip(at - self.at)
        return Skipped(count)

    def _keep_strings(self, count: int) -> list[str]:
        if count > MAX_STRINGS or count > self.size // 8:
            self.damaged(f"it claims a list of {count} texts")
        return [self._string(MAX_KEPT) for _ in range(count)]

    def _tensors(self, count: int, values: dict[str, Any], kinds: dict[str, int]) -> Raw:
        types: dict[str, int] = {}
        inventory: list[tuple[str, tuple[int, ...], str, int]] = []
        elements, furthest = 0, 0
        for _ in range(count):
            title, shape, kind, offset = self._tensor()
            number = math.prod(shape)
            name, block, block_bytes = self._type(kind)
            inventory.append((title, shape, name, offset))
            if number % block:
                self.damaged("a tensor does not fill its blocks")
            length = number // block * block_bytes
            types[name] = types.get(name, 0) + length
            elements, furthest = elements + number, max(furthest, offset + length)
        begin = self._check_data(furthest, sum(types.values()), values)
        tensors = tuple(Tensor(title, shape, kind, begin + offset) for title, shape, kind, offset in inventory)
        return Raw(values, count, elements, sum(types.values()), types, kinds, tensors)

    def _tensor(self) -> tuple[str, tuple[int, ...], int, int]:
        """Name, dimensions, type and offset of the next tensor."""
        name = self._string(65_535)
        dimensions = self._u32()
        if not 1 <= dimensions <= 4:
            self.damaged(f"a tensor claims {dimensions} dimensions")
        shape = tuple(self._u64() for _ in range(dimensions))
        if math.prod(shape) >= 1 << 63:
            self.damaged("a tensor claims an impossible size")
        return name, shape, self._u32(), self._u64()

    def _type(self, kind: int) -> tuple[str, int, int]:
        if kind not in TENSOR_TYPES:
            raise _newer(self.path.name, f"the number format {kind}")
        return TENSOR_TYPES[kind]

    def _check_data(self, furthest: int, total: int, values: dict[str, Any]) -> int:
        """Where the tensors' data begin."""
        alignment = values.get("general.alignment", 32)
        if not isinstance(alignment, int) or alignment < 1 or alignment > 1 << 20 or alignment & (alignment - 1):
            self.damaged("its alignment is impossible")
        start = -(-self.at // alignment) * alignment
        if max(furthest, total) > self.size - start and total:
            missing = max(furthest, total) - (self.size - start)
            self.damaged(f"{missing} bytes are missing at its end")
        return start


_ANOTHER = "Look for another file of the same model."


def _old(name: str) -> UserError:
    return UserError("old_model", f"{name} is in an old format.", _ANOTHER, name=name)


def _big_endian(name: str) -> UserError:
    return UserError("big_endian_model", f"{name} was made for big-endian machines.", _ANOTHER, name=name)


def _newer(name: str, what: str) -> UserError:
    return UserError(
        "newer_model",
        f"{name} uses {what}, which this program does not know.",
        f"Update Deskside, or: {_ANOTHER}",
        name=name,
    )
