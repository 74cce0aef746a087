"""Writing safetensors in slabs: the header first, from shapes alone. https://github.com/huggingface/safetensors#format"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from convert.checkpoint import DTYPES
from convert.operations import Laid
from convert.values import encode, slabs
from engine.api.job import Job
from models.hardware import free_disk
from models.registry import disk_full

SLAB = 1 << 20
FORGET_EVERY = 256 << 20  # bytes written between two times that mapped pages are let go
LARGEST_PART = 5 * 10**9


@dataclass(frozen=True)
class Wanted:
    """A tensor to be written as `dtype`. `pieces` gives its values in order when it is its turn: whole rows, and the
    type of their bits."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    pieces: Callable[[], Iterable[tuple[Laid, str]]]

    @property
    def bytes(self) -> int:
        """What it takes."""
        return int(np.prod(self.shape, dtype=np.int64)) * np.dtype(DTYPES[self.dtype]).itemsize


class Opened(Protocol):
    """Files in mapped memory: Checkpoint, GGUF."""

    def forget(self) -> None:
        """Let go of the pages that were read."""


def write_checkpoint(
    folder: Path, tensors: list[Wanted], job: Job, sources: Sequence[Opened], most: int = LARGEST_PART
) -> list[Path]:
    """Write model.safetensors, or several and their index where it would be larger than `most` bytes; gives the files.

    Now and then the pages of `sources` that were read are let go. Raises Cancelled, UserError disk_full.
    """
    groups = _grouped(tensors, most)
    total, done, forgotten = sum(tensor.bytes for tensor in tensors), 0, 0
    if total > free_disk(folder):
        raise disk_full(total, free_disk(folder))
    names = [_name(number, len(groups)) for number in range(len(groups))]
    for name, group in zip(names, groups, strict=True):
        with (folder / name).open("wb") as file:
            file.write(_header(group))
            for tensor in group:
                for data in _data(tensor):
                    file.write(data)
                    done += len(data)
                    job.step(done, total, "bytes", tensor.name)
                if done - forgotten > FORGET_EVERY:
                    forgotten = done
                    for source in sources:
                        source.forget()
    if len(groups) > 1:
        places = {tensor.name: name for name, group in zip(names, groups, strict=True) for tensor in group}
        index = {"metadata": {"total_size": total}, "weight_map": places}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=1), encoding="utf-8")
    return [folder / name for name in names]


def _data(tensor: Wanted) -> Iterator[bytes | memoryview]:
    for made, dtype in tensor.pieces():
        for block in made.blocks:
            for slab in slabs(block, SLAB):
                yield encode(slab, dtype, tensor.dtype, made.change)[0]


def _header(tensors: list[Wanted]) -> bytes:
    rows, offset = {}, 0
    for tensor in tensors:
        rows[tensor.name] = {
            "dtype": tensor.dtype,
            "shape": list(tensor.shape),
            "data_offsets": [offset, offset + tensor.bytes],
        }
        offset += tensor.bytes
    raw = json.dumps({"__metadata__": {"format": "pt"}, **rows}).encode()
    raw += b" " * (-len(raw) % 8)
    return len(raw).to_bytes(8, "little") + raw


def _grouped(tensors: list[Wanted], most: int) -> list[list[Wanted]]:
    groups: list[list[Wanted]] = [[]]
    size = 0
    for tensor in tensors:
        if groups[-1] and size + tensor.bytes > most:
            groups.append([])
            size = 0
        groups[-1].append(tensor)
        size += tensor.bytes
    return groups


def _name(number: int, count: int) -> str:
    return "model.safetensors" if count == 1 else f"model-{number + 1:05}-of-{count:05}.safetensors"
