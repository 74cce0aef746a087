"""What llama.cpp computes in one way only, whatever config.json says: such a variant would run, and wrongly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from convert.config import Config
from convert.family import fixed_in_llama

GELU = ("gelu", "gelu_new", "gelu_fast", "gelu_pytorch_tanh", "gelu_python")


def only(**allowed: Any) -> Callable[[Config], Config]:
    """For `adjust`: each key, where config.json has it, must have the value, or one of several in a tuple.

    The function raises UserError fixed_in_llama.
    """

    def check(config: Config) -> Config:
        for key, values in allowed.items():
            said = config.get(key)
            if said is not None and said not in (values if isinstance(values, tuple) else (values,)):
                raise fixed_in_llama(key)
        return config

    return check


def both(*steps: Callable[[Config], Config]) -> Callable[[Config], Config]:
    """One after the other."""

    def all_of(config: Config) -> Config:
        for step in steps:
            config = step(config)
        return config

    return all_of
