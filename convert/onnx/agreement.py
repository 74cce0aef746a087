"""How far an export is from its source, in figures, and where the limits are. numpy only."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]

# An export that is not this close is not published. Differences of numbers are parts of the largest number there is.
LIMITS = {
    "vectors": {"max_difference": 1e-3, "states_difference": 1e-3, "cosine": 0.9999},
    "scores": {"max_difference": 1e-3, "top1": 1.0},
    "text": {"max_difference": 1e-3, "top1": 0.99, "kl_mean": 1e-4},
}
# 8-bit weights: at least the first is good, at least the second usable, less is damaged and kept aside.
LOSSES = {
    "vectors": ({"cosine": 0.98}, {"cosine": 0.93}),
    "scores": ({"max_difference": 0.05}, {"max_difference": 0.2}),
    "text": ({"kl_mean": 0.1, "top1": 0.88}, {"kl_mean": 0.5, "top1": 0.75}),
}
MORE_IS_BETTER = ("cosine", "top1")
Figures = dict[str, float]


def vectors(source: list[Array], export: list[Array]) -> Figures:
    """Of states (tokens, width) a text. `max_difference` and `cosine` are those of their means of length 1."""
    ours, theirs = (np.stack([_mean(states) for states in side]) for side in (source, export))
    return {
        "texts": len(source),
        "max_difference": float(np.abs(ours - theirs).max()),
        "states_difference": max(_difference(a, b) for a, b in zip(source, export, strict=True)),
        "cosine": float((ours * theirs).sum(1).min()),
    }


def scores(source: list[Array], export: list[Array]) -> Figures:
    """Of outputs (labels) a text; with one label `top1` is whether the same pair comes first."""
    ours, theirs = np.stack(source), np.stack(export)
    axis = 1 if ours.shape[1] > 1 else 0
    return {
        "texts": len(source),
        "max_difference": _difference(ours, theirs),
        "top1": float((ours.argmax(axis) == theirs.argmax(axis)).mean()),
    }


def text(source: list[Array], export: list[Array]) -> Figures:
    """Of logits (tokens, vocabulary) a text: how often the next token is the same one, and how far the odds went."""
    tokens = sum(len(one) for one in source)
    same = sum(int((a.argmax(-1) == b.argmax(-1)).sum()) for a, b in zip(source, export, strict=True))
    return {
        "texts": len(source),
        "tokens": tokens,
        "max_difference": max(_difference(a, b) for a, b in zip(source, export, strict=True)),
        "top1": same / tokens,
        "kl_mean": sum(float(_divergence(a, b).sum()) for a, b in zip(source, export, strict=True)) / tokens,
    }


def judged(kind: str, figures: Figures) -> dict[str, Any]:
    """The figures with their limits, and whether they hold. What is no number never does."""
    return {"kind": kind, **figures, "limits": LIMITS[kind], "holds": _within(figures, LIMITS[kind])}


def loss(kind: str, figures: Figures) -> dict[str, Any]:
    """The figures of fewer bits, and a plain word for them: good, usable or damaged."""
    good, usable = LOSSES[kind]
    word = "good" if _within(figures, good) else "usable" if _within(figures, usable) else "damaged"
    return {"kind": kind, **figures, "limits": {"good": good, "usable": usable}, "verdict": word}


def _within(figures: Figures, limits: Figures) -> bool:
    return all(
        figures[name] >= limit if name in MORE_IS_BETTER else figures[name] <= limit for name, limit in limits.items()
    )


def _difference(source: Array, export: Array) -> float:
    """The largest difference, as a part of the source's largest number (at least 1); infinite for
    another shape and for what is no number."""
    if source.shape != export.shape:
        return math.inf
    found = float(np.abs(source - export).max() / max(1.0, float(np.abs(source).max())))
    return found if math.isfinite(found) else math.inf  # so that it is never lost among other numbers


def _mean(states: Array) -> Array:
    mean = states.mean(0)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12), np.float32)


def _divergence(source: Array, export: Array) -> npt.NDArray[np.float64]:
    """KL divergence of each token's odds, in nats."""
    ours, theirs = _log_odds(source), _log_odds(export)
    return np.asarray((np.exp(ours) * (ours - theirs)).sum(-1))


def _log_odds(logits: Array) -> npt.NDArray[np.float64]:
    shifted = logits.astype(np.float64) - logits.max(-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(-1, keepdims=True)))
