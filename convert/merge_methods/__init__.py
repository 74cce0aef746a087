"""Ways of making one model of several: one file each, `merge(rows, settings, seed) -> rows`.

`rows.base` are the rows of the base's tensor or None, `rows.models` the same rows of each model, all float32 of one
shape; `settings` one {"weight", "density"} a model. `NEEDS_BASE`: whether a base must be given; `WHOLE`: whether a
tensor must come in one piece because the method looks at all of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NAME = "convert.merge_methods"
Rows = NDArray[np.float32]


@dataclass(frozen=True)
class Stack:
    """The same tensor (or rows of it) of every model."""

    models: tuple[Rows, ...]
    base: Rows | None


@dataclass(frozen=True)
class Share:
    """How much of a model goes in: its weight, and which part of its changes is kept (TIES, DARE)."""

    weight: float = 1.0
    density: float = 1.0
