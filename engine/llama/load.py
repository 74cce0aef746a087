"""Loading a model: with progress, with cancel, and with the layers where they fit."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.api.errors import UserError
from engine.api.job import Cancelled
from engine.llama.contexts import free_context, new_context
from engine.llama.devices import cards, free_on_cards, is_full
from engine.llama.model import Model
from engine.llama.placement import fewer, first_layers
from engine.llama.quiet import library, lines
from models.damage import damaged

if TYPE_CHECKING:
    from models.fit import Loading

# ggml_type of a KV cache, and llama_flash_attn_type.
KV_TYPES = {"f16": 1, "q8_0": 8, "q4_0": 2}
FLASH = {"auto": -1, "off": 0, "on": 1}
YARN = 2
UNSPLIT = 0  # all on one card, and with the card -1 on none
SMALL_STEP = 64  # tokens: little working memory
Progress = Callable[[float], bool]
Adjust = Callable[[Any], None]  # of llama_context_params


@dataclass(frozen=True)
class LoadSettings:
    """How a model is loaded.

    `context_size` in tokens, shared by all sequences, 0 = what the model was trained for; `extend`: beyond that by
    YaRN, instead of stopping there. `threads` 0 = one a core; `gpu_layers` -1 = all that fit. `sequences`: requests
    answered at once. `kv_type` is a name of KV_TYPES; a quantized cache needs flash attention and turns it on.
    """

    context_size: int = 4096
    threads: int = 0
    gpu_layers: int = -1
    batch_size: int = 512
    ubatch: int = 512
    sequences: int = 1
    kv_type: str = "f16"
    flash_attention: str = "auto"
    extend: bool = False

    def memory(self) -> Loading:
        """The same as far as memory goes, for the fit estimate."""
        from models.fit import Loading

        return Loading(
            context=self.context_size,
            kv_type=self.kv_type,
            flash=self.flash_attention != "off",
            extend=self.extend,
            sequences=self.sequences,
            batch=min(self.batch_size, self.ubatch),
        )


def load(
    path: Path, settings: LoadSettings, progress: Progress = lambda done: True, adjust: Adjust = lambda params: None
) -> Model:
    """Load a GGUF file. `progress` is called with 0..1; answering False cancels. `adjust` may change the context's
    parameters last.

    Raises Cancelled, or UserError: vanished_model, damaged_model, unsupported_model, model_too_big.
    """
    if not path.is_file():
        raise _vanished(path)
    layers = first_layers(settings.gpu_layers, path, settings.memory(), free_on_cards())
    while True:
        try:
            return _with_room(_load(path, settings, layers, progress, adjust), path, settings)
        except UserError as error:
            if error.code != "model_too_big" or layers == 0:
                raise
            layers = fewer(layers)


def beside(model: Model, path: Path, settings: LoadSettings) -> Model:
    """A second context on the same weights, for one sequence. Close it before the first. Raises UserError."""
    alone = replace(settings, sequences=1)
    try:
        context = _context(model.handle, path, alone)
    except UserError:
        if not model.gpu_layers:
            raise
        context = None
    if context and is_full(model.cards, _scratch(model.handle, settings)):
        free_context(context)
        context = None
    context = context or _context(model.handle, path, alone, off_cards=True)
    return Model(model.handle, context, model.threads, model.batch_size, 1, model.gpu_layers, {}, borrowed=True)


def _with_room(model: Model, path: Path, settings: LoadSettings) -> Model:
    """The model, if the cards have some memory left to compute with it. Raises UserError model_too_big."""
    if is_full(model.cards, _scratch(model.handle, settings)):
        model.close()
        raise _too_big(path, "too little of the graphics card's memory would be left")
    return model


def _scratch(handle: Any, settings: LoadSettings) -> int:
    """Bytes that a card takes while it reads a long text: without flash attention a copy of every head's weight for
    every pair of tokens, in 16 bits."""
    from models.fit import scratch

    return scratch(int(library().llama_model_n_head(handle)), settings.memory())


def _load(path: Path, settings: LoadSettings, layers: int, progress: Progress, adjust: Adjust) -> Model:
    lines.clear()
    handle = _weights(path, layers, progress)
    try:
        context = _context(handle, path, settings, adjust=adjust)
    except UserError:
        library().llama_model_free(handle)
        raise
    on_cards = min(layers, int(library().llama_model_n_layer(handle)) + 1)
    made = Model(
        handle, context, _threads(settings), settings.batch_size, settings.sequences, on_cards, _memory(handle)
    )
    made.cards, made.private = _places()
    return made


def _weights(path: Path, layers: int, progress: Progress) -> Any:
    c = library()
    params = c.llama_model_default_params()
    params.n_gpu_layers = layers
    if not layers:  # or llama.cpp would put its working memory on a card that has no room for it
        params.split_mode, params.main_gpu = UNSPLIT, -1
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


def _context(
    handle: Any,
    path: Path,
    settings: LoadSettings,
    off_cards: bool = False,
    adjust: Adjust = lambda params: None,
) -> Any:
    """`off_cards`: with the cache in main memory, wherever the weights are."""
    params = library().llama_context_default_params()
    params.n_batch, params.n_ubatch = settings.batch_size, min(settings.ubatch, settings.batch_size)
    params.n_threads = params.n_threads_batch = _threads(settings)
    params.n_seq_max, params.kv_unified = settings.sequences, True
    params.type_k = params.type_v = KV_TYPES[settings.kv_type]
    params.flash_attn_type = FLASH[settings.flash_attention if settings.kv_type == "f16" else "on"]
    if off_cards:
        params.offload_kqv = params.op_offload = False
        params.n_ubatch = min(params.n_ubatch, SMALL_STEP)
    _stretch(params, handle, settings)
    adjust(params)
    context = new_context(handle, params)
    if context:
        return context
    raise _too_big(path, lines.last_error())


def _stretch(params: Any, handle: Any, settings: LoadSettings) -> None:
    """The size of the context. Beyond the one it was trained for a model writes nonsense, unless its positions are
    scaled by YaRN (Peng et al. 2023, arXiv 2309.00071)."""
    trained = int(library().llama_model_n_ctx_train(handle))
    asked = settings.context_size or trained
    params.n_ctx = asked if settings.extend else min(asked, trained)
    if params.n_ctx > trained:
        params.rope_scaling_type, params.yarn_orig_ctx = YARN, trained
        params.rope_freq_scale = trained / params.n_ctx
    _frequencies(params, handle)


def _frequencies(params: Any, handle: Any) -> None:
    """Which frequencies YaRN stretches: a file says so, llama.cpp reads it for two architectures, not Kimi K2's."""
    arch = _said(handle, "general.architecture")
    for name in ("yarn_beta_fast", "yarn_beta_slow"):
        value = _said(handle, f"{arch}.rope.scaling.{name}")
        try:
            setattr(params, name, float(value) if value else getattr(params, name))
        except ValueError:
            continue


def _said(handle: Any, key: str) -> str:
    """A value of the file's header as text, "" where it is missing."""
    import ctypes

    buffer = ctypes.create_string_buffer(64)
    size = library().llama_model_meta_val_str(handle, key.encode(), buffer, len(buffer))
    return buffer.value.decode(errors="replace") if size > 0 else ""


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


def _places() -> tuple[dict[str, int], int]:
    """Bytes that the model loaded last takes on each card, and in main memory without the weights."""
    names = [card["name"] for card in cards()]
    on_cards: dict[str, int] = {}
    private = 0
    for place, kind, size in lines.buffers:
        if place in names:
            on_cards[place] = on_cards.get(place, 0) + size
        elif kind != "model":
            private += size
    return on_cards, private


def _vanished(path: Path) -> UserError:
    return UserError(
        "vanished_model",
        f"The model file {path.name} is not there.",
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
    return damaged(path, detail or "it is not a model file")


def _too_big(path: Path, detail: str) -> UserError:
    return UserError(
        "model_too_big",
        f"There is not enough memory for {path.name}: {detail}.",
        "Choose a smaller context or a smaller model.",
        name=path.name,
        detail=detail,
    )
