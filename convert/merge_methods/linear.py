"""The weighted mean: https://arxiv.org/abs/2203.05482 (model soups)."""

from __future__ import annotations

import numpy as np

from convert.merge_methods import Rows, Share, Stack

NEEDS_BASE = WHOLE = False


def merge(rows: Stack, shares: tuple[Share, ...], seed: int) -> Rows:
    """sum(weight * model) / sum(weight)."""
    total = sum(share.weight for share in shares)
    found = np.zeros_like(rows.models[0])
    for model, share in zip(rows.models, shares, strict=True):
        found += model * np.float32(share.weight / total)
    return found
