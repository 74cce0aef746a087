"""LoRA adapters of a loaded model: opened once, then switched between two steps without loading anything anew.

llama.cpp trusts an adapter's header: a value of another type than it expects ends the whole process. So the file is
looked through by our own reader first; what is left for llama.cpp to find is a tensor that the model does not have.
"""

from __future__ import annotations

import ctypes
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.api.errors import UserError
from engine.llama.model import Model
from engine.llama.quiet import library, lines
from models.damage import damaged

# Value types and number formats of GGUF that llama.cpp takes without looking.
UINT32, FLOAT32, TEXT, LIST = 4, 6, 8, 9
ALPHA, INVOCATION = "adapter.lora.alpha", "adapter.alora.invocation_tokens"
TEXTS = ("general.type", "general.architecture", "adapter.type")
NO_WEIGHTS = ("I8", "I16", "I32", "I64", "F64", "Q8_1", "Q8_K")
Chosen = Sequence[tuple[Path | str, float]]  # file and scale; 1.0 = as trained


class Adapters:
    """The adapters of one model. Belongs to the model's thread. Close it before the model."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._open: dict[str, Any] = {}  # path -> llama_adapter_lora *
        self._calls: dict[tuple[tuple[str, float], ...], tuple[Any, int, Any]] = {}

    def choose(self, chosen: Chosen) -> None:
        """`apply` for the model's own context."""
        self.apply(self._model.context, chosen)

    def apply(self, context: Any, chosen: Chosen) -> None:
        """Have exactly these adapters speak in `context` from the next decode on; () is the bare model.

        The same as before costs next to nothing: llama.cpp compares. What is in the cache stays as it was computed.
        Raises UserError wrong_adapter, adapter_scale, damaged_model, vanished_model … and changes nothing then.
        """
        if not chosen and not self._open:
            return
        library().llama_set_adapters_lora(context, *self._call(chosen))

    def open(self, path: Path | str) -> None:
        """Load an adapter that is not loaded yet, so that its errors come now. Raises as `apply`."""
        self._handle(str(path))

    def close(self) -> None:
        """Free all adapters; only decoding with them still chosen is an error afterwards. Twice does no harm."""
        handles, self._open, self._calls = list(self._open.values()), {}, {}
        if self._model.handle:  # else llama.cpp freed them with the model
            for handle in handles:
                library().llama_adapter_lora_free(handle)

    def _call(self, chosen: Chosen) -> tuple[Any, int, Any]:
        """The arguments of llama.cpp's call; one adapter chosen twice speaks with the sum of its scales."""
        key = tuple((str(path), float(scale)) for path, scale in chosen)
        if key not in self._calls:
            scales: dict[str, float] = {}
            for path, scale in key:
                scales[path] = scales.get(path, 0.0) + _checked(scale)
            handles = [self._handle(path) for path in scales]
            pointers = (library().llama_adapter_lora_p_ctypes * len(handles))(*handles)
            self._calls[key] = (pointers, len(handles), (ctypes.c_float * len(scales))(*scales.values()))
        return self._calls[key]

    def _handle(self, path: str) -> Any:
        if path not in self._open:
            self._open[path] = self._load(Path(path))
        return self._open[path]

    def _load(self, path: Path) -> Any:
        architecture = self._value("general.architecture")
        check(path, architecture, int(self._value(f"{architecture}.expert_count") or 0))
        lines.clear()
        handle = library().llama_adapter_lora_init(self._model.handle, os.fsencode(path))
        if handle:
            return handle
        reason = lines.last_error()
        raise damaged(path, reason) if "bounds" in reason else _wrong(path, _in_words(reason))

    def _value(self, key: str) -> str:
        """A value of the model's header, "" if it is not there."""
        buffer = ctypes.create_string_buffer(128)
        library().llama_model_meta_val_str(self._model.handle, key.encode(), buffer, len(buffer))
        return buffer.value.decode("utf-8", "replace")


def check(path: Path, architecture: str, experts: int = 0) -> None:
    """Look through an adapter's file before llama.cpp does, for a model of this architecture and count of experts.

    Raises UserError wrong_adapter, damaged_model and those of the reader.
    """
    from models.gguf_reader import read_raw

    raw = read_raw(path)
    for key in TEXTS:
        if raw.kinds.get(key, TEXT) != TEXT:
            raise damaged(path, f"{key} is no text")
    if raw.values.get("general.type") != "adapter" or raw.values.get("adapter.type") != "lora":
        raise _wrong(path, "it is no LoRA adapter")
    if raw.values.get("general.architecture") != architecture:
        made_for = raw.values.get("general.architecture", "?")
        raise _wrong(path, f"it was made for the architecture {made_for}, this model is {architecture}")
    if INVOCATION in raw.values:
        raise _wrong(path, "it is an activated LoRA (aLoRA), which only speaks after certain words")
    alpha = raw.values.get(ALPHA, 1.0)
    if raw.kinds.get(ALPHA, FLOAT32) != FLOAT32 or not math.isfinite(alpha):
        raise damaged(path, f"{ALPHA} is no number of 32 bits")
    _check_tensors(path, {tensor.name: tensor for tensor in raw.inventory}, experts)


def _check_tensors(path: Path, tensors: dict[str, Any], experts: int) -> None:
    """Every tensor one of a pair whose ranks agree. The sides towards the model are llama.cpp's to compare."""
    pairs = {name.rpartition(".lora_")[0] for name in tensors if name.endswith((".lora_a", ".lora_b"))}
    if not pairs:
        raise _wrong(path, "it holds no LoRA weights")
    for name, tensor in tensors.items():
        if min(tensor.shape) < 1 or tensor.type in NO_WEIGHTS:
            raise damaged(path, f"{name[:80]} cannot be weights")
    for name in pairs:
        if name.endswith("token_embd.weight"):
            # Where the table of words serves as the output too, llama.cpp takes the halves for swapped, and aborts.
            raise _wrong(path, "it changes the table of words, which llama.cpp cannot do for every model")
        a, b = tensors.get(f"{name}.lora_a"), tensors.get(f"{name}.lora_b")
        if not a or not b:
            raise damaged(path, f"half of {name[:80]} is missing")
        if not _fit_together(name, _sides(a), _sides(b), experts):
            raise damaged(path, f"the two halves of {name[:80]} do not fit together")


def _sides(tensor: Any) -> tuple[int, ...]:
    return (*tensor.shape, 1, 1, 1)[:4]


def _fit_together(name: str, a: tuple[int, ...], b: tuple[int, ...], experts: int) -> bool:
    return a[1] == b[0] and a[2:] == b[2:] == ((experts if "_exps." in name else 1), 1)


def _checked(scale: float) -> float:
    if math.isfinite(scale) and abs(scale) <= 1000:
        return scale
    raise UserError(
        "adapter_scale",
        f"An adapter cannot speak {scale} times as strongly.",
        "Choose a number between -1000 and 1000; 1 is as trained.",
        scale=scale,
    )


def _in_words(reason: str) -> str:
    return reason.removeprefix("failed to apply lora adapter: ") or "llama.cpp cannot use it"


def _wrong(path: Path, reason: str) -> UserError:
    return UserError(
        "wrong_adapter",
        f"{path.name} does not belong to this model: {reason}.",
        "Choose an adapter that was trained for this model, or answer without it.",
        name=path.name,
        reason=reason,
    )
