"""Spherical interpolation between two models: along the arc between their tensors, seen as vectors.

K. Shoemake, Animating rotation with quaternion curves, 1985. Two models; the second one's weight is how far to go.
"""

from __future__ import annotations

import numpy as np

from convert.merge_methods import Rows, Share, Stack

NEEDS_BASE, WHOLE = False, True
NEARLY_PARALLEL = 0.9995


def merge(rows: Stack, shares: tuple[Share, ...], seed: int) -> Rows:
    """sin((1-t)w)/sin(w) * a + sin(tw)/sin(w) * b; the straight line where the two nearly point one way."""
    (a, b), part = rows.models, shares[1].weight / (shares[0].weight + shares[1].weight)
    lengths = float(np.linalg.norm(a)) * float(np.linalg.norm(b))
    cosine = float(np.vdot(a, b)) / lengths if lengths else 1.0
    if abs(cosine) > NEARLY_PARALLEL:
        return np.asarray(a + (b - a) * np.float32(part), np.float32)
    angle = np.arccos(cosine)
    left, right = np.sin((1 - part) * angle) / np.sin(angle), np.sin(part * angle) / np.sin(angle)
    return np.asarray(a * np.float32(left) + b * np.float32(right), np.float32)
