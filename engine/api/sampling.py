"""How the next token is chosen. Names and meaning are llama.cpp's."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from engine.api.errors import UserError


@dataclass(frozen=True)
class Sampling:
    """Sampler settings of one request; a value of 0 (or 1 for ratios) turns its sampler off."""

    temperature: float = 0.7
    top_k: int = 40
    top_p: float = 0.95
    min_p: float = 0.05
    repeat_penalty: float = 1.0
    repeat_last_n: int = 64
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    dry_multiplier: float = 0.0
    dry_base: float = 1.75
    dry_allowed_length: int = 2
    dry_penalty_last_n: int = -1
    xtc_probability: float = 0.0
    xtc_threshold: float = 0.1
    mirostat: int = 0
    mirostat_tau: float = 5.0
    mirostat_eta: float = 0.1
    seed: int = -1
    max_tokens: int = 0
    stop: tuple[str, ...] = ()
    logit_bias: dict[int, float] = field(default_factory=dict)

    @property
    def repeatable(self) -> bool:
        """Whether the same request is to give the same text: a seed was chosen, or nothing is left to chance."""
        return self.seed != -1 or self.temperature == 0

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Sampling:
        """Build from a request. Raises UserError for an unknown name, a wrong type or a value out of bounds."""
        known = {f.name for f in dataclasses.fields(cls)}
        for name in data:
            if name not in known:
                raise UserError("unknown_sampling", f"There is no sampling value '{name}'.", name=name)
        values = dict(data)
        if "stop" in values:
            values["stop"] = _stop_strings(values["stop"])
        if "logit_bias" in values:
            values["logit_bias"] = _logit_bias(values["logit_bias"])
        for name, value in values.items():
            if name in BOUNDS:
                values[name] = _number(name, value)
        return cls(**values)

    def to_json(self) -> dict[str, Any]:
        """Only what differs from the defaults."""
        default = Sampling()
        return {
            f.name: getattr(self, f.name)
            for f in dataclasses.fields(self)
            if getattr(self, f.name) != getattr(default, f.name)
        }


# name -> (lowest, highest); a whole-number type is that of the default.
BOUNDS: dict[str, tuple[float, float]] = {
    "temperature": (0.0, 5.0),
    "top_k": (0, 1_000_000),
    "top_p": (0.0, 1.0),
    "min_p": (0.0, 1.0),
    "repeat_penalty": (0.1, 5.0),
    "repeat_last_n": (-1, 1_048_576),
    "frequency_penalty": (-2.0, 2.0),
    "presence_penalty": (-2.0, 2.0),
    "dry_multiplier": (0.0, 10.0),
    "dry_base": (1.0, 10.0),
    "dry_allowed_length": (0, 1_048_576),
    "dry_penalty_last_n": (-1, 1_048_576),
    "xtc_probability": (0.0, 1.0),
    "xtc_threshold": (0.0, 1.0),
    "mirostat": (0, 2),
    "mirostat_tau": (0.0, 20.0),
    "mirostat_eta": (0.0, 1.0),
    "seed": (-1, 4_294_967_294),
    "max_tokens": (0, 1_048_576),
}


def _number(name: str, value: object) -> float | int:
    low, high = BOUNDS[name]
    whole = isinstance(getattr(Sampling, name), int)
    right = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
    if not right or not low <= value <= high:  # type: ignore[operator]
        raise UserError(
            "bad_sampling",
            f"{name} must be between {low:g} and {high:g}, not {value!r}.",
            name=name,
            low=low,
            high=high,
        )
    return int(value) if whole else float(value)  # type: ignore[call-overload,arg-type]


def _stop_strings(value: object) -> tuple[str, ...]:
    stops = [value] if isinstance(value, str) else value
    if not isinstance(stops, list | tuple) or not all(isinstance(s, str) and s for s in stops) or len(stops) > 16:
        raise UserError("bad_sampling", "stop must be up to 16 pieces of text.", name="stop")
    return tuple(stops)


def _logit_bias(value: object) -> dict[int, float]:
    try:
        return {int(token): max(-1000.0, min(1000.0, float(bias))) for token, bias in dict(value).items()}  # type: ignore[call-overload]
    except (TypeError, ValueError):
        raise UserError("bad_sampling", "logit_bias must map token ids to numbers.", name="logit_bias") from None
