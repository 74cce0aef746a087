"""TIES: of each model's changes the largest are kept, a sign is elected, and those that agree with it are averaged.

https://arxiv.org/abs/2306.01708
"""

from __future__ import annotations

import numpy as np

from convert.merge_methods import Rows, Share, Stack

NEEDS_BASE = WHOLE = True


def merge(rows: Stack, shares: tuple[Share, ...], seed: int) -> Rows:
    """base + mean of the kept changes whose sign is the elected one."""
    assert rows.base is not None  # noqa: S101
    kept = [
        trimmed(model - rows.base, share.density) * np.float32(share.weight)
        for model, share in zip(rows.models, shares, strict=True)
    ]
    elected = np.sign(sum(kept))
    total, count = np.zeros_like(rows.base), np.zeros_like(rows.base)
    for change, share in zip(kept, shares, strict=True):
        agrees = (np.sign(change) == elected) & (change != 0)
        total += np.where(agrees, change, 0)
        count += agrees * np.float32(share.weight)
    return np.asarray(rows.base + total / np.where(count == 0, 1, count), np.float32)


def trimmed(change: Rows, density: float) -> Rows:
    """The largest share of the values, the others zero."""
    keep = round(change.size * density)
    if keep >= change.size:
        return change
    if keep <= 0:
        return np.zeros_like(change)
    flat = np.abs(change).reshape(-1)
    places = np.argpartition(flat, flat.size - keep)[flat.size - keep :]
    found = np.zeros_like(change).reshape(-1)
    found[places] = change.reshape(-1)[places]
    return found.reshape(change.shape)
