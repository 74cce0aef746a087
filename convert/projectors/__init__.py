"""Eyes of models that see: the vision tower and what leads from it to the language model, as a GGUF file of its own.

One file a kind, a Family as those of language models are: `PROJECTOR`, or `PROJECTORS` where several share nearly all.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from convert.config import Config
from convert.family import Family
from engine.api.parts import load_part, part_names

NAME = "convert.projectors"


@cache
def all_projectors() -> dict[str, Family]:
    """Every kind by its id: the file's name, or that and a name where a file holds several."""
    found: dict[str, Family] = {}
    for name in part_names(NAME):
        module: Any = load_part(NAME, name)
        families = getattr(module, "PROJECTORS", None) or (module.PROJECTOR,)
        found |= {name if len(families) == 1 else f"{name}/{family.name}": family for family in families}
    return found


def projector_of(config: Config) -> tuple[str, Family] | None:
    """The kind that knows the whole model's architecture; None where there are no eyes or none that are known."""
    named = config.whole.get("architectures")
    known = {config.architecture, *(named if isinstance(named, list) else ())}
    for identity, family in all_projectors().items():
        if known.intersection(family.architectures) and family.accepts(config):
            return identity, family
    return None
