"""PyTorch's .bin files: a zip archive with a pickle in it. Only tensors are taken from it; nothing of it is called.

Format: torch/serialization.py; an unpickler that knows no classes but those a state dict is made of cannot run code.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from convert.checkpoint import DTYPES, Checkpoint, Mapped, Source, add, damaged_weights
from convert.note import note, reason_of
from convert.operations import Array
from engine.api.errors import UserError

LARGEST_PICKLE = 256 * 2**20
_STORAGES = {
    "DoubleStorage": "F64",
    "FloatStorage": "F32",
    "HalfStorage": "F16",
    "BFloat16Storage": "BF16",
    "LongStorage": "I64",
    "IntStorage": "I32",
    "ShortStorage": "I16",
    "CharStorage": "I8",
    "ByteStorage": "U8",
    "BoolStorage": "BOOL",
}


@dataclass(frozen=True)
class _Storage:
    """Raw values inside the archive."""

    dtype: str
    key: str
    elements: int


@dataclass(frozen=True)
class _Tensor:
    """A window on a storage, counted in values."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def add_pickled(checkpoint: Checkpoint, path: Path) -> None:
    """Add the tensors of one .bin file. Raises UserError unsafe_pickle, old_pickle, damaged_weights."""
    try:
        with zipfile.ZipFile(path) as archive:
            named = next(name for name in archive.namelist() if name.endswith("/data.pkl"))
            if archive.getinfo(named).file_size > LARGEST_PICKLE:
                raise damaged_weights(path.name, note("list_too_large", "its list of tensors is larger than any"))
            tensors = _Reader(io.BytesIO(archive.read(named)), path.name).load()
            places = {name: _place(path, archive.getinfo(name)) for name in archive.namelist() if "/data/" in name}
    except (zipfile.BadZipFile, StopIteration):
        raise UserError(
            "old_pickle",
            f"{path.name} is of a format that cannot be read safely.",
            "Take the model's safetensors files.",
            name=path.name,
        ) from None
    except (OSError, ValueError, KeyError, EOFError, pickle.UnpicklingError, TypeError, IndexError) as error:
        raise damaged_weights(path.name, reason_of(error)) from None
    _add_all(checkpoint, path, tensors, places, named.rpartition("/")[0])


def _add_all(checkpoint: Checkpoint, path: Path, tensors: Any, places: dict[str, tuple[int, int]], folder: str) -> None:
    mapped = Mapped(path)
    checkpoint.maps.append(mapped)
    for name, tensor in tensors.items() if isinstance(tensors, dict) else ():
        if not isinstance(name, str) or not isinstance(tensor, _Tensor):
            continue
        start, size = places.get(f"{folder}/data/{tensor.storage.key}", (0, 0))
        if not _inside(tensor, size):
            raise damaged_weights(path.name, note("cut_off", "{name} is cut off", name=name))
        look = partial(_view, mapped, start, tensor)
        add(checkpoint, Source(name, tensor.shape, tensor.storage.dtype, look, path.name))


def _inside(tensor: _Tensor, size: int) -> bool:
    """Whether a tensor's window lies in its storage of so many bytes."""
    if min(tensor.offset, *tensor.shape, *tensor.strides, 0) < 0 or len(tensor.shape) != len(tensor.strides):
        return False
    steps = [(length - 1) * step for length, step in zip(tensor.shape, tensor.strides, strict=True)]
    item = np.dtype(DTYPES[tensor.storage.dtype]).itemsize
    return 0 in tensor.shape or (tensor.offset + sum(steps) + 1) * item <= min(size, tensor.storage.elements * item)


def _view(mapped: Mapped, start: int, tensor: _Tensor) -> Array:
    kind = np.dtype(DTYPES[tensor.storage.dtype])
    values = mapped.view(start + tensor.offset * kind.itemsize, (tensor.storage.elements - tensor.offset,), kind.str)
    strides = [step * kind.itemsize for step in tensor.strides]
    return np.lib.stride_tricks.as_strided(values, tensor.shape, strides, writeable=False)


def _place(path: Path, info: zipfile.ZipInfo) -> tuple[int, int]:
    """Where an uncompressed member's bytes are, and how many. Raises ValueError where it is compressed."""
    if info.compress_type != zipfile.ZIP_STORED:
        raise ValueError(note("tensors_compressed", "its tensors are compressed"))
    with path.open("rb") as file:
        file.seek(info.header_offset + 26)
        lengths = file.read(4)
    return info.header_offset + 30 + int.from_bytes(lengths[:2], "little") + int.from_bytes(
        lengths[2:], "little"
    ), info.file_size


class _Reader(pickle.Unpickler):
    """Knows the few names a state dict needs; any other is refused by name."""

    def __init__(self, file: io.BytesIO, name: str) -> None:
        super().__init__(file)
        self._name = name

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        known = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): _rebuild,
            ("torch._utils", "_rebuild_parameter"): lambda tensor, *rest: tensor,
        }
        if (module, name) not in known:
            raise UserError(
                "unsafe_pickle",
                f"{self._name} wants to run {module}.{name}, which no weights need: it was not opened.",
                "Take the model's safetensors files.",
                name=self._name,
                wants=f"{module}.{name}",
            )
        return known[module, name]

    def persistent_load(self, pid: Any) -> _Storage:
        _, dtype, key, _, elements = pid
        return _Storage(str(dtype), str(key), int(elements))


def _rebuild(storage: _Storage, offset: int, shape: Any, strides: Any, *rest: Any) -> _Tensor:
    return _Tensor(storage, int(offset), tuple(map(int, shape)), tuple(map(int, strides)))
