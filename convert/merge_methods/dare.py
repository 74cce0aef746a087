"""DARE: of each model's changes a random part is dropped and the rest made larger by as much; then they are added.

https://arxiv.org/abs/2311.03099
"""

from __future__ import annotations

import numpy as np

from convert.merge_methods import Rows, Share, Stack

NEEDS_BASE, WHOLE = True, False


def merge(rows: Stack, shares: tuple[Share, ...], seed: int) -> Rows:
    """base + sum(weight * kept / density). The same seed drops the same values."""
    assert rows.base is not None  # noqa: S101
    found = rows.base.copy()
    for number, (model, share) in enumerate(zip(rows.models, shares, strict=True)):
        draw = np.random.default_rng((seed, number))
        kept = draw.random(model.shape, np.float32) < share.density
        found += np.where(kept, model - rows.base, 0) * np.float32(share.weight / max(share.density, 1e-6))
    return found
