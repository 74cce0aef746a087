"""How much memory a model needs at a context, and whether this machine has it.

The three terms are those llama.cpp allocates: the weights, the KV cache (f16 unless told otherwise) and
the compute buffer. Calibrated against its own log in tests/models/test_fit_real.py.
"""

from __future__ import annotations

from engine.api.messages import Fit, FitReport
from models.hardware import Hardware
from models.shape import Shape

# Bytes of one element of the KV cache, block headers included.
KV_TYPES = {"f32": 4.0, "f16": 2.0, "bf16": 2.0, "q8_0": 34 / 32, "q5_1": 24 / 32, "q5_0": 22 / 32, "q4_0": 18 / 32}
BATCH = 512
_CONTEXT_STEP = 256  # llama.cpp pads the context to this
_EASY = 0.8  # up to this share of the memory a model leaves room for everything else
_HARD = 0.97  # beyond this the system would swap or kill


def estimate(
    shape: Shape,
    weights: int,
    hardware: Hardware,
    context: int,
    trained_context: int = 0,
    kv_type: str = "f16",
    batch: int = BATCH,
    swa_full: bool = True,
) -> FitReport:
    """The report for `weights` bytes of tensors at `context` tokens.

    `trained_context` bounds the largest context offered. `swa_full` is llama.cpp's default: sliding-window
    layers keep the whole context, so that a prefix can be reused. Unknown dimensions give "unknown".
    """
    asked = min(context, trained_context) if trained_context else context
    report = _report(shape, weights, asked, kv_type, batch, swa_full)
    report["available"], report["device"] = _room(hardware, report["total"])
    if not weights or not shape.known:
        return report
    report["fit"] = _verdict(report["total"], hardware)
    report["largest_context"] = _largest(shape, weights, hardware, trained_context or asked, kv_type, batch, swa_full)
    return report


def kv_cache(shape: Shape, context: int, kv_type: str = "f16", batch: int = BATCH, swa_full: bool = True) -> int:
    """Bytes of the KV cache at `context` tokens."""
    cells = _padded(context)
    window = _padded(min(cells, shape.sliding_window + batch)) if shape.sliding_window and not swa_full else cells
    element = KV_TYPES[kv_type]
    row = shape.key_length + shape.value_length
    sliding = shape.sliding or (False,) * len(shape.kv_heads)
    return int(
        sum(
            heads * row * element * (window if slides else cells)
            for heads, slides in zip(shape.kv_heads, sliding, strict=False)
        )
    )


def compute_buffer(shape: Shape, context: int, batch: int = BATCH) -> int:
    """Bytes of the compute buffer: the larger of the logits of one batch and of one layer's work."""
    tokens = min(batch, _padded(context))
    logits = (shape.vocabulary + 2 * shape.embedding) * tokens * 4
    masks = _padded(context) * tokens * 2 * (2 if shape.sliding_window else 1)
    layer = (2 * shape.feed_forward + 4 * shape.embedding) * tokens * 4 + masks
    return max(logits, layer)


def _report(shape: Shape, weights: int, context: int, kv_type: str, batch: int, swa_full: bool) -> FitReport:
    cache = kv_cache(shape, context, kv_type, batch, swa_full)
    compute = compute_buffer(shape, context, batch)
    return {
        "fit": "unknown",
        "context": context,
        "weights": weights,
        "kv_cache": cache,
        "compute": compute,
        "total": weights + cache + compute,
        "available": 0,
        "largest_context": 0,
        "device": "",
    }


def _verdict(total: int, hardware: Hardware) -> Fit:
    gpu = sum(device.free for device in hardware.devices)
    if gpu and total <= gpu * 0.95:
        return "fits"
    if gpu:
        # Shared between card and main memory: it runs, at a fraction of the speed.
        return "tight" if total <= gpu * 0.95 + hardware.available * _EASY else "wont_fit"
    if total <= hardware.available * _EASY:
        return "fits"
    return "tight" if total <= hardware.available * _HARD else "wont_fit"


def _room(hardware: Hardware, total: int) -> tuple[int, str]:
    """Bytes available and where: the GPU if it holds all of the model, else main memory (and the GPU's)."""
    gpu = sum(device.free for device in hardware.devices)
    if not gpu:
        return hardware.available, "CPU"
    names = " + ".join(device.name for device in hardware.devices)
    if total <= gpu * 0.95:
        return gpu, names
    return gpu + hardware.available, f"{names} + CPU"


def _largest(
    shape: Shape, weights: int, hardware: Hardware, most: int, kv_type: str, batch: int, swa_full: bool
) -> int:
    """The largest context in steps of 256 that does not end in "wont_fit"; 0 if none does."""
    low, high = 0, most // _CONTEXT_STEP
    while low < high:
        middle = (low + high + 1) // 2
        total = _report(shape, weights, middle * _CONTEXT_STEP, kv_type, batch, swa_full)["total"]
        low, high = (low, middle - 1) if _verdict(total, hardware) == "wont_fit" else (middle, high)
    return low * _CONTEXT_STEP


def _padded(context: int) -> int:
    return -(-context // _CONTEXT_STEP) * _CONTEXT_STEP
