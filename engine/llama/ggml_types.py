"""ggml's number formats by name, and rows of weights turned into them and back by ggml itself.

The work is done by C functions of libggml-base, which ctypes calls without the GIL: several rows at once through a
pool of threads. A condition that ggml checks by ending the process is checked here first.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.api.errors import UserError
from engine.llama.quiet import library
from models.gguf_types import TENSOR_TYPES

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

NUMBERS: dict[str, int] = {name: number for number, (name, _, _) in TENSOR_TYPES.items()}
BLOCKS: dict[str, tuple[int, int]] = {name: (block, size) for name, block, size in TENSOR_TYPES.values()}
PLAIN = ("F32", "F16", "BF16")
# What ggml writes; the others are for its own computing or for whole numbers.
WRITABLE = frozenset(BLOCKS) - {"Q8_1", "Q8_K", "I8", "I16", "I32", "I64", "F64"}
# ggml ends the process when these come without importances, llama.cpp refuses the others of NEEDS_IMPORTANCE.
ABORTS_WITHOUT = frozenset({"IQ2_XXS", "IQ2_XS", "IQ1_S"})
NEEDS_IMPORTANCE = ABORTS_WITHOUT | {"IQ3_XXS", "IQ2_S", "IQ1_M"}


class _Traits(ctypes.Structure):
    """ggml_type_traits of ggml.h."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("block", ctypes.c_int64),
        ("interleave", ctypes.c_int64),
        ("size", ctypes.c_size_t),
        ("quantized", ctypes.c_bool),
        ("to_float", ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)),
        ("from_float", ctypes.c_void_p),
    )


def row_bytes(columns: int, type: str) -> int:
    """Bytes of one row of `columns` numbers; they fill whole blocks."""
    block, size = BLOCKS[type]
    return columns // block * size


def fits(columns: int, type: str) -> bool:
    """Whether rows of `columns` numbers fill whole blocks of a type."""
    return columns % BLOCKS[type][0] == 0


def quantize_rows(array: Floats, type: str, importance: Floats | None = None) -> bytes:
    """Rows of weights in a ggml type: the bytes that llama_model_quantize writes for them.

    `array`: float32, (rows, columns), columns a multiple of the type's block; `importance`: float32, (columns,), how
    much each column counts (mean squares of an importance matrix). Of a stack of experts give one at a time.
    Raises UserError needs_importance, not_finite_weights; ValueError for shapes and types that cannot be.
    """
    import numpy as np

    if type not in WRITABLE or array.ndim != 2 or not fits(array.shape[1], type):
        raise ValueError(f"no rows of {type}: {array.shape}")
    if type in ABORTS_WITHOUT and importance is None:
        raise needs_importance(type, "")
    if importance is not None and importance.shape != array.shape[1:]:
        raise ValueError(f"importances of shape {importance.shape} for {array.shape}")
    rows = np.ascontiguousarray(array, dtype=np.float32)
    weighed = None if importance is None else np.ascontiguousarray(importance, dtype=np.float32)
    if not _valid("F32", rows.ctypes.data, rows.nbytes) or (weighed is not None and not np.isfinite(weighed).all()):
        raise not_finite()
    return _quantized(rows, type, weighed)


def _quantized(rows: Floats, type: str, weighed: Floats | None) -> bytes:
    number, columns = rows.shape
    size = number * row_bytes(columns, type)
    out = ctypes.create_string_buffer(max(size, 1))
    if number and columns:
        weights = None if weighed is None else weighed.ctypes.data
        base().ggml_quantize_chunk(NUMBERS[type], rows.ctypes.data, out, 0, number, columns, weights)
    if not _valid(type, ctypes.addressof(out), size):
        raise not_finite()
    return out.raw[:size]


def dequantize_rows(data: bytes | memoryview, type: str, columns: int) -> Floats:
    """The numbers in rows of a ggml type: float32, (rows, columns). Raises ValueError for bytes that are no rows."""
    import numpy as np

    source = np.frombuffer(data, dtype=np.uint8)
    if type not in WRITABLE or not columns or not fits(columns, type) or source.size % row_bytes(columns, type):
        raise ValueError(f"no rows of {type}: {source.size} bytes, {columns} columns")
    rows = source.size // row_bytes(columns, type)
    if type == "F32":
        return source.view(np.float32).reshape(rows, columns).copy()
    numbers = np.empty((rows, columns), dtype=np.float32)
    if rows:
        _traits(type).to_float(source.ctypes.data, numbers.ctypes.data, rows * columns)
    return numbers


def needs_importance(type: str, tensor: str) -> UserError:
    """The error for a type that makes garbage without importances."""
    where = f"{tensor} in {type}" if tensor and type else tensor or type
    return UserError(
        "needs_importance",
        f"{where} makes garbage of a model unless an importance matrix says which weights matter.",
        "Have an importance matrix computed, choose its file, or take a larger type.",
        what=where,
    )


def not_finite() -> UserError:
    """The error for weights that are no numbers."""
    return UserError(
        "not_finite_weights",
        "Some weights are infinite or not numbers at all.",
        "Get the model again; if it stays, it was damaged when it was made.",
    )


def _valid(type: str, address: int, size: int) -> bool:
    return bool(base().ggml_validate_row_data(NUMBERS[type], address, size))


@functools.cache
def _traits(type: str) -> _Traits:
    found: _Traits = base().ggml_get_type_traits(NUMBERS[type]).contents
    return found


@functools.cache
def base() -> Any:
    """libggml-base, with the types of what is called from here."""
    package = library().__name__.rpartition(".")[0]
    origin = importlib.import_module(package).__file__ or ""
    extensions: Any = importlib.import_module(f"{package}._ctypes_extensions")
    found: Any = extensions.load_shared_library("ggml-base", Path(origin).parent / "lib")
    number, pointer = ctypes.c_int64, ctypes.c_void_p
    found.ggml_quantize_chunk.argtypes = [ctypes.c_int, pointer, pointer, number, number, number, pointer]
    found.ggml_quantize_chunk.restype = ctypes.c_size_t
    found.ggml_validate_row_data.argtypes = [ctypes.c_int, pointer, ctypes.c_size_t]
    found.ggml_validate_row_data.restype = ctypes.c_bool
    found.ggml_get_type_traits.argtypes = [ctypes.c_int]
    found.ggml_get_type_traits.restype = ctypes.POINTER(_Traits)
    return found
