"""What llama.cpp computes, looked at while it computes it: tensors of the graph as `cb_eval` hands them out.

ggml's tensor is a C structure that llama_cpp does not bind. Its layout is stated here and checked against the size the
installed library gives, so that a newer llama.cpp is refused rather than misread.
"""

from __future__ import annotations

import ctypes
import functools
from typing import TYPE_CHECKING, Any

from engine.api.errors import UserError
from engine.llama.quiet import _folder, library

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

F32, I32 = 0, 26  # ggml_type
OBJECT_BYTES = 32  # what ggml_tensor_overhead counts beside the tensor


class Tensor(ctypes.Structure):
    """ggml_tensor: `ne` elements a dimension, the quickest first; `nb` bytes from one to the next."""

    type: int
    buffer: int
    ne: Any
    nb: Any
    op: int
    src: Any
    data: int
    name: bytes
    _fields_ = (
        ("type", ctypes.c_int),
        ("buffer", ctypes.c_void_p),
        ("ne", ctypes.c_int64 * 4),
        ("nb", ctypes.c_size_t * 4),
        ("op", ctypes.c_int),
        ("op_params", ctypes.c_int32 * 16),
        ("flags", ctypes.c_int32),
        ("src", ctypes.c_void_p * 10),
        ("view_src", ctypes.c_void_p),
        ("view_offs", ctypes.c_size_t),
        ("data", ctypes.c_void_p),
        ("name", ctypes.c_char * 64),
        ("extra", ctypes.c_void_p),
        ("padding", ctypes.c_char * 8),
    )


class Hook:
    """Base of what watches a model compute. `callback` goes into llama_context_params.cb_eval; keep the hook alive.

    llama.cpp asks `wants` of every node before it computes it, and calls `take` once the wanted ones are there.
    `direct`: memory that the processor can see is looked at where it is; else, and always on a card, it is copied.
    """

    direct = True

    def __init__(self) -> None:
        self._base = base()
        self.callback = library().ggml_backend_sched_eval_callback(self._hear)

    def begin(self) -> None:
        """A new batch begins: whatever was kept of tensors is no longer true."""

    def wants(self, tensor: Tensor) -> bool:
        """Whether this node's result is looked at."""
        raise AttributeError(f"{type(self).__name__}.wants")

    def take(self, tensor: Tensor) -> bool:
        """Look at it. False: what comes after it in this batch need not be computed."""
        raise AttributeError(f"{type(self).__name__}.take")

    def _hear(self, pointer: int, ask: bool, _: object) -> bool:
        tensor = Tensor.from_address(pointer)
        return self.wants(tensor) if ask else self.take(tensor)

    def floats(self, tensor: Tensor) -> Floats:
        """The values, slowest dimension first; a view of llama.cpp's memory where that is the processor's."""
        import numpy as np

        values: Floats = self._array(tensor, np.dtype(np.float32))
        return values

    def numbers(self, tensor: Tensor) -> NDArray[np.int32]:
        """The same of whole numbers."""
        import numpy as np

        values: NDArray[np.int32] = self._array(tensor, np.dtype(np.int32))
        return values

    def _array(self, tensor: Tensor, kind: np.dtype[Any]) -> Any:
        import numpy as np

        shape, strides = tuple(tensor.ne)[::-1], tuple(tensor.nb)[::-1]
        span = sum((n - 1) * step for n, step in zip(shape, strides, strict=True)) + kind.itemsize
        return np.ndarray(shape, kind, self._bytes(tensor, span), 0, strides)

    def _bytes(self, tensor: Tensor, span: int) -> Any:
        if self.direct and tensor.buffer and self._base.ggml_backend_buffer_is_host(tensor.buffer):
            return (ctypes.c_char * span).from_address(tensor.data)
        copy = (ctypes.c_char * span)()
        self._base.ggml_backend_tensor_get(ctypes.addressof(tensor), copy, 0, span)
        return copy


@functools.cache
def base() -> Any:
    """libggml-base with the functions a hook needs. Raises UserError hook_unknown where its tensors look different."""
    import importlib

    package = library().__name__.rpartition(".")[0]
    extensions: Any = importlib.import_module(f"{package}._ctypes_extensions")
    found = extensions.load_shared_library("ggml-base", _folder(package))
    found.ggml_tensor_overhead.restype = ctypes.c_size_t
    found.ggml_op_name.restype, found.ggml_op_name.argtypes = ctypes.c_char_p, [ctypes.c_int]
    found.ggml_backend_buffer_is_host.restype = ctypes.c_bool
    found.ggml_backend_buffer_is_host.argtypes = [ctypes.c_void_p]
    found.ggml_backend_tensor_get.restype = None
    found.ggml_backend_tensor_get.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t]
    if int(found.ggml_tensor_overhead()) != ctypes.sizeof(Tensor) + OBJECT_BYTES:
        raise UserError(
            "hook_unknown",
            "The installed llama.cpp computes in a way that this Deskside cannot watch.",
            "Install the llama-cpp-python that Deskside was made for, or a newer Deskside.",
        )
    return found


@functools.cache
def operation(name: str) -> int:
    """The number of an operation, as the installed ggml counts them."""
    for number in range(256):
        if base().ggml_op_name(number) == name.encode():
            return number
    raise ValueError(f"ggml knows no operation {name}")
