"""A LoRA adapter in PEFT's layout: its pairs of matrices, and how much of their product is added to each weight.

https://huggingface.co/docs/peft/developer_guides/checkpoint, peft/tuners/lora.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from convert.checkpoint import Checkpoint, Source, open_weights
from convert.config import Config, read_object
from engine.api.errors import UserError
from engine.api.hub_names import hub_name

PREFIX = "base_model.model."
_PART = re.compile(r"(?P<module>.+)\.lora_(?P<kind>embedding_)?(?P<side>[AB])(\.\w+)?(\.weight)?")
_MAGNITUDE = re.compile(r"(?P<module>.+)\.lora_magnitude_vector(\.\w+)?(\.weight)?")


@dataclass(frozen=True)
class Pair:
    """scale * b @ a is added to a module's weight. a: (rank, inputs), b: (outputs, rank).

    `magnitude`: DoRA's, (outputs,). `embedding`: the weight is a table of (inputs, outputs), to which the product's
    transpose is added.
    """

    module: str
    a: Source
    b: Source
    scale: float
    embedding: bool = False
    magnitude: Source | None = None

    @property
    def rank(self) -> int:
        """Columns of b."""
        return self.b.shape[1]


@dataclass
class Adapter:
    """An opened adapter. `saved`: whole tensors that replace those of the base, by their names there."""

    folder: Path
    settings: dict[str, Any]
    pairs: dict[str, Pair]
    saved: dict[str, Source]
    weights: Checkpoint
    transposed: bool = field(default=False)

    @property
    def base(self) -> str:
        """What it says it was trained on."""
        return str(self.settings.get("base_model_name_or_path") or "")

    @property
    def base_name(self) -> str:
        """The same as others may read it: its name on a hub, or its folder's alone."""
        return hub_name(self.base) or re.split(r"[/\\]", self.base.rstrip("/\\"))[-1]


def open_adapter(folder: Path) -> Adapter:
    """Raises UserError no_adapter, bad_config, not_lora, odd_adapter, damaged_weights."""
    settings = _settings(folder)
    kind = str(settings.get("peft_type", "LORA")).upper()
    if kind != "LORA":
        raise UserError(
            "not_lora", f"{folder.name} is an adapter of the kind {kind}.", "Only LoRA can be used.", kind=kind
        )
    weights = open_weights(folder, Config({}), (("adapter_model", "safetensors"), ("adapter_model", "bin")))
    found: dict[str, dict[str, Source]] = {}
    saved: dict[str, Source] = {}
    for name, source in weights.tensors.items():
        plain = name.removeprefix(PREFIX)
        match = _PART.fullmatch(plain) or _MAGNITUDE.fullmatch(plain)
        if match is None:
            saved[re.sub(r"\.modules_to_save(\.\w+)?\.(?=weight|bias)", ".", plain)] = source
            continue
        groups = match.groupdict()
        side = f"{groups.get('kind') or ''}{groups['side']}" if groups.get("side") else "magnitude"
        found.setdefault(groups["module"], {})[side] = source
    pairs = {module: _pair(module, sides, settings) for module, sides in found.items()}
    return Adapter(folder, settings, pairs, saved, weights, bool(settings.get("fan_in_fan_out")))


def _settings(folder: Path) -> dict[str, Any]:
    try:
        return read_object(folder / "adapter_config.json")
    except FileNotFoundError:
        raise UserError(
            "no_adapter",
            f"{folder.name} has no adapter_config.json.",
            "Choose the folder of a LoRA adapter.",
            name=folder.name,
        ) from None


def _pair(module: str, sides: dict[str, Source], settings: dict[str, Any]) -> Pair:
    embedding = "embedding_A" in sides
    a, b = (sides.get(f"embedding_{side}" if embedding else side) for side in "AB")
    if a is None or b is None or len(a.shape) != 2 or len(b.shape) != 2 or a.shape[0] != b.shape[1]:
        raise UserError(
            "odd_adapter",
            f"The matrices of {module} do not belong together.",
            "Download the adapter again.",
            name=module,
        )
    return Pair(module, a, b, scale_of(module, b.shape[1], settings), embedding, sides.get("magnitude"))


def scale_of(module: str, rank: int, settings: dict[str, Any]) -> float:
    """alpha / rank, or alpha / sqrt(rank) (rsLoRA); a pattern's own alpha where one fits the module's name.

    PEFT's patterns are regular expressions over the end of the name; here only plain ends are compared, which is what
    PEFT writes.
    """
    alpha = settings.get("lora_alpha", 8)
    patterns = settings.get("alpha_pattern") or {}
    for end, value in patterns.items() if isinstance(patterns, dict) else ():
        if module == end or module.endswith("." + str(end).lstrip("^.*\\").rstrip("$")):
            alpha = value
            break
    if not isinstance(alpha, int | float) or isinstance(alpha, bool) or not math.isfinite(alpha):
        raise UserError(
            "odd_adapter", f"The alpha of {module} is no number.", "Download the adapter again.", name=module
        )
    return float(alpha) / (math.sqrt(rank) if settings.get("use_rslora") else rank)
