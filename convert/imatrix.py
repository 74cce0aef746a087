"""Importance matrices as files: llama.cpp's GGUF format, read and written; its older .dat format, read.

Read from others they are hostile: sizes are checked against the file, numbers must be finite and not negative.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from convert.note import note, spoken
from engine.api.errors import UserError
from models.gguf_header import parts
from models.gguf_reader import read_raw

if TYPE_CHECKING:
    from models.gguf_reader import Tensor

ALIGNMENT, MAGIC, VERSION = 32, b"GGUF", 3
U32, STRING, ARRAY, F32 = 4, 8, 9, 0
SUMS, COUNTS = ".in_sum2", ".counts"
USUAL_CHUNK = 512
# Weights of blocks that llama.cpp never quantizes, so that nobody misses their entries.
_KEPT = re.compile(
    r"_norm\.weight|ffn_gate_inp\.weight|ffn_gate_tid2eid|altup|laurel|per_layer_model_proj|ssm_conv1d|shortconv\.conv"
    r"|indexer\.[kq]_proj|time_mix_(first|w\d|v\d|a\d|g\d|decay_w\d|lerp_fused)|attn_rel_b|\.position_embd"
)


@dataclass
class Imatrix:
    """`sums` [matrices, columns] of squared inputs and `counts` [matrices or 1] of rows, a weight; what they were made
    of: names of texts, chunks, tokens a chunk."""

    sums: dict[str, NDArray[np.float64]]
    counts: dict[str, NDArray[np.int64]]
    datasets: tuple[str, ...] = ()
    chunks: int = 0
    chunk_size: int = USUAL_CHUNK


def weights(imatrix: Imatrix) -> dict[str, NDArray[np.float32]]:
    """What quantizing needs: the mean square of each column, flat; ones for experts that nothing was routed to."""
    found = {}
    for name, sums in imatrix.sums.items():
        blocks = sums.reshape(len(imatrix.counts[name]), -1)
        counts = imatrix.counts[name][:, None]
        means = np.where(counts > 0, blocks / np.maximum(counts, 1), 1.0)
        found[name] = means.astype(np.float32).ravel()
    return found


def missing(imatrix: Imatrix, model: Path) -> list[str]:
    """Weights of a model's blocks that could be quantized but have no entry, or one of another size."""
    return [
        tensor.name
        for tensor in _quantizable(model)
        if tensor.name not in imatrix.sums or imatrix.sums[tensor.name].size != _size(tensor)
    ]


def unrouted(imatrix: Imatrix) -> list[dict[str, Any]]:
    """Experts that no token was sent to: [{"tensor", "experts": numbers, "of": how many there are}]."""
    found = []
    for name, counts in sorted(imatrix.counts.items()):
        empty = np.flatnonzero(counts == 0)
        if len(empty):
            found.append({"tensor": name, "experts": empty.tolist(), "of": len(counts)})
    return found


def merged(matrices: Iterable[Imatrix]) -> Imatrix:
    """The sum of several, as if their texts had been read one after the other. Raises UserError imatrix_of_another."""
    total = Imatrix({}, {})
    for one in matrices:
        for name, sums in one.sums.items():
            _merge(total, name, sums, one.counts[name])
        total.datasets += tuple(text for text in one.datasets if text not in total.datasets)
        total.chunks += one.chunks
        total.chunk_size = one.chunk_size or total.chunk_size
    return total


def _merge(total: Imatrix, name: str, sums: NDArray[np.float64], counts: NDArray[np.int64]) -> None:
    if name not in total.sums:
        total.sums[name], total.counts[name] = sums.copy(), counts.copy()
        return
    if total.sums[name].size != sums.size or not _fit(total.counts[name], counts):
        raise UserError(
            "imatrix_of_another",
            f"The importance matrices do not belong to the same model: they differ in {name}.",
            "Merge only those made with one model.",
            tensor=name,
        )
    total.sums[name] = total.sums[name].reshape(sums.shape) + sums
    total.counts[name] = total.counts[name] + counts  # one count for all stands for each


def _fit(a: NDArray[np.int64], b: NDArray[np.int64]) -> bool:
    return len(a) == len(b) or 1 in (len(a), len(b))


def _quantizable(model: Path) -> list[Tensor]:
    tensors = [tensor for file in parts(model) for tensor in read_raw(file).inventory]
    return [
        tensor
        for tensor in tensors
        if tensor.name.startswith("blk.")
        and tensor.name.endswith("weight")
        and len(tensor.shape) - sum(n == 1 for n in tensor.shape[1:]) >= 2
        and not _KEPT.search(tensor.name)
    ]


def _size(tensor: Tensor) -> int:
    return tensor.shape[0] * (tensor.shape[2] if len(tensor.shape) > 2 else 1)


# Writing ----------------------------------------------------------------------------------------------------------


