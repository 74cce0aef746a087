"""What the installed llama.cpp can compute on."""

from __future__ import annotations

import ctypes
from collections.abc import Collection
from typing import Any

from engine.llama.quiet import ggml, library

ON_PROCESSOR = {"CPU", "BLAS", "RPC"}
LEAST_FREE = 256 << 20
TYPES = {0: "cpu", 1: "gpu", 2: "integrated gpu", 3: "accelerator"}


def devices() -> list[dict[str, Any]]:
    """Every device llama.cpp sees: name, description, type (see TYPES), total and free memory in bytes."""
    library()
    count = ggml().ggml_backend_dev_count
    count.restype = ctypes.c_size_t
    return [_device(index) for index in range(count())]


def _device(index: int) -> dict[str, Any]:
    get = ggml().ggml_backend_dev_get
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    handle = ctypes.c_void_p(get(index))
    free, total = _memory(handle)
    return {
        "name": _text("name", handle),
        "description": _text("description", handle),
        "type": TYPES.get(int(ggml().ggml_backend_dev_type(handle)), "other"),
        "total": total,
        "free": free,
    }


def _memory(handle: ctypes.c_void_p) -> tuple[int, int]:
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    ask = ggml().ggml_backend_dev_memory
    ask.restype = None
    ask(handle, ctypes.byref(free), ctypes.byref(total))
    return free.value, total.value


def _text(what: str, handle: ctypes.c_void_p) -> str:
    ask = getattr(ggml(), f"ggml_backend_dev_{what}")
    ask.restype = ctypes.c_char_p
    return (ask(handle) or b"").decode("utf-8", "replace")


def cards() -> list[dict[str, Any]]:
    """Those of `devices` that layers can be put on, other than the processor."""
    return [device for device in devices() if "gpu" in device["type"]]


def free_on_cards() -> int:
    """Free bytes on all cards together; 0 where there is none."""
    return sum(card["free"] for card in cards())


def backends() -> list[str]:
    """What the build can compute with, whether or not such a device is there: CPU, CUDA, Vulkan, Metal …"""
    library()
    count, get, name = ggml().ggml_backend_reg_count, ggml().ggml_backend_reg_get, ggml().ggml_backend_reg_name
    count.restype, get.restype, name.restype = ctypes.c_size_t, ctypes.c_void_p, ctypes.c_char_p
    get.argtypes, name.argtypes = [ctypes.c_size_t], [ctypes.c_void_p]
    return [(name(get(index)) or b"").decode("utf-8", "replace") for index in range(count())]


def is_full(names: Collection[str], scratch: int = 0) -> bool:
    """Whether one of these cards has too little left to compute on: LEAST_FREE and `scratch` bytes.

    The first texts take memory that no buffer was promised for, some 100 MB. Where there is none llama.cpp does not
    fail, it ends the process.
    """
    return any(card["name"] in names and card["free"] < LEAST_FREE + scratch for card in cards())


def system_info() -> dict[str, Any]:
    """The installed build, for `deskside doctor`: versions, processor features, offload, mapping, locking and media."""
    import llama_cpp

    from engine.llama.media import can_be_read

    c = library()
    version = ggml().ggml_version
    version.restype = ctypes.c_char_p
    return {
        "llama_cpp_python": llama_cpp.__version__,
        "llama_cpp": c.llama_version().decode(),
        "ggml": (version() or b"").decode(),
        "features": c.llama_print_system_info().decode().strip(" |"),
        "gpu_offload": bool(c.llama_supports_gpu_offload() or set(backends()) - ON_PROCESSOR),
        "mmap": bool(c.llama_supports_mmap()),
        "mlock": bool(c.llama_supports_mlock()),
        "media": can_be_read(),
        "devices": devices(),
    }
