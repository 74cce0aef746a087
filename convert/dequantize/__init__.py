"""Checkpoints whose weights are packed already: one file a method, found by the name in config.json.

A method has `unpack(tensors, settings) -> (unpacked, used)`: tensors that can be had in float32, computed when they are
read, and the names of the packed ones they stand for. What packing lost does not come back; the notes say so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from convert.checkpoint import Checkpoint, Source
from convert.note import note, spoken
from engine.api.errors import UserError
from engine.api.parts import load_part, part_names

NAME = "convert.dequantize"
Unpacked = tuple[dict[str, Source], set[str]]
# Methods whose tensors a family's own rules take as they are.
BY_FAMILY = ("mxfp4",)


def unpacked(checkpoint: Checkpoint) -> tuple[Checkpoint, list[str]]:
    """The checkpoint with plain tensors, and what a person should know of it.

    Raises UserError packed_otherwise where nobody here knows the method, odd_packing where the tensors do not fit it.
    """
    settings = checkpoint.config.whole.get("quantization_config")
    if not isinstance(settings, dict) or settings.get("quant_method") in BY_FAMILY:
        return checkpoint, []
    method = str(settings.get("quant_method", "")).replace("-", "_")
    if method not in part_names(NAME):
        raise _unknown(method)
    made, used = load_part(NAME, method).unpack(checkpoint.tensors, settings)
    plain = {name: source for name, source in checkpoint.tensors.items() if name not in used}
    said = note(
        "unpacked",
        "{count} tensors were packed by {method}. They are unpacked; what packing lost does not come back.",
        count=len(made),
        method=method,
    )
    return replace(checkpoint, tensors=plain | made), [said]


def part_of(tensors: Mapping[str, Source], name: str) -> Source:
    """A packed tensor's companion. Raises UserError odd_packing."""
    if name not in tensors:
        raise odd_packing(name, note("not_there", "it is missing"))
    return tensors[name]


def odd_packing(name: str, reason: str) -> UserError:
    """The error of packed tensors that contradict each other."""
    return UserError(
        "odd_packing",
        f"The packed weights do not fit together: {name}, {reason}.",
        "Download the model again, or take the original that is not packed.",
        name=name,
        reason=spoken(reason),
    )


def odd_scales(name: str) -> UserError:
    """The error of scales that cannot belong to these weights."""
    return odd_packing(name, note("scales_otherwise", "its scales are of another shape"))


def number(settings: Mapping[str, Any], name: str, allowed: tuple[int, ...]) -> int:
    """A number of the packing that must be one of these. Raises UserError packed_otherwise."""
    value = settings.get(name)
    if value not in allowed:
        raise _unknown(f"{settings.get('quant_method')}, {name} = {value}")
    return int(value)


def _unknown(method: str) -> UserError:
    return UserError(
        "packed_otherwise",
        f"The weights are packed in a way that is not known here ({method or '?'}).",
        "Take the original model that is not packed.",
        name=method or "?",
    )
