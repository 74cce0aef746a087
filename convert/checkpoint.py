"""A Hugging Face folder: its config and its tensors, found from headers alone and read through mapped memory."""

from __future__ import annotations

import json
import math
import mmap
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from convert.config import Config, read_config
from convert.note import note, reason_of, spoken
from convert.operations import Array
from engine.api.errors import UserError
from models import safetensors_header

# safetensors' word -> numpy's for the same bits. BF16 and the FP8 kinds have none: their bits are carried as numbers.
DTYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "<i1",
    "U8": "<u1",
    "BOOL": "<u1",
    "F8_E4M3": "<u1",
    "F8_E5M2": "<u1",
    "F8_E8M0": "<u1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
}

FLOATS = ("F64", "F32", "F16", "BF16")


@dataclass(frozen=True)
class Source:
    """A tensor that can be had: `array()` gives it, as the bits of `dtype`, mapped or computed then."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    array: Callable[[], Array] = field(repr=False, compare=False)
    file: str = ""

    @property
    def elements(self) -> int:
        """How many values."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """What it takes in its own type."""
        return self.elements * np.dtype(DTYPES[self.dtype]).itemsize


class Mapped:
    """A weights file in mapped memory; pages come when they are touched and go with `forget`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def view(self, start: int, shape: tuple[int, ...], dtype: str) -> Array:
        """Values from a byte on, without copying."""
        if not math.prod(shape):
            return np.empty(shape, dtype)
        return np.frombuffer(self._map, np.dtype(dtype), math.prod(shape), start).reshape(shape)

    def forget(self) -> None:
        """Let the pages go that were read."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)


@dataclass
class Checkpoint:
    """A folder with config.json and weights. `tensors` in the order of the files;"""

    folder: Path
    config: Config
    tensors: dict[str, Source]
    maps: list[Mapped] = field(default_factory=list)

    def forget(self) -> None:
        """Let go of what was read of the files so far."""
        for mapped in self.maps:
            mapped.forget()

    @property
    def files(self) -> list[Path]:
        """The files of its weights."""
        return [mapped.path for mapped in self.maps]

    @property
    def bytes(self) -> int:
        """Of all tensors."""
        return sum(tensor.bytes for tensor in self.tensors.values())

    def dtype(self) -> str:
        """The type of its first matrix: what config.json says of it is not always true."""
        matrices = (tensor.dtype for tensor in self.tensors.values() if len(tensor.shape) > 1)
        return next((dtype for dtype in matrices if dtype in FLOATS), "F32")


def open_checkpoint(folder: Path) -> Checkpoint:
    """Read config and headers; a file in a checkpoint's folder stands for the folder.

    Raises UserError gguf_not_folder, no_config, bad_config, no_weights, missing_shards, damaged_weights.
    """
    if folder.is_file() and folder.suffix.lower() != ".gguf":
        folder = folder.parent
    return open_weights(folder, read_config(folder), (("model", "safetensors"), ("pytorch_model", "bin")))


def open_weights(folder: Path, config: Config, kinds: tuple[tuple[str, str], ...]) -> Checkpoint:
    """Read the headers of the first kind of files (how names begin, how they end) that is there."""
    names, index = _weight_files(folder, kinds)
    checkpoint = Checkpoint(folder, config, {})
    for name in names:
        if name.endswith(".safetensors"):
            _add_safetensors(checkpoint, folder / name)
        else:
            from convert.pickled import add_pickled

            add_pickled(checkpoint, folder / name)
    checkpoint.config.names = frozenset(checkpoint.tensors)
    lost = sorted(set(index) - set(checkpoint.tensors))
    if lost:
        raise _missing(folder, sorted({index[name] for name in lost}), len(lost))
    return checkpoint


def add(checkpoint: Checkpoint, source: Source) -> None:
    """Put a tensor into a checkpoint. Raises UserError damaged_weights if it is there already."""
    if source.name in checkpoint.tensors:
        raise damaged_weights(source.file, note("there_twice", "{name} is there twice", name=source.name))
    checkpoint.tensors[source.name] = source


def damaged_weights(name: str, reason: str) -> UserError:
    """The error of a file that is not what it says."""
    return UserError(
        "damaged_weights",
        f"{name} is damaged: {reason}.",
        "Download this file again.",
        name=name,
        reason=spoken(reason),
    )


def _add_safetensors(checkpoint: Checkpoint, path: Path) -> None:
    try:
        rows, begin = safetensors_header.read(path)
    except (OSError, ValueError) as error:
        raise damaged_weights(path.name, reason_of(error)) from None
    mapped = Mapped(path)
    checkpoint.maps.append(mapped)
    for name, row in rows.items():
        shape, start = tuple(row["shape"]), begin + row["data_offsets"][0]
        look = partial(mapped.view, start, shape, DTYPES[row["dtype"]])
        add(checkpoint, Source(name, shape, row["dtype"], look, path.name))


def _weight_files(folder: Path, kinds: tuple[tuple[str, str], ...]) -> tuple[list[str], dict[str, str]]:
    """Names of the files with weights, and which tensor is promised in which."""
    for stem, ending in kinds:
        index = _index(folder, f"{stem}.{ending}.index.json")
        if index:
            names = sorted(set(index.values()))
            lost = [name for name in names if not (folder / name).is_file()]
            if lost:
                raise _missing(folder, lost, sum(index[tensor] in lost for tensor in index))
            return names, index
        names = sorted(path.name for path in folder.glob(f"{stem}*.{ending}"))
        if names:
            return names, {}
    raise UserError(
        "no_weights",
        f"{folder.name} has no weights.",
        "Choose the folder that holds model.safetensors (or its parts).",
        name=folder.name,
    )


def _index(folder: Path, name: str) -> dict[str, str]:
    path = folder / name
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["weight_map"]
        if not isinstance(found, dict) or not all(Path(str(one)).name == one for one in found.values()):
            raise ValueError(note("names_no_files", "it names no files"))
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise damaged_weights(name, reason_of(error)) from None
    return found


def _missing(folder: Path, files: list[str], tensors: int) -> UserError:
    return UserError(
        "missing_shards",
        f"{folder.name} lacks {tensors} tensors of {', '.join(files[:5])}{' …' if len(files) > 5 else ''}.",
        "Download these files again into the same folder.",
        name=folder.name,
        files=", ".join(files[:5]),
        tensors=tensors,
    )
