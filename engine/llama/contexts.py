"""A context of llama.cpp and the threads that compute for it: made and freed here, nowhere else."""

from __future__ import annotations

import ctypes
import functools
from typing import Any

from engine.llama.quiet import ggml, library

CPU = 0  # of ggml_backend_dev_type
DEFAULT_POLL = 50

_pools: dict[int, int] = {}  # ggml_threadpool by the address of its context


class _PoolParams(ctypes.Structure):
    """ggml_threadpool_params of ggml.h, with room behind it for what a later llama.cpp may add."""

    _fields_ = (
        ("cpumask", ctypes.c_bool * 512),
        ("n_threads", ctypes.c_int),
        ("prio", ctypes.c_int),
        ("poll", ctypes.c_uint32),
        ("strict_cpu", ctypes.c_bool),
        ("paused", ctypes.c_bool),
        ("_room", ctypes.c_char * 1024),
    )


def new_context(handle: Any, params: Any) -> Any:
    """A context on a model's weights, None where llama.cpp can make none.

    Between two steps its threads sleep: on a machine whose cores they all have, who sends a token and who reads it
    then run beside the model's own thread and not in its place. A build with OpenMP has threads that spin on for
    some milliseconds, and keeps them; any other would start new ones at every step.
    """
    context = library().llama_init_from_model(handle, params)
    if context:
        _add_pool(context, max(params.n_threads, params.n_threads_batch))
    return context


def free_context(context: Any) -> None:
    """Give a context's memory back and end its threads."""
    library().llama_free(context)
    pool = _pools.pop(context, None)
    if pool:
        _pool_function("ggml_threadpool_free", None, ctypes.c_void_p)(pool)


def _add_pool(context: int, threads: int) -> None:
    params = _PoolParams()
    ggml().ggml_threadpool_params_init(ctypes.byref(params), threads)
    as_known = (params.n_threads, params.poll) == (threads, DEFAULT_POLL)  # or the structure is another one by now
    if threads < 2 or not as_known or _has_openmp():
        return
    params.poll = 0
    new = _pool_function("ggml_threadpool_new", ctypes.c_void_p, ctypes.POINTER(_PoolParams))
    pool = _pools[context] = new(ctypes.byref(params))
    attach = library()._lib.llama_attach_threadpool
    attach.restype, attach.argtypes = None, [ctypes.c_void_p] * 3
    attach(context, pool, pool)


@functools.cache
def _has_openmp() -> bool:
    return b"OPENMP = 1" in library().llama_print_system_info()


def _pool_function(name: str, answers: Any, takes: Any) -> Any:
    """A function of the processor's backend, asked of the backend itself: a wheel holds each library twice (it cannot
    hold links), and threads of a second copy would not know the weights that the first one has repacked."""
    device = _ggml("backend_dev_by_type", ctypes.c_int)(CPU)
    backend = _ggml("backend_dev_backend_reg", ctypes.c_void_p)(device)
    address = _ggml("backend_reg_get_proc_address", ctypes.c_void_p, ctypes.c_char_p)(backend, name.encode())
    return ctypes.CFUNCTYPE(answers, takes)(address)


def _ggml(name: str, *takes: Any) -> Any:
    """A function of ggml that answers an address."""
    function = getattr(ggml(), f"ggml_{name}")
    function.restype, function.argtypes = ctypes.c_void_p, takes
    return function
