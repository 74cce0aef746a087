"""What an architecture's published code takes where config.json is silent. Nothing else fills a config in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from convert.config import Config
from engine.api.errors import UserError

_TURNED = ("rope_parameters.rope_theta", "rope_parameters.full_attention.rope_theta")


def with_usual(**usual: Any) -> Callable[[Config], Config]:
    """For Family.adjust: `usual` values for keys that are missing or null; a function is asked the config."""

    def adjust(config: Config) -> Config:
        missing = {key: value for key, value in usual.items() if config.get(*_spellings(key)) is None}
        return config.having(**{key: value(config) if callable(value) else value for key, value in missing.items()})

    return adjust


def _spellings(key: str) -> tuple[str, ...]:
    """Newer configs keep the base of the rotary positions elsewhere."""
    return (key, *_TURNED) if key == "rope_theta" else (key,)


def number(value: Any, key: str) -> float:
    """What config.json holds there as a number. Raises UserError config_lacks."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e30:
        raise UserError(
            "config_lacks",
            f"config.json has no usable {key}.",
            "Take the file from the model's own page.",
            key=key,
        )
    return float(value)


def head_width(config: Config) -> int:
    """Of one head, as a default of head_dim."""
    return config.size("width") // config.size("heads")


def heads(config: Config) -> int:
    """As many keys as queries, as a default of num_key_value_heads."""
    return config.size("heads")


def rows(config: Config) -> int:
    """Of the embedding, as a default of how many tokens there are (which the vocabulary, once read, says)."""
    return config.size("rows")
