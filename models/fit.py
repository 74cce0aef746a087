"""How much memory a model needs as it is to be loaded, and whether this machine has it.

The terms are those llama.cpp allocates: the weights, the KV cache, the compute buffer and the outputs, and a projector
that lies beside the model. Calibrated against its own log in tests/models/test_fit_real.py. What only some requests
need is not counted here: the engine looks for room when it makes that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from engine.api.messages import Fit, FitReport
from models.hardware import Hardware
from models.shape import Shape

# Bytes of one element of the KV cache, block headers included.
KV_TYPES = {"f32": 4.0, "f16": 2.0, "bf16": 2.0, "q8_0": 34 / 32, "q5_1": 24 / 32, "q5_0": 22 / 32, "q4_0": 18 / 32}
BATCH = 512
WORKING = 384 << 20  # bytes of a card that llama.cpp takes beyond its buffers, when it first computes
LONGEST = 1_048_576  # the largest context offered where positions are stretched
_CONTEXT_STEP = 256  # llama.cpp pads the context to this
_EASY = 0.8  # up to this share of the memory a model leaves room for everything else
HARD = 0.97  # beyond this the system would swap or kill


@dataclass(frozen=True)
class Loading:
    """How a model is to be loaded, as far as its memory goes; the names are those of engine.llama.load.LoadSettings.

    `context` in tokens, shared by `sequences`; `extend`: beyond the trained context rather than stopping there.
    `flash`: attention in small pieces; a quantized cache cannot do without. `swa_full` is llama.cpp's default:
    sliding-window layers keep the whole context, so that a prefix can be reused.
    """

    context: int = 4096
    kv_type: str = "f16"
    flash: bool = True
    extend: bool = False
    sequences: int = 1
    batch: int = BATCH
    swa_full: bool = True


def estimate(
    shape: Shape,
    weights: int,
    hardware: Hardware,
    loading: Loading,
    trained_context: int = 0,
    projector: int = 0,
) -> FitReport:
    """The report for `weights` bytes of tensors, loaded so, and those of a `projector`.

    `trained_context` bounds the contexts unless they are extended. Unknown dimensions give "unknown".
    """
    bound = LONGEST if loading.extend or not trained_context else trained_context
    asked = replace(loading, context=min(loading.context, bound))
    report = _report(shape, weights, asked, projector)
    report["available"], report["device"] = _room(hardware, report["total"])
    if not weights or not shape.known:
        return report
    report["fit"] = _verdict(report["total"], hardware)
    most = bound if trained_context else asked.context
    report["largest_context"] = _largest(shape, weights + projector, hardware, asked, most)
    return report


def usable(free: int) -> int:
    """Of the bytes free on graphics cards those that a model may fill: other programs draw on them, too, and where
    memory ends in the middle of a text llama.cpp ends the whole process."""
    return max(0, min(int(free * 0.95), free - WORKING))


def scratch(heads: int, loading: Loading) -> int:
    """Bytes that a card takes beyond WORKING while it reads a long text; nothing with flash attention."""
    if loading.flash or loading.kv_type != "f16":
        return 0
    return heads * _padded(loading.context) * min(loading.batch, loading.context) * 2


def kv_cache(shape: Shape, loading: Loading) -> int:
    """Bytes of the KV cache."""
    cells, element = _padded(loading.context), KV_TYPES[loading.kv_type]
    window = cells
    if shape.sliding_window and not loading.swa_full:
        window = _padded(min(cells, shape.sliding_window + loading.batch))
    row = shape.key_length + shape.value_length
    sliding = shape.sliding or (False,) * len(shape.kv_heads)
    return int(
        sum(
            heads * row * element * (window if slides else cells)
            for heads, slides in zip(shape.kv_heads, sliding, strict=False)
        )
    )


def compute_buffer(shape: Shape, loading: Loading) -> int:
    """Bytes of the compute buffer: the largest of the logits of one batch, one layer's work, and its attention."""
    cells = _padded(loading.context)
    tokens = min(loading.batch, cells)
    logits = (shape.vocabulary + 2 * shape.embedding) * tokens * 4
    masks = cells * tokens * (2 if shape.sliding_window else 1)
    layer = (2 * shape.feed_forward + 4 * shape.embedding) * tokens * 4 + 2 * masks
    if loading.flash or loading.kv_type != "f16":
        return max(logits, layer)
    # Every head's weight for every pair of tokens, in 32 bits as the mask then is.
    attention = shape.heads * cells * tokens * 4 + 4 * masks + 6 * shape.embedding * tokens * 4
    return max(logits, layer, attention)


def _report(shape: Shape, weights: int, loading: Loading, projector: int = 0) -> FitReport:
    cache = kv_cache(shape, loading)
    compute = compute_buffer(shape, loading) + loading.sequences * shape.vocabulary * 4
    return {
        "fit": "unknown",
        "context": loading.context,
        "weights": weights,
        "kv_cache": cache,
        "compute": compute,
        "projector": projector,
        "total": weights + cache + compute + projector,
        "available": 0,
        "largest_context": 0,
        "device": "",
    }


def _verdict(total: int, hardware: Hardware) -> Fit:
    gpu = sum(device.free for device in hardware.devices)
    if gpu and total <= usable(gpu):
        return "fits"
    if gpu:
        # Shared between card and main memory: it runs, at a fraction of the speed.
        return "tight" if total <= usable(gpu) + hardware.available * _EASY else "wont_fit"
    if total <= hardware.available * _EASY:
        return "fits"
    return "tight" if total <= hardware.available * HARD else "wont_fit"


def _room(hardware: Hardware, total: int) -> tuple[int, str]:
    """Bytes available and where: the GPU if it holds all of the model, else main memory (and the GPU's)."""
    gpu = sum(device.free for device in hardware.devices)
    if not gpu:
        return hardware.available, "CPU"
    names = " + ".join(device.name for device in hardware.devices)
    if total <= usable(gpu):
        return gpu, names
    return gpu + hardware.available, f"{names} + CPU"


def _largest(shape: Shape, weights: int, hardware: Hardware, loading: Loading, most: int) -> int:
    """The largest context in steps of 256 that does not end in "wont_fit"; 0 if none does."""
    low, high = 0, most // _CONTEXT_STEP
    while low < high:
        middle = (low + high + 1) // 2
        total = _report(shape, weights, replace(loading, context=middle * _CONTEXT_STEP))["total"]
        low, high = (low, middle - 1) if _verdict(total, hardware) == "wont_fit" else (middle, high)
    return low * _CONTEXT_STEP


def _padded(context: int) -> int:
    return -(-context // _CONTEXT_STEP) * _CONTEXT_STEP