def write(path: Path, imatrix: Imatrix) -> None:
    """Write llama.cpp's file, whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with temporary.open("wb") as file:
            for piece in _pieces(imatrix):
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _pieces(imatrix: Imatrix) -> Iterable[bytes]:
    """Header, then for each weight, by name, its sums [columns, matrices] and counts [1, matrices] in 32 bits."""
    tensors: list[tuple[str, NDArray[np.float32]]] = []
    for name in sorted(imatrix.sums, key=str.encode):
        counts = imatrix.counts[name]
        tensors.append((name + SUMS, imatrix.sums[name].reshape(len(counts), -1).astype("<f4")))
        tensors.append((name + COUNTS, counts.astype("<f4")[:, None]))
    head = _header(imatrix, tensors)
    yield head + b"\0" * (-len(head) % ALIGNMENT)
    for _, values in tensors:
        yield values.tobytes() + b"\0" * (-values.nbytes % ALIGNMENT)


def _header(imatrix: Imatrix, tensors: list[tuple[str, NDArray[np.float32]]]) -> bytes:
    texts = b"".join(_text(name) for name in imatrix.datasets)
    values = [
        _text("general.type") + struct.pack("<I", STRING) + _text("imatrix"),
        _text("imatrix.datasets") + struct.pack("<IIQ", ARRAY, STRING, len(imatrix.datasets)) + texts,
        _text("imatrix.chunk_count") + struct.pack("<II", U32, imatrix.chunks),
        _text("imatrix.chunk_size") + struct.pack("<II", U32, imatrix.chunk_size),
    ]
    head, offset = MAGIC + struct.pack("<IQQ", VERSION, len(tensors), len(values)) + b"".join(values), 0
    for name, data in tensors:
        head += _text(name) + struct.pack("<IQQIQ", 2, data.shape[1], data.shape[0], F32, offset)
        offset += data.nbytes + -data.nbytes % ALIGNMENT
    return head


def _text(text: str) -> bytes:
    data = text.encode("utf-8", "replace")
    return struct.pack("<Q", len(data)) + data


# Reading ----------------------------------------------------------------------------------------------------------


def read(path: Path) -> Imatrix:
    """Read either format. Raises UserError bad_imatrix, and those of a file that cannot be read or ends too early."""
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        _bad(path, error.strerror or str(error))
    found = _read_gguf(path) if magic == MAGIC else _read_dat(path)
    for name, sums in found.sums.items():
        if not np.isfinite(sums).all() or (sums < 0).any() or (found.counts[name] < 0).any():
            _bad(path, note("no_sums", "{name} holds numbers that are no sums of squares", name=name))
    return found


def _read_gguf(path: Path) -> Imatrix:
    raw = read_raw(path)
    if raw.values.get("general.type") != "imatrix":
        _bad(path, note("something_else", "it holds something else"))
    arrays = _arrays(path)
    found = Imatrix({}, {}, _datasets(raw.values), _count(raw.values, "count"), _count(raw.values, "size"))
    for name in sorted(name.removesuffix(SUMS) for name in arrays if name.endswith(SUMS)):
        sums, counts = arrays[name + SUMS], arrays.get(name + COUNTS)
        if counts is None or sums.dtype != np.float32 or counts.dtype != np.float32 or sums.size % counts.size:
            _bad(path, note("sums_and_counts", "{name} has sums and counts that do not belong together", name=name))
        if not np.isfinite(counts).all() or counts.max() >= 1 << 53:
            _bad(path, note("impossible_counts", "{name} has impossible counts", name=name))
        found.counts[name] = np.rint(counts.ravel()).astype(np.int64)
        found.sums[name] = sums.reshape(len(found.counts[name]), -1).astype(np.float64)
    if not found.sums:
        _bad(path, note("no_entries", "it has no entries"))
    return found


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The tensors' data. That they lie inside the file is known; gguf's reader trusts it in other ways."""
    from gguf import GGUFReader

    try:
        return {tensor.name: np.array(tensor.data) for tensor in GGUFReader(path).tensors}
    except (ValueError, KeyError, IndexError, TypeError, OverflowError) as error:
        _bad(path, f"its header cannot be read ({error})"[:200])


def _datasets(values: dict[str, Any]) -> tuple[str, ...]:
    listed = values.get("imatrix.datasets")
    return tuple(str(item) for item in listed) if isinstance(listed, list) else ()


def _count(values: dict[str, Any], what: str) -> int:
    number = values.get(f"imatrix.chunk_{what}")
    return number if isinstance(number, int) else 0


def _read_dat(path: Path) -> Imatrix:
    """The format before GGUF: means times calls, one count a weight."""
    data, at = path.read_bytes(), 4
    found = Imatrix({}, {})
    try:
        (entries,) = struct.unpack_from("<i", data, 0)
        for _ in range(entries):
            name, calls, values, at = _dat_entry(data, at)
            found.sums[name] = values[None].astype(np.float64) * USUAL_CHUNK
            found.counts[name] = np.array([max(calls, 1) * USUAL_CHUNK], np.int64)
            found.chunks = max(found.chunks, calls)
    except (struct.error, ValueError, OverflowError):
        _bad(path, note("neither_format", "it is neither of llama.cpp's formats, or ends too early"))
    if not found.sums:
        _bad(path, note("no_entries", "it has no entries"))
    return found


def _dat_entry(data: bytes, at: int) -> tuple[str, int, NDArray[np.float32], int]:
    (length,) = struct.unpack_from("<i", data, at)
    name = data[at + 4 : at + 4 + length]
    calls, count = struct.unpack_from("<ii", data, at + 4 + length)
    start = at + 12 + length
    if not (0 < length < 1 << 16 and count > 0 and start + 4 * count <= len(data)):
        raise ValueError("impossible sizes")
    return name.decode("utf-8"), calls, np.frombuffer(data, "<f4", count, start), start + 4 * count


def _bad(path: Path, reason: str) -> NoReturn:
    raise UserError(
        "bad_imatrix",
        f"{path.name} is no importance matrix that can be used: {reason}.",
        "Choose another file, or make one.",
        name=path.name,
        reason=spoken(reason),
    )
