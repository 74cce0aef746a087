"""LongRoPE's two sets of factors, for texts within and beyond the trained length."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert.config import Config
from convert.family import Extra, Key
from engine.api.errors import UserError


def factors(which: str, width: str) -> Extra:
    """The tensor of "long" or "short" factors; `width` names how much of a head turns."""

    def values(config: Config) -> NDArray[np.float32] | None:
        found: Any = config.rope.get(f"{which}_factor")
        if not found:
            return None
        if not isinstance(found, list) or len(found) != config.size(width) // 2:
            raise _unusable(f"rope_scaling.{which}_factor")
        try:
            return np.array(found, np.float32)
        except (TypeError, ValueError):
            raise _unusable(f"rope_scaling.{which}_factor") from None

    return Extra(f"rope_factors_{which}.weight", values)


def _trained(config: Config) -> int | None:
    """The length trained for, where config.json promises more by factors."""
    trained = config.rope.get("original_max_position_embeddings")
    longer = isinstance(trained, int) and 1 < trained < config.size("max_position_embeddings")
    return trained if longer and config.rope.get("long_factor") else None


def _sharpened(config: Config) -> float | None:
    """What attention is sharpened by to bridge the stretch (LongRoPE, section 3.3)."""
    trained = _trained(config)
    if trained is None:
        return None
    return math.sqrt(1 + math.log(config.size("max_position_embeddings") / trained) / math.log(trained))


STRETCH = (
    Key("rope.scaling.original_context_length", value=_trained),
    Key("rope.scaling.attn_factor", kind="f32", value=_sharpened),
)


def _unusable(key: str) -> UserError:
    return UserError(
        "config_lacks",
        f"config.json has no usable {key}.",
        "Take the file from the model's own page.",
        key=key,
    )
