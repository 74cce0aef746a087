"""Loading a model: with progress, with cancel, and with the layers where they fit."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.api.errors import UserError
from engine.api.job import Cancelled
from engine.llama.devices import has_gpu
from engine.llama.model import Model
from engine.llama.quiet import library, lines

ALL_LAYERS = 999
Progress = Callable[[float], bool]


@dataclass(frozen=True)
class LoadSettings:
    """How a model is loaded. `context_size` in tokens, 0 = what it was trained for; `threads` 0 = one a core;
    `gpu_layers` -1 = all that fit."""

    context_size: int = 4096
    threads: int = 0
    gpu_layers: int = -1
    batch_size: int = 512
    ubatch: int = 512


def load(path: Path, settings: LoadSettings, progress: Progress = lambda done: True) -> Model:
    """Load a GGUF file. `progress` is called with 0..1; answering False cancels.

    Raises Cancelled, or UserError: vanished_model, damaged_model, unsupported_model, model_too_big.
    """
    if not path.is_file():
        raise _vanished(path)
    layers = _first_layers(settings)
    while True:
        try:
            return _load(path, settings, layers, progress)
        except UserError as error:
            if error.code != "model_too_big" or layers == 0:
                raise
            layers = _fewer(layers)


def _first_layers(settings: LoadSettings) -> int:
    if settings.gpu_layers == 0 or not has_gpu():
        return 0
    return ALL_LAYERS if settings.gpu_layers < 0 else settings.gpu_layers


def _fewer(layers: int) -> int:
    """Half as many layers on the GPU, 0 at the end; 64 is above what small models have at all."""
    return min(layers, 128) // 2


def _load(path: Path, settings: LoadSettings, layers: int, progress: Progress) -> Model:
    lines.clear()
    handle = _weights(path, layers, progress)
    try:
        context = _context(handle, path, settings)
    except UserError:
        library().llama_model_free(handle)
        raise
    return Model(handle, context, _threads(settings), settings.batch_size, layers, _memory(handle))


def _weights(path: Path, layers: int, progress: Progress) -> Any:
    c = library()
    params = c.llama_model_default_params()
    params.n_gpu_layers = layers
    cancelled: list[bool] = []
    callback = c.llama_progress_callback(lambda done, _: _go_on(progress, done, cancelled))
    params.progress_callback = callback
    handle = c.llama_model_load_from_file(os.fsencode(path), params)
    if handle:
        return handle
    if cancelled:
        raise Cancelled
    raise _failure(path, lines.last_error())


def _go_on(progress: Progress, done: float, cancelled: list[bool]) -> bool:
    if not progress(done):
        cancelled.append(True)
    return not cancelled


def _context(handle: Any, path: Path, settings: LoadSettings) -> Any:
    c = library()
    params = c.llama_context_default_params()
    params.n_ctx = _context_size(handle, settings)
    params.n_batch, params.n_ubatch = settings.batch_size, min(settings.ubatch, settings.batch_size)
    params.n_threads = params.n_threads_batch = _threads(settings)
    context = c.llama_init_from_model(handle, params)
    if context:
        return context
    raise _too_big(path, lines.last_error())


def _context_size(handle: Any, settings: LoadSettings) -> int:
    """Beyond the context it was trained for a model writes nonsense, so that is the upper limit."""
    trained = int(library().llama_model_n_ctx_train(handle))
    return min(settings.context_size, trained) if settings.context_size else trained


def _threads(settings: LoadSettings) -> int:
    """Real cores this process may use: a second thread on one core slows llama.cpp down."""
    if settings.threads:
        return settings.threads
    import psutil

    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(psutil.cpu_count(logical=False) or allowed, allowed))


def _memory(handle: Any) -> dict[str, int]:
    kinds = {"KV": "kv_cache", "RS": "kv_cache", "compute": "compute", "output": "output"}
    memory = {"weights": int(library().llama_model_size(handle)), "kv_cache": 0, "compute": 0, "output": 0}
    for _, kind, size in lines.buffers:
        if kind in kinds:
            memory[kinds[kind]] += size
    return memory


def _vanished(path: Path) -> UserError:
    return UserError(
        "vanished_model",
        f"The model file {path.name} is no longer where it was.",
        "Put it back, or remove the model from the list.",
        name=path.name,
        path=str(path),
    )


def _failure(path: Path, detail: str) -> UserError:
    """Which kind of failure llama.cpp's words mean."""
    if any(word in detail.lower() for word in ("alloc", "out of memory", "oom")):
        return _too_big(path, detail)
    if "unknown model architecture" in detail or "unknown pre-tokenizer" in detail:
        return UserError(
            "unsupported_model",
            f"The installed llama.cpp cannot run {path.name}: {detail}.",
            "A newer Deskside or another file of this model may help.",
            name=path.name,
            detail=detail,
        )
    return UserError(
        "damaged_model",
        f"{path.name} is damaged: {detail or 'it is not a model file'}.",
        "Download or copy it again.",
        name=path.name,
        reason=detail,
    )


def _too_big(path: Path, detail: str) -> UserError:
    return UserError(
        "model_too_big",
        f"There is not enough memory for {path.name}: {detail}.",
        "Choose a smaller context or a smaller model.",
        name=path.name,
        detail=detail,
    )
